import t, { type Test } from 'tap';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { type ConversationId, directConversationId, type UserId } from '../../src/domain/ids.ts';
import { startFanOutWorker } from '../../src/processes/fan-out-worker.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, messageIdOf, type Topology } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user, users } from '../support/given.ts';
import { readInboxes } from '../support/inboxes.ts';
import { quiet, startNats, type TestNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [UserId, UserId, UserId];

type Body = ConversationEvent extends infer E ? (E extends unknown ? Omit<E, 'id'> : never) : never;

async function scene(t: Test, topology: Topology = { convStreams: 1, inboxStreams: 1 }) {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  let count = 0;
  const append = async (
    to: ConversationId,
    event: Body,
    id = `id-${String(++count).padStart(6, '0')}`,
  ): Promise<number> => {
    const full = { ...event, id: msgId(id) } as ConversationEvent;
    const part = full.type === 'messageSent' ? 'm' : full.type === 'conversationRead' ? 'r' : 's';
    const { seq } = await operator.js.publish(conversationSubject(to, part), encodeLogEvent(full), {
      msgID: messageIdOf(to, full.by, full.id),
    });
    return seq;
  };
  const inboxes = () => readInboxes(operator, topology);
  const entriesOf = async (name: UserId) => (await inboxes()).of.get(name) ?? [];
  return { nats, operator, append, inboxes, entriesOf };
}

async function startWorker(t: Test, nats: TestNats, name = 'a') {
  const config = {
    nats: { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile },
    topology: nats.topology,
    logLevel: 'silent' as const,
    stateDir: `${nats.dataDir}/worker-${name}`,
  };
  const worker = await startFanOutWorker(config, quiet);
  t.teardown(() => worker.drain());
  return worker;
}

const says = (by: UserId, text: string): Body => ({
  type: 'messageSent',
  by,
  contentType: 'text/plain',
  body: bytes(text),
});

t.test('a message reaches both sides of a direct conversation, with its index', async (t) => {
  const { nats, append, entriesOf } = await scene(t);
  await startWorker(t, nats);
  const direct = directConversationId(alice, bob);
  await append(direct, says(alice, 'one'));
  await append(direct, says(bob, 'two'));
  const seen = await eventually(
    async () => ((await entriesOf(bob)).length === 2 ? entriesOf(bob) : undefined),
    'two entries',
  );
  t.match(seen, [
    { type: 'message', n: 1, by: alice, pos: 1 },
    { type: 'message', n: 2, by: bob, pos: 2 },
  ]);
  t.same(await entriesOf(alice), seen);
});

t.test('members of a large group get pointers to one pack; who leaves sees nothing sent after', async (t) => {
  const topology = { convStreams: 2, inboxStreams: 2 };
  const { nats, append, inboxes } = await scene(t, topology);
  await startWorker(t, nats);
  const group = conversation('🪺 一群乌鸦');
  const members = Array.from({ length: 60 }, (_, i) => user(`m.${i} *>`));
  await append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members });
  await append(group, says(alice, 'before'));
  await append(group, { type: 'memberLeft', by: members[7] as UserId });
  const last = await append(group, says(alice, 'after'));
  await eventually(async () => (await inboxes()).of.get(alice)?.at(-1)?.pos === last, 'the last entry');
  const { of } = await inboxes();
  t.same(
    of.get(members[7] as string)?.map(({ type }) => type),
    ['groupCreated', 'message', 'memberLeft'],
  );
  for (const member of [alice, ...members.filter((_, i) => i !== 7)]) {
    t.same(
      of.get(member)?.map((entry) => 'n' in entry && entry.n),
      [1, 2, 3, 4],
      member,
    );
  }
});

t.test('what the fold refuses comes back to the sender, with the code the gateway would have given', async (t) => {
  const { nats, append, entriesOf } = await scene(t);
  await startWorker(t, nats);
  const group = conversation('g');
  await append(group, { type: 'groupCreated', by: alice, name: 'g', members: [bob] });
  await append(group, { type: 'membersRemoved', by: alice, members: [bob] });
  await append(group, says(bob, 'too late'), 'late');
  await append(directConversationId(alice, bob), { type: 'userBlocked', by: alice });
  await append(directConversationId(alice, bob), says(bob, 'blocked'));
  await append(group, says(carol, 'stranger'));
  await eventually(async () => (await entriesOf(carol)).length === 1, 'the stranger’s rejection');
  t.match((await entriesOf(bob)).slice(-2), [
    { type: 'rejected', code: 'NOT_A_MEMBER', id: 'late', pos: 3 },
    { type: 'rejected', code: 'BLOCKED' },
  ]);
  t.match(await entriesOf(carol), [{ type: 'rejected', code: 'NOT_A_MEMBER' }]);
  t.same(
    (await entriesOf(alice)).map(({ type }) => type),
    ['groupCreated', 'membersRemoved', 'userBlocked'],
  );
});

