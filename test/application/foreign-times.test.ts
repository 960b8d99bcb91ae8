/** Times that other messengers' exports tell: what is later than now has not happened, and the log would keep it for ever. */
import t from 'tap';
import { ircRecords } from '../../src/application/foreign/irc.ts';
import { ForeignReport } from '../../src/application/foreign/report.ts';
import { slackRecords } from '../../src/application/foreign/slack.ts';
import { telegramRecords } from '../../src/application/foreign/telegram.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';
import type { ForeignFiles } from '../../src/ports/foreign-files.ts';
import { decodeLogEvent } from '../../src/protocol/log-event.ts';

const NOW = Date.UTC(2026, 6, 1);
const SOON = NOW / 1_000 + 60;
const FAR = 99_999_999_999;

const filesOf = (texts: Readonly<Record<string, string>>): ForeignFiles => ({
  ...{ paths: Object.keys(texts).sort(), bytes: 1, bytesRead: 0 },
  chunks: async function* (path) {
    yield Buffer.from(texts[path] ?? '');
  },
  read: async (path) => Buffer.from(texts[path] ?? ''),
  close: async () => undefined,
});

async function told(records: AsyncIterable<StoredRecord>) {
  const all: (readonly [type: string, at: number, who: string])[] = [];
  for await (const { subject, at, data } of records) {
    if (!subject.startsWith('conv.')) continue;
    const {
      type,
      by,
      members = [],
    } = decodeLogEvent(data) as ReturnType<typeof decodeLogEvent> & {
      members?: readonly string[];
    };
    all.push([type, at, [by, ...members].join(' ')]);
  }
  return all;
}

t.test('of Slack a message, an edit and a channel that are later than now are left out and counted', async (t) => {
  const report = new ForeignReport(NOW);
  const said = [
    { type: 'message', user: 'U1', ts: '1600041601.0', text: 'hi', edited: { ts: `${FAR}.0` } },
    { type: 'message', user: 'U1', ts: `${SOON}.0`, text: 'a clock that is a minute ahead' },
    { type: 'message', user: 'U2', ts: `${FAR}.0`, text: 'from 5138' },
  ];
  const files = filesOf({
    'users.json': '[{"id":"U1"},{"id":"U2"}]',
    'channels.json': JSON.stringify([{ id: 'C1', name: 'go', members: ['U1'], creator: 'U1', created: FAR }]),
    'go/2020-09-14.json': JSON.stringify(said),
  });
  t.same(await told(slackRecords(files, report)), [
    ['groupCreated', 1_600_041_601_000, 'slack-U1'],
    ['messageSent', 1_600_041_601_000, 'slack-U1'],
    ['messageSent', SOON * 1_000, 'slack-U1'],
  ]);
  t.same(report.counts.notMapped, [
    { what: 'time of a channel later than now', count: 1, example: 'go' },
    { what: 'edit later than now', count: 1, example: 'slack-C1 1600041601.0' },
    { what: 'message later than now', count: 1, example: `go/2020-09-14.json ${FAR}.0` },
  ]);
});

t.test('of Telegram', async (t) => {
  const report = new ForeignReport(NOW);
  const said = (id: number, time: number, from_id: string, more = {}) => ({
    ...{ id, type: 'message', date_unixtime: String(time), from_id, text: 'x', ...more },
  });
  const messages = [
    said(1, 1_600_000_000, 'user7', { edited_unixtime: String(FAR) }),
    said(2, SOON, 'user7'),
    said(3, FAR, 'user8'),
  ];
  const files = filesOf({ 'result.json': JSON.stringify({ name: 'Team', type: 'private_group', id: 9, messages }) });
  t.same(await told(telegramRecords(files, report)), [
    ['groupCreated', 1_600_000_000_000, 'telegram-7'],
    ['messageSent', 1_600_000_000_000, 'telegram-7'],
    ['messageSent', SOON * 1_000, 'telegram-7'],
  ]);
  t.same(report.counts.notMapped, [
    { what: 'edit later than now', count: 1, example: 'telegram-9 1' },
    { what: 'message later than now', count: 1, example: 'Team 3' },
  ]);
});

t.test('of IRC, also where nobody else speaks', async (t) => {
  const report = new ForeignReport(NOW);
  const [soon, far] = ['2026-07-01 00:01:00', '5138-11-16 09:46:39'];
  const files = filesOf({
    '#go.log': `2020-09-14 10:01:00\tada\thello\n${soon}\tada\tstill\n${far}\tbob\tlate\n`,
    '#later.log': `${far}\tbob\tlate\n`,
  });
  t.same(await told(ircRecords(files, report, { isUtc: true })), [
    ['groupCreated', Date.UTC(2020, 8, 14, 10, 1), 'irc-ada'],
    ['messageSent', Date.UTC(2020, 8, 14, 10, 1), 'irc-ada'],
    ['messageSent', SOON * 1_000, 'irc-ada'],
  ]);
  t.match(report.counts.notMapped, [{ what: 'message later than now', count: 2, example: '#go.log:3' }, {}]);
});
