/** Names of an export: what cannot stand in one here is left out, and nothing is refused for it. */
import t from 'tap';
import { ForeignConversation, personRecords } from '../../src/application/foreign/foreign-log.ts';
import { ForeignReport } from '../../src/application/foreign/report.ts';
import { decodeAccountEvent } from '../../src/protocol/account-event.ts';
import { decodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversation, user } from '../support/given.ts';

const WILD = ' \u202egnp.exe\u0000\nBob ';

t.test('a person and a group by what is left of their names; a group of nothing by its id', async (t) => {
  const [record] = [...personRecords('irc', { user: user('irc-bob'), kind: 'person', name: WILD }, 0)];
  t.match(decodeAccountEvent(user('irc-bob'), record?.data as Uint8Array).after, { profile: { name: 'gnp.exeBob' } });
  for (const [name, shown] of [
    [WILD, 'gnp.exeBob'],
    ['\u0000', 'irc-room'],
    ['\u200b \ufeff', 'irc-room'],
  ] as const) {
    const room = new ForeignConversation('irc', conversation('irc-room'), new ForeignReport());
    const [founded] = [...room.founded(name, [user('irc-bob')], 0)];
    t.match(decodeLogEvent(founded?.data as Uint8Array), { type: 'groupCreated', name: shown });
  }
});

t.test('what is too long ends with a whole character', (t) => {
  const crows = '🐦'.repeat(400);
  const person = { user: user('irc-bob'), kind: 'person', name: `x${crows}`, fields: { title: `x${crows}` } } as const;
  const [record] = [...personRecords('irc', person, 0)];
  const { profile } = decodeAccountEvent(user('irc-bob'), record?.data as Uint8Array).after;
  t.equal(profile.name, `x${'🐦'.repeat(63)}`);
  t.equal(profile.fields.title, `x${'🐦'.repeat(255)}`);
  const room = new ForeignConversation('irc', conversation('irc-room'), new ForeignReport());
  const about = { description: `x${'🐦'.repeat(4_000)}`, announcement: '🐦'.repeat(4_000) };
  const [founded, changed] = [...room.founded(`xx${crows}`, [user('irc-bob')], 0, about)];
  t.match(decodeLogEvent(founded?.data as Uint8Array), { name: `xx${'🐦'.repeat(127)}` });
  t.match(decodeLogEvent(changed?.data as Uint8Array), {
    settings: { description: `x${'🐦'.repeat(2_047)}`, announcement: '🐦'.repeat(2_048) },
  });
  t.end();
});