t.test('a retry after the duplicate window makes no second message', async (t) => {
  const { nats, operator, append, entriesOf } = await scene(t);
  await startWorker(t, nats);
  const direct = directConversationId(alice, bob);
  const first = await append(direct, says(alice, 'once'), 'the-id');
  // Past JetStream's window: the same event again, without its Msg-Id.
  const again = await operator.js.publish(
    conversationSubject(direct, 'm'),
    encodeLogEvent({ ...(says(alice, 'once') as ConversationEvent), id: msgId('the-id') } as ConversationEvent),
  );
  await append(direct, says(alice, 'next'));
  await eventually(async () => (await entriesOf(bob)).length === 2, 'two messages');
  t.match(await entriesOf(bob), [{ pos: first, n: 1 }, { n: 2 }]);
  t.match(
    (await entriesOf(alice)).filter(({ type }) => type === 'duplicate'),
    [{ pos: again.seq, original: first, id: 'the-id' }],
  );
});

t.test('what no code can read goes to the dead letters, and the worker goes on', async (t) => {
  const { nats, operator, append, entriesOf } = await scene(t);
  await startWorker(t, nats);
  await operator.js.publish('conv.1.x.m', 'garbage');
  await append(directConversationId(alice, bob), says(alice, 'hello'));
  await eventually(async () => (await entriesOf(bob)).length === 1, 'the message behind the garbage');
  const letter = await operator.jsm.streams.getMessage('DEAD', { seq: 1 });
  t.equal(letter?.subject, 'dead.fan-out.CONV_0.1');
  t.match(letter?.header.get('Rookery-Reason'), /MessagePack|map/);
});

t.test('inboxes that were deleted, and the durable, come back from the log', async (t) => {
  const { nats, append, inboxes, operator } = await scene(t, { convStreams: 1, inboxStreams: 2 });
  await startWorker(t, nats);
  const direct = directConversationId(alice, bob);
  const all = async (count: number) =>
    (await inboxes()).of.get(alice)?.length === count && (await inboxes()).of.get(bob)?.length === count;
  for (let i = 1; i <= 5; i++) await append(direct, says(alice, `${i}`));
  await eventually(() => all(5), 'five');
  await operator.jsm.consumers.delete('CONV_0', 'fan-out');
  await append(direct, says(alice, '6'));
  await eventually(() => all(6), 'six');
  for (const stream of ['INBOX_0', 'INBOX_1']) await operator.jsm.streams.delete(stream);
  const isBack = () => all(6).catch(() => false);
  await eventually(isBack, 'all six again, although nobody sends anything');
  await append(direct, says(alice, '7'));
  await eventually(() => all(7), 'seven');
  for (const name of [alice, bob]) {
    const entries = (await inboxes()).of.get(name) ?? [];
    t.same(
      entries.map((entry) => 'n' in entry && entry.n),
      [1, 2, 3, 4, 5, 6, 7],
    );
  }
});

t.test('a worker that starts again goes on where it was, with its state file or without', async (t) => {
  const { nats, append, inboxes, entriesOf } = await scene(t);
  const direct = directConversationId(alice, bob);
  const first = await startWorker(t, nats);
  for (let i = 0; i < 50; i++) await append(direct, says(alice, `a${i}`));
  await eventually(async () => (await entriesOf(bob)).length === 50, 'the first fifty');
  await first.drain();
  for (let i = 0; i < 50; i++) await append(direct, says(bob, `b${i}`));
  const second = await startWorker(t, nats);
  await eventually(async () => (await entriesOf(bob)).length === 100, 'the next fifty');
  await second.drain();
  await append(direct, says(alice, 'last'));
  await startWorker(t, nats, 'another machine');
  await eventually(async () => (await entriesOf(bob)).length >= 101, 'the last');
  const { of, terms } = await inboxes();
  t.same(
    of.get(bob)?.map((entry) => 'n' in entry && entry.n),
    Array.from({ length: 101 }, (_, i) => i + 1),
  );
  t.same(of.get(alice), of.get(bob));
  t.equal(terms, 3);
});

t.test('of two workers one works; the other takes over', async (t) => {
  const { nats, append, entriesOf } = await scene(t);
  const direct = directConversationId(alice, bob);
  const first = await startWorker(t, nats, 'one');
  await startWorker(t, nats, 'two');
  for (let i = 0; i < 20; i++) await append(direct, says(alice, `a${i}`));
  await eventually(async () => (await entriesOf(bob)).length === 20, 'the first twenty');
  await first.drain();
  for (let i = 0; i < 20; i++) await append(direct, says(alice, `b${i}`));
  await eventually(async () => (await entriesOf(bob)).length >= 40, 'the next twenty');
  t.same(
    (await entriesOf(bob)).map((entry) => 'n' in entry && entry.n),
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
});

t.test(
  'a worker whose inbox has dropped all it held goes on from its state file, and writes nothing twice',
  async (t) => {
    const { nats, operator, append, inboxes } = await scene(t);
    const direct = directConversationId(alice, bob);
    const first = await startWorker(t, nats);
    for (let i = 0; i < 20; i++) await append(direct, says(alice, `a${i}`));
    await eventually(async () => (await inboxes()).of.get(bob)?.length === 20, 'twenty');
    await first.drain();
    await operator.jsm.streams.purge('INBOX_0');
    await startWorker(t, nats);
    await append(direct, says(bob, 'after'));
    await eventually(async () => ((await inboxes()).of.get(bob)?.length ?? 0) > 0, 'the next');
    t.match((await inboxes()).of.get(bob), [{ n: 21, pos: 21 }], 'the next, and none of the twenty');
  },
);
