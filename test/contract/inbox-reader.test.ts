/** What ports/inbox-reader.ts promises, on a real nats-server. */
import t, { type Test } from 'tap';
import { JetstreamInboxReader } from '../../src/adapters/jetstream/inbox/inbox-reader.ts';
import type { InboxMessage, Tail } from '../../src/ports/inbox-reader.ts';
import { inboxStreamName, tailedSubject } from '../../src/protocol/subjects.ts';
import { copy, marker, pack } from '../support/inbox-records.ts';
import { inboxWriting } from '../support/inbox-writing.ts';
import { quiet, startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const gateway = await nats.connect('gateway');
  const reader = new JetstreamInboxReader({ ...gateway, stream: 0, log: quiet });
  const seen: InboxMessage[] = [];
  const lost: string[] = [];
  const tails: Tail[] = [];
  t.teardown(() => Promise.all(tails.map((tail) => tail.stop())));
  const tail = async (from: number): Promise<Tail> => {
    const opened = await reader.tail(
      from,
      (messages) => seen.push(...messages.map((message) => ({ ...message, data: new Uint8Array(message.data) }))),
      (reason) => lost.push(reason),
    );
    tails.push(opened);
    return opened;
  };
  const has = (count: number) => eventually(() => seen.length >= count, `${count} messages`);
  return { nats, operator, gateway, reader, write: inboxWriting(operator), tail, seen, lost, has };
}

const sequences = (messages: readonly InboxMessage[]): number[] => messages.map(({ seq }) => seq);
const span = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

t.test('an empty stream begins behind its end', async (t) => {
  const { reader } = await scene(t);
  t.match(await reader.info(), { firstSeq: 1, lastSeq: 0 });
});

t.test('a tail brings every message from its start on, with its kind and whom it is for', async (t) => {
  const { write, tail, seen, has } = await scene(t);
  await write.marker(marker());
  await write.pack(pack([1]));
  await write.inbox('陈.晨*', copy([1]));
  await write.inbox('bob', copy([2]));
  await tail(2);
  await has(3);
  await write.inbox('bob', copy([3]));
  await has(4);
  t.same(
    seen.map(({ seq, kind, key }) => [seq, kind, key]),
    [
      [2, 'pack', '0'],
      [3, 'inbox', '~6ZmILuaZqCo'],
      [4, 'inbox', 'bob'],
      [5, 'inbox', 'bob'],
    ],
  );
  t.same(seen[2]?.data, copy([2]));
});

t.test('a tail that was stopped brings nothing more', async (t) => {
  const { write, tail, seen, has } = await scene(t);
  await write.marker(marker());
  const first = await tail(1);
  await has(1);
  await first.stop();
  await write.inbox('a', copy([1]));
  await tail(1);
  await has(3);
  t.same(sequences(seen), [1, 1, 2]);
});

t.test('a tail goes on without a gap when the server was killed and started again', async (t) => {
  const { nats, write, tail, seen, lost, has } = await scene(t);
  for (let pos = 1; pos <= 20; pos++) await write.inbox('a', copy([pos]));
  await tail(1);
  await has(20);
  nats.server.signal('SIGKILL');
  await nats.server.respawn();
  // A publish that was answered with silence may have been stored: there may be more than 40, but no gap.
  for (let pos = 21; pos <= 40; pos++) {
    await eventually(() => write.inbox('a', copy([pos])).catch(() => undefined), 'a publish');
  }
  await has(40);
  t.same(sequences(seen), span(1, seen.length));
  t.same(lost, []);
});

t.test('a tail that lost its consumer makes itself another one', async (t) => {
  const { operator, write, tail, seen, has } = await scene(t);
  await write.inbox('a', copy([1]));
  await tail(1);
  await has(1);
  for await (const { name } of operator.jsm.consumers.list(inboxStreamName(0))) {
    await operator.jsm.consumers.delete(inboxStreamName(0), name);
  }
  await write.inbox('a', copy([2]));
  await has(2);
  t.same(sequences(seen), [1, 2]);
});

t.test('a stream that was deleted, or deleted and made anew, ends the tail', async (t) => {
  for (const anew of [false, true]) {
    const { operator, write, tail, reader, seen, lost, has } = await scene(t);
    const { epoch } = await reader.info();
    const { config } = await operator.jsm.streams.info(inboxStreamName(0));
    await write.inbox('a', copy([1]));
    await tail(1);
    await has(1);
    await operator.jsm.streams.delete(inboxStreamName(0));
    if (anew) {
      await operator.jsm.streams.add(config);
      t.not((await reader.info()).epoch, epoch, 'another epoch');
      for (let pos = 1; pos <= 3; pos++) await write.inbox('a', copy([pos]));
    }
    await eventually(() => lost.length > 0, 'the loss');
    t.equal(lost.length, 1);
    t.same(sequences(seen), [1]);
  }
});

