/** Who is told that somebody writes, and how often: the bounds of a session. */
import t from 'tap';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import type { RegisteredSession, Sessions } from '../../src/application/gateway/sessions.ts';
import { Telling } from '../../src/application/gateway/telling.ts';
import { MAX_TYPING_MEMBERS, TYPING_HOLDS_MS, Typing } from '../../src/application/gateway/typing.ts';
import type { UserId } from '../../src/domain/ids.ts';
import type { Writing } from '../../src/ports/typing-news.ts';
import { jsonCodec } from '../../src/protocol/codec.ts';
import { TestConnection } from '../support/connection.ts';
import { conversation, user, users } from '../support/given.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [UserId, UserId, UserId];
const room = conversation('rooks');

/** Conversations in which so many are; `news` goes round as over one server. */
function scene(memberCount: number | 'unknown' = 3) {
  const announced: Writing[] = [];
  const told: { users: readonly UserId[]; frame: object }[] = [];
  const dropped: string[] = [];
  let now = 0;
  let heard: (writing: Writing) => void = () => undefined;
  const others = [bob, carol];
  const typing = new Typing({
    conversations: { hearersOf: async () => (memberCount === 'unknown' ? undefined : { memberCount, others }) },
    news: {
      announce(writing) {
        announced.push(writing);
        heard(writing);
      },
      onAnnounced: (listener) => (heard = listener),
    },
    telling: { tell: (users, frame) => told.push({ users, frame }) },
    monotonicMs: () => now,
    onDropped: (why) => dropped.push(why),
  });
  return { typing, announced, told, dropped, later: (ms: number) => (now += ms) };
}

t.test('the others of the conversation are told for how long it holds', async (t) => {
  const { typing, told } = scene();
  typing.typist(alice).writes({ t: 'typing', conversation: room });
  await eventually(() => told.length === 1, 'told');
  const frame = { t: 'typing', conversation: room, user: alice, forMs: TYPING_HOLDS_MS };
  t.same(told, [{ users: [bob, carol], frame }]);
});

t.test('a session is let through once in two seconds a conversation, in sixteen at once', async (t) => {
  const { typing, announced, dropped, later } = scene();
  const typist = typing.typist(alice);
  const writes = (name: string) => typist.writes({ t: 'typing', conversation: conversation(name) });
  writes('r0');
  later(1_999);
  writes('r0');
  t.same(dropped, ['rate']);
  for (let i = 1; i < 16; i++) writes(`r${i}`);
  writes('r16');
  t.same(dropped, ['rate', 'rate'], 'one too many');
  later(1);
  writes('r0');
  writes('r1');
  t.same(dropped, ['rate', 'rate', 'rate'], 'the first may again, the others not yet');
  await eventually(() => announced.length === 17, 'all that was let through');
  typing.typist(alice).writes({ t: 'typing', conversation: conversation('r0') });
  await eventually(() => announced.length === 18, 'another session has a rate of its own');
});

t.test('a large group is told nothing, nor anybody by who may not speak', async (t) => {
  const atLimit = scene(MAX_TYPING_MEMBERS);
  atLimit.typing.typist(alice).writes({ t: 'typing', conversation: room });
  await eventually(() => atLimit.announced.length === 1, 'at the limit it is told');
  const large = scene(MAX_TYPING_MEMBERS + 1);
  large.typing.typist(alice).writes({ t: 'typing', conversation: room });
  await eventually(() => large.dropped.length === 1, 'dropped');
  const refused = scene('unknown');
  refused.typing.typist(alice).writes({ t: 'typing', to: bob });
  await eventually(() => refused.dropped.length === 1, 'dropped');
  t.same([...large.dropped, ...refused.dropped], ['size', 'nobody']);
  t.same([...large.announced, ...refused.announced], []);
});

t.test('the same bytes go to all of one encoding, and none to a socket that takes nothing', async (t) => {
  const connections = [new TestConnection(), new TestConnection(), new TestConnection(jsonCodec), new TestConnection()];
  const [one, two, json, slow] = connections as [TestConnection, TestConnection, TestConnection, TestConnection];
  slow.stopReading();
  slow.write(frameOnWire(slow.codec, slow.codec.encode({ t: 'pong', padding: 'x'.repeat(100) })));
  const open = (...connections: TestConnection[]) => connections.map((connection) => ({ connection }) as unknown);
  const devices = new Map([
    [alice, open(one, json)],
    [bob, open(two, slow)],
  ]) as ReadonlyMap<UserId, RegisteredSession[]>;
  let passedOver = 0;
  const telling = new Telling({
    sessions: { of: (of: UserId) => devices.get(of) ?? [] } as Pick<Sessions, 'of'> as Sessions,
    ...{ frameOnWire, maxBufferedBytes: 64, onSlow: () => (passedOver += 1) },
  });
  const written = slow.written.length;
  telling.tell([alice, bob, user('nobody')], { t: 'typing', conversation: room, user: carol, forMs: 1 });
  t.match([one.frames, json.frames], [[{ t: 'typing', user: 'carol' }], [{ t: 'typing', user: 'carol' }]]);
  t.equal(one.written[0], two.written[0], 'encoded once');
  t.equal(slow.written.length, written);
  t.equal(passedOver, 1);
});
