/** Delivery over a real nats-server: resumes, resyncs and slow sockets. Its races are in test/application/delivery.test.ts. */
import t, { type Test } from 'tap';
import { JetstreamDeviceCursors } from '../../src/adapters/jetstream/inbox/device-cursors.ts';
import { JetstreamInboxReader } from '../../src/adapters/jetstream/inbox/inbox-reader.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Delivery } from '../../src/application/delivery/delivery.ts';
import type { DeliveryLimits } from '../../src/application/delivery/parts.ts';
import type { Resume } from '../../src/protocol/frames.ts';
import { inboxStreamName } from '../../src/protocol/subjects.ts';
import { TestConnection } from '../support/connection.ts';
import { RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { bytes, device, user } from '../support/given.ts';
import { copy, GROUP, marker, message, pack, pointer } from '../support/inbox-records.ts';
import { inboxWriting } from '../support/inbox-writing.ts';
import { quiet, startNats, type TestNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const LIMITS: DeliveryLimits = {
  maxBufferedBytes: 1_000_000,
  ringMaxBytes: 10_000_000,
  ringMaxEntries: 10_000,
  maxColdEntries: 5_000,
  maxReplayEvents: 10_000,
};

async function startDelivery(t: Test, nats: TestNats, limits: Partial<DeliveryLimits> = {}) {
  const gateway = await nats.connect('gateway');
  const cursors = await JetstreamDeviceCursors.open(gateway.nc, quiet);
  const delivery = new Delivery({
    readers: [new JetstreamInboxReader({ ...gateway, stream: 0, log: quiet })],
    logs: [new JetstreamLogReader({ ...gateway, convStream: 0 })],
    ...{ cursors, frameOnWire, topology: nats.topology, gateway: 'g', log: quiet },
    limits: { ...LIMITS, ...limits },
    onConfirmed: () => undefined,
  });
  await delivery.start();
  t.teardown(() => delivery.drain());
  const attach = (name: string, resume: Resume) => {
    const connection = new TestConnection();
    return { connection, attachment: delivery.attach({ user: user(name), device: device('d'), connection }, resume) };
  };
  return { delivery, cursors, attach };
}

/** A marker, three kinds of records for `a` and others, a takeover, and what the old worker wrote when it woke. */
async function writeHistory(nats: TestNats) {
  const operator = await nats.connect('operator');
  const write = inboxWriting(operator);
  for (let pos = 1; pos <= 60; pos++) await write.log(GROUP, message(pos).event);
  const records: { readonly seq: number; readonly positions: readonly number[] }[] = [];
  let term = 1;
  await write.marker(marker({ term }));
  for (let pos = 1; pos <= 60; pos += 5) {
    const window = { from: pos, to: pos + 4, term };
    records.push({ seq: await write.inbox('a', copy([pos], window)), positions: [pos] });
    await write.inbox('b', copy([pos], { ...window, offset: 1 }));
    const packed = [pos + 1, pos + 2, pos + 4];
    await write.pack(pack(packed, { ...window, offset: 2 }));
    await write.inbox('b', pointer(packed, 2, { ...window, offset: 3 }));
    records.push({ seq: await write.inbox('a', pointer(packed, 2, { ...window, offset: 4 })), positions: packed });
    if (pos % 3 !== 0) continue;
    term += 1;
    await write.marker(marker({ term }));
    await write.inbox('a', copy([pos], { ...window, offset: 9 }));
  }
  const { state } = await operator.jsm.streams.info(inboxStreamName(0));
  return { operator, write, records, lastSeq: state.last_seq };
}

const reached = (connection: TestConnection, seq: number): Promise<true> =>
  eventually(() => connection.cursor?.seq === seq || undefined, `a cursor at ${seq}`);

t.test(
  'a resume at any point gives what lies behind it: from the ring, from the stream, after a restart',
  async (t) => {
    const nats = await startNats();
    t.teardown(() => nats.stop());
    const { records, lastSeq } = await writeHistory(nats);
    const resumeEverywhere = async (limits: Partial<DeliveryLimits>, name: string): Promise<void> => {
      const { attach } = await startDelivery(t, nats, limits);
      const first = attach('a', 'everything').connection;
      await reached(first, lastSeq);
      t.same(
        first.positions,
        records.flatMap(({ positions }) => positions),
        `${name}: everything`,
      );
      const epoch = first.cursor?.epoch ?? '';
      for (let seq = 0; seq <= lastSeq; seq++) {
        const { connection } = attach('a', { epoch, seq });
        await reached(connection, lastSeq);
        const wanted = records.filter((record) => record.seq > seq).flatMap(({ positions }) => positions);
        t.same([connection.positions, connection.resyncs], [wanted, []], `${name}: ${seq}`);
      }
    };
    await resumeEverywhere({}, 'ring');
    await resumeEverywhere({ ringMaxEntries: 3 }, 'stream');
    nats.server.signal('SIGKILL');
    await nats.server.respawn();
    await resumeEverywhere({}, 'restart');
  },
);

t.test('each cursor frame is a place to go on from, without a gap and without a double', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { records, lastSeq } = await writeHistory(nats);
  const { attach } = await startDelivery(t, nats, { ringMaxEntries: 5 });
  const { connection } = attach('a', 'everything');
  await reached(connection, lastSeq);
  const all = records.flatMap(({ positions }) => positions);
  let had = 0;
  for (const frame of connection.frames) {
    if (frame.t === 'deliver') had += frame.entries.length;
    if (frame.t !== 'cursor') continue;
    const again = attach('a', { epoch: frame.epoch, seq: frame.seq }).connection;
    await reached(again, lastSeq);
    t.same(again.positions, all.slice(had), `from ${frame.seq}`);
  }
});

t.test('a cursor older than the retention, and one of another stream, get a resync and then everything', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { write, lastSeq } = await writeHistory(nats);
  await write.log(GROUP, { ...message(61).event, type: 'groupCreated', name: 'g', members: [user('a')] } as never);
  await write.log(GROUP, { ...message(62).event });
  await write.dropBelow(lastSeq - 3);
  const { attach } = await startDelivery(t, nats);
  for (const [resume, reason] of [
    [{ epoch: 'another', seq: 1 }, 'EPOCH_CHANGED'],
    [{ epoch: '', seq: 1 }, 'EPOCH_CHANGED'],
    ['everything', 'CURSOR_TOO_OLD'],
  ] as const) {
    const { connection } = attach('a', resume);
    await reached(connection, lastSeq);
    t.same(connection.resyncs, [reason]);
    t.equal(connection.frames[0]?.t, 'resync', 'first of all');
    t.match(connection.entries, [
      { type: 'groupCreated', n: 1, pos: 61 },
      { type: 'message', n: 2, pos: 62 },
    ]);
  }
  const now = attach('a', 'latest').connection;
  await reached(now, lastSeq);
  const old = attach('a', { epoch: now.cursor?.epoch ?? '', seq: 1 }).connection;
  await reached(old, lastSeq);
  t.same([now.resyncs, old.resyncs], [[], ['CURSOR_TOO_OLD']]);
});

