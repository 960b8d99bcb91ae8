/** Times asked of a log into which older events were merged, one conversation after the other, behind newer ones. */
import { headers } from '@nats-io/nats-core';
import t from 'tap';
import { ORIGINAL_TIME, originalTimeValue } from '../../src/adapters/jetstream/log/original-time.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user, users } from '../support/given.ts';
import { says, startOperated } from '../support/operated.ts';

const [alice] = users('alice') as [never];
const [live, ravens, crows] = [conversation('live'), conversation('ravens'), conversation('crows')];
const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, run, json } = scene;

/** As an import leaves it: with the time it happened. */
async function merged(to: typeof live, text: string, time: string): Promise<void> {
  const id = msgId(text.replaceAll(' ', '-'));
  const event = { type: 'messageSent', by: user('bob'), id, contentType: 'text/plain', body: bytes(text) } as const;
  const about = headers();
  about.set(ORIGINAL_TIME, originalTimeValue(Date.parse(time)));
  await scene.operator.js.publish(conversationSubject(to, 'm'), encodeLogEvent(event), { headers: about });
}

await append(live, { type: 'groupCreated', by: alice, name: 'Live', members: [] });
await append(live, says(alice, 'today'));
for (const [to, name] of [
  [ravens, 'raven'],
  [crows, 'crow'],
] as const) {
  for (const day of ['2025-01-31', '2025-02-01', '2025-02-02', '2025-02-03'])
    await merged(to, `${name} ${day}`, `${day}T00:00:00`);
  await merged(to, `${name} at noon`, `2025-02-01T${name === 'raven' ? 13 : 12}:00:00`);
}
const END = 12;
const tailed = async (...args: string[]) => (await json('tail', '--no-follow', ...args)).map(({ text }) => text);

t.test('tail with times asks each event for its own, wherever it stands, as an export does', async (t) => {
  const day = ['--since', '2025-02-01', '--until', '2025-02-02'];
  const ofThatDay = ['raven 2025-02-01', 'raven at noon', 'crow 2025-02-01', 'crow at noon'];
  t.same(await tailed(...day), ofThatDay);
  t.same(await tailed('--since', '2025-02-01', '--until', '2025-02-02', '--conversation', crows), ofThatDay.slice(2));
  t.same(await tailed(...day, '-n', '2'), ['crow at noon', 'raven at noon'], 'the newest are the latest');
  t.match(await json('export', 'day.rookery', ...day), [{ events: ofThatDay.length }]);
  t.same(await tailed('--since', '2025-02-02T00:00:00.001'), [
    undefined,
    'today',
    'raven 2025-02-03',
    'crow 2025-02-03',
  ]);
  t.same(await tailed('--until', '2025-02-01', '--grep', 'crow'), ['crow 2025-01-31']);
  t.same(await tailed('--since', '1h', '--kind', 'messageSent'), ['today'], 'what was imported then is older');
  const none = { code: 0, stdout: '', stderr: 'nothing in the log matches\n' };
  t.match(await run('tail', '--since', '2025-02-04', '--until', '2025-02-05'), none);
});

t.test('a position is a place, also beside a time', async (t) => {
  t.same(await tailed('--since', '8', '--until', '2025-02-02'), ['crow 2025-01-31', 'crow 2025-02-01', 'crow at noon']);
  t.same(await tailed('--since', '2025-02-03', '--until', '6'), [undefined, 'today', 'raven 2025-02-03']);
  t.same(await tailed('--since', '4', '--until', '5'), ['raven 2025-02-01', 'raven 2025-02-02']);
});

t.test('a time is a place where the past is folded: it is named, and what stands behind it is told of', async (t) => {
  const told = /^behind CONV_0@0 stand merged events of 2025-02-02 00:00:00\.000 or before, .*`tail`.*`export`.*\n$/;
  const whole = await run('replay', '--to', '2025-02-02');
  t.match(whole, { code: 0, stdout: /^as of CONV_0@0 \(the log at 2025-02-02 00:00:00\.000\)/, stderr: told });
  const refused = await run('replay', '--to', '2025-02-02', '--conversation', crows);
  t.match(refused, { code: 1, stderr: /^behind CONV_0@0 stand .*\nNOT_FOUND: there was no conversation crows then/ });
  const other = await run('replay', '--to', '2025-02-02', '--conversation', live);
  t.match(other, { code: 1, stderr: /^NOT_FOUND: / }, 'of a conversation only what was merged of it');
  const now = await run('replay', '--to', 'now', '--conversation', live);
  t.match(now, { code: 0, stdout: /^as of CONV_0@12 \(the log at /, stderr: '' });
  t.match(await run('replay', '--to', '2', '--conversation', live), {
    code: 0,
    stdout: /^as of CONV_0@2 /,
    stderr: '',
  });
  t.match(await json('replay', '--to', 'now'), [{ upTo: [`CONV_0@${END}`], at: String }]);
  const changed = await run('diff', '2025-02-02', 'now', '--user', alice);
  t.match(changed, { stdout: /^from CONV_0@0 \(the log at .*\) to CONV_0@12 \(the log at /, stderr: told });
});

t.test('a time that is to come is said to be, and where the log ends', async (t) => {
  const told =
    /^2126-01-01 lies in the future: the log ends at CONV_0@12, stored \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\n/;
  const until = await run('tail', '--until', '2126-01-01');
  t.match(until, { code: 0, stderr: told });
  t.equal(until.stdout.trimEnd().split('\n').length, END);
  t.match(await run('replay', '--to', '2126-01-01'), {
    stdout: /^as of CONV_0@12 \(the end of the log\)/,
    stderr: told,
  });
  t.match(await run('tail', '--since', '2126-01-01', '--no-follow'), {
    stderr: /^2126-01-01 lies in the future: .*\nnothing in the log matches\n$/,
  });
});
