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
  ] as const) {
    const room = new ForeignConversation('irc', conversation('irc-room'), new ForeignReport());
    const [founded] = [...room.founded(name, [user('irc-bob')], 0)];
    t.match(decodeLogEvent(founded?.data as Uint8Array), { type: 'groupCreated', name: shown });
  }
});