t.test('what a device confirms is stored, never more than it was given', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { lastSeq } = await writeHistory(nats);
  const { delivery, cursors, attach } = await startDelivery(t, nats);
  const { connection, attachment } = attach('a', 'everything');
  await reached(connection, lastSeq);
  attachment.confirm(lastSeq - 1);
  attachment.confirm(lastSeq + 10);
  await delivery.drain();
  t.same(await cursors.get(user('a'), device('d')), { epoch: connection.cursor?.epoch, seq: lastSeq - 1 });
});

t.test('a resync gives what the inbox gave, whatever happened in the conversations', async (t) => {
  const { gateway, stop } = await startTestGateway();
  t.teardown(stop);
  const alice = await RawClient.greeted(gateway, 'alice');
  const bob = await RawClient.greeted(gateway, 'bob', 'phone');
  let count = 0;
  const clientMsgId = () => `id-${++count}`;
  const say = (who: RawClient, address: object, text: string) =>
    who.ask({ t: 'send', clientMsgId: clientMsgId(), contentType: 'text/plain', body: bytes(text), ...address });
  const command = (who: RawClient, command: object) => who.ask({ t: 'command', clientMsgId: clientMsgId(), command });
  const g = { conversation: 'g' };
  await command(alice, { type: 'createGroup', ...g, name: 'g', members: ['carol'] });
  await say(alice, g, 'before bob');
  await command(alice, { type: 'addMembers', ...g, members: ['bob'] });
  await say(bob, g, 'hello');
  await say(alice, { to: 'bob' }, 'direct');
  await command(bob, { type: 'markRead', conversation: 'direct:alice:bob', upTo: 1 });
  await command(alice, { type: 'removeMembers', ...g, members: ['bob'] });
  await say(alice, g, 'after bob');
  await command(bob, { type: 'blockUser', user: 'alice' });
  await say(bob, { to: 'bob' }, 'note to self');
  const wait = (client: RawClient) =>
    eventually(() => client.entries.some(({ conversation }) => conversation === 'direct:bob:bob'), 'the last entry');
  await wait(bob);
  const again = await RawClient.open(gateway);
  const hello = { t: 'hello', token: await tokenFor('bob'), device: 'laptop', resume: { epoch: 'lost', seq: 7 } };
  t.equal((await again.ask(hello)).t, 'welcome');
  await wait(again);
  // Of different conversations the inbox may give what was later in the log first (docs/adr/0001).
  const sorted = (client: RawClient) => client.entries.toSorted((x, y) => (x.pos as number) - (y.pos as number));
  t.same(sorted(again), sorted(bob));
  t.ok(sorted(bob).length >= 7, 'all kinds of entries');
  t.equal(again.frames.find((frame) => frame.t !== 'welcome')?.t, 'resync');
});