t.test('what was dropped before it was read ends the tail', async (t) => {
  const { write, tail, seen, lost } = await scene(t);
  for (let pos = 1; pos <= 10; pos++) await write.inbox('a', copy([pos]));
  await write.dropBelow(6);
  await tail(3);
  await eventually(() => lost.length > 0, 'the loss');
  t.same([sequences(seen), lost.length], [[], 1]);
});

t.test('a hole made by hand is no loss', async (t) => {
  const { operator, write, tail, seen, lost, has } = await scene(t);
  for (let pos = 1; pos <= 5; pos++) await write.inbox('a', copy([pos]));
  await operator.jsm.streams.deleteMessage(inboxStreamName(0), 3);
  await tail(1);
  await has(4);
  t.same([sequences(seen), lost], [[1, 2, 4, 5], []]);
});

t.test('the markers that are kept, in the order of the stream', async (t) => {
  const { reader, write } = await scene(t);
  await write.marker(marker({ term: 1 }));
  await write.inbox('a', copy([1]));
  await write.marker(marker({ term: 2 }));
  await write.marker(marker({ term: 3 }));
  await write.dropBelow(2);
  t.same(
    (await reader.markers()).map(({ seq, kind }) => [seq, kind]),
    [
      [3, 'term'],
      [4, 'term'],
    ],
  );
});

t.test('the next record of one user, and of no other', async (t) => {
  const { reader, write } = await scene(t);
  for (const [i, name] of ['a', 'b', 'a', 'b'].entries()) await write.inbox(name, copy([i + 1]));
  t.match(await reader.nextFor('b', 1), { seq: 2, kind: 'inbox', key: 'b' });
  t.match(await reader.nextFor('b', 3), { seq: 4 });
  t.equal(await reader.nextFor('b', 5), undefined);
  t.equal(await reader.nextFor('c', 1), undefined);
});

t.test('a span as it is kept, whoever it is for, also where something of it was dropped', async (t) => {
  const { reader, write, operator } = await scene(t);
  await write.marker(marker());
  await write.pack(pack([1]));
  for (const [i, name] of ['a', 'b', 'a', 'b'].entries()) await write.inbox(name, copy([i + 1]));
  const all = async (from: number, to: number) => {
    const found: [number, string, string][] = [];
    for await (const part of reader.read(from, to))
      found.push(...part.map(({ seq, kind, key }) => [seq, kind, key] as never));
    return found;
  };
  const stored = [
    [1, 'term', '0'],
    [2, 'pack', '0'],
    ...[3, 4, 5, 6].map((seq) => [seq, 'inbox', seq % 2 ? 'a' : 'b']),
  ];
  t.same(await all(1, 6), stored);
  t.same(await all(2, 4), stored.slice(1, 4));
  t.same(await all(7, 6), []);
  await operator.jsm.streams.deleteMessage(inboxStreamName(0), 4);
  t.same(await all(3, 5), [stored[2], stored[4]]);
  await operator.jsm.streams.purge(inboxStreamName(0), { seq: 6 });
  t.same(await all(1, 6), [stored[5]]);
  await operator.jsm.streams.purge(inboxStreamName(0));
  t.same(await all(1, 6), [], 'nothing is kept, and nothing waited for');
});

t.test('a span that a replica seems to lack is waited for', async (t) => {
  const { write, gateway } = await scene(t);
  for (let pos = 1; pos <= 3; pos++) await write.inbox('a', copy([pos]));
  // Of a consumer on a replica that is behind: nothing is pending there yet.
  const { jsm } = gateway;
  const add = jsm.consumers.add.bind(jsm.consumers);
  jsm.consumers.add = async (...parameters) => ({ ...(await add(...parameters)), num_pending: 0 });
  const reader = new JetstreamInboxReader({ ...gateway, stream: 0, log: quiet });
  const found: number[] = [];
  for await (const part of reader.read(1, 3)) found.push(...sequences(part));
  t.same(found, [1, 2, 3]);
});

t.test('writers hear how far the tail is', async (t) => {
  const { nats, reader } = await scene(t);
  const worker = await nats.connect('fan-out-worker');
  const heard: unknown[] = [];
  worker.nc.subscribe(tailedSubject(0), { callback: (_, message) => void heard.push(message.json()) });
  await worker.nc.flush();
  reader.reportTailed('gateway-1', 42);
  await eventually(() => heard.length > 0, 'a report');
  t.same(heard, [{ gateway: 'gateway-1', seq: 42 }]);
});