t.test('a socket that does not read stalls nobody, and has everything once it reads again', async (t) => {
  const { gateway, stop } = await startTestGateway({ limits: { maxBufferedBytes: 65_536, ringMaxBytes: 400_000 } });
  t.teardown(stop);
  const [alice, bob, carol] = [
    await RawClient.greeted(gateway, 'alice'),
    await RawClient.greeted(gateway, 'bob'),
    await RawClient.greeted(gateway, 'carol'),
  ];
  await alice.ask({
    t: 'command',
    clientMsgId: 'create',
    command: { type: 'createGroup', conversation: 'g', name: 'g', members: ['bob', 'carol'] },
  });
  await bob.frame('deliver');
  bob.ws.pause();
  // More than the kernel takes for a socket that does not read, and more than the ring keeps.
  const body = new Uint8Array(60_000).fill(65);
  const MESSAGES = 300;
  for (let i = 1; i <= MESSAGES; i++) {
    await alice.ask({ t: 'send', conversation: 'g', clientMsgId: `m-${i}`, contentType: 'text/plain', body });
  }
  const indexes = (client: RawClient) => client.entries.map(({ n }) => n);
  const all = Array.from({ length: MESSAGES + 1 }, (_, i) => i + 1);
  await eventually(() => carol.entries.length > MESSAGES, 'all messages for the one who reads');
  t.same(indexes(carol), all);
  t.ok(bob.entries.length < MESSAGES, 'the one who does not read was left alone');
  const metrics = await (await fetch(`${gateway.address}/metrics`)).text();
  const unsent = Number(/^rookery_unsent_bytes (\d+)/m.exec(metrics)?.[1]);
  t.ok(unsent > 0 && unsent < 500_000, `${unsent} bytes wait for the slow one`);
  bob.ws.resume();
  await eventually(() => bob.entries.length > MESSAGES, 'all messages for the slow one');
  t.same(indexes(bob), all);
  t.notOk(bob.frames.some(({ t }) => t === 'resync'));
});
