/** What `LaneSource` promises, on a real nats-server. */
import type { NatsConnection } from '@nats-io/nats-core';
import t, { type Test } from 'tap';
import { FAN_OUT_DURABLE, JetstreamLaneSource } from '../../src/adapters/jetstream/log/lane-source.ts';
import { DerivedStreams } from '../../src/adapters/jetstream/streams/derived-streams.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { LogRecord } from '../../src/ports/conversation-log.ts';
import type { TakeBound } from '../../src/ports/lane-source.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { inboxWriting } from '../support/inbox-writing.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const EVERYTHING: TakeBound = { maxRecords: 1_000, maxBytes: 1_000_000, limit: () => Number.POSITIVE_INFINITY };
const says = (i: number): ConversationEvent => ({
  type: 'messageSent',
  by: user('alice'),
  id: msgId(`id-${i}`),
  contentType: 'text/plain',
  body: bytes(`body ${i}`),
});

async function scene(t: Test, events: number) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const { log } = inboxWriting(operator);
  for (let i = 1; i <= events; i++) await log(conversation(`c ${i % 3}`), says(i));
  const open = async (through: (nc: NatsConnection) => unknown = (nc) => nc) => {
    const worker = await nats.connect('fan-out-worker');
    const source = new JetstreamLaneSource({
      ...worker,
      nc: through(worker.nc) as NatsConnection,
      derived: new DerivedStreams(worker.jsm, nats.topology),
      convStream: 0,
      inbox: `${worker.inboxPrefix}.pull.0`,
    });
    t.teardown(() => source.close());
    return source;
  };
  const ackFloor = async (): Promise<number> =>
    (await operator.jsm.consumers.info('CONV_0', FAN_OUT_DURABLE)).ack_floor.stream_seq;
  return { nats, operator, log, open, ackFloor };
}

/** Takes until `count` records are there: how many come at a time is the network's matter. */
async function take(source: JetstreamLaneSource, count: number, bound = EVERYTHING): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  await eventually(async () => {
    records.push(...(await source.take(bound, 100)));
    return records.length >= count;
  }, `${count} records`);
  return records;
}

const positions = (records: readonly LogRecord[]): number[] => records.map(({ pos }) => pos);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

t.test('gives the events from a position on, in order, as they were written', async (t) => {
  const { open, log } = await scene(t, 20);
  const source = await open();
  t.equal(await source.lastPos(0), 20);
  await source.open(6);
  const records = await take(source, 15);
  t.same(positions(records), range(6, 20));
  t.match(records[0], { pos: 6, conversation: 'c 0', event: { type: 'messageSent', id: 'id-6' } });
  t.same(await source.take(EVERYTHING, 20), [], 'and nothing while there is nothing');
  await log(conversation('c 1'), says(21));
  t.same(positions(await take(source, 1)), [21]);
});

t.test('opened anew it begins where it is told, whatever was delivered or acked', async (t) => {
  const { open, ackFloor } = await scene(t, 10);
  const source = await open();
  await source.open(1);
  await take(source, 10);
  source.ack(10);
  await eventually(async () => (await ackFloor()) === 10, 'the acks');
  await source.open(4);
  t.same(positions(await take(source, 7)), range(4, 10));
});

t.test('takes no more than the bound allows: records, bytes, position', async (t) => {
  const { open } = await scene(t, 10);
  const source = await open();
  await source.open(1);
  t.same(positions(await take(source, 2, { ...EVERYTHING, maxRecords: 1 })), [1, 2]);
  t.same(positions(await take(source, 1, { ...EVERYTHING, maxBytes: 1 })), [3], 'a larger one is given all the same');
  t.same(positions(await take(source, 2, { ...EVERYTHING, limit: (first) => first + 1 })).slice(0, 2), [4, 5]);
});

t.test('what is acked, and no more, is acked', async (t) => {
  const { open, ackFloor } = await scene(t, 10);
  const source = await open();
  await source.open(1);
  await take(source, 10);
  t.equal(await ackFloor(), 0, 'taking acks nothing');
  source.ack(4);
  await eventually(async () => (await ackFloor()) === 4, 'four acks');
  source.ack(10);
  await eventually(async () => (await ackFloor()) === 10, 'the others');
});

t.test('what cannot be decoded is given with its reason, in its place', async (t) => {
  const { open, operator, log } = await scene(t, 1);
  await operator.js.publish('conv.1.x.m', 'garbage');
  await log(conversation('c'), says(3));
  const source = await open();
  await source.open(1);
  t.match(await take(source, 3), [{ pos: 1 }, { pos: 2, subject: 'conv.1.x.m', reason: /./ }, { pos: 3 }]);
});

t.test('a second reader of the lane is noticed, and loses nothing of it', async (t) => {
  const { open, log } = await scene(t, 0);
  const [first, second] = [await open(), await open()];
  await first.open(1);
  await second.open(1);
  for (let i = 1; i <= 20; i++) await log(conversation('c'), says(i));
  // The first one's pull is older and takes what comes: the second must see that something is missing.
  await t.rejects(
    eventually(async () => (await second.take(EVERYTHING, 100)).length === 20, 'all of them'),
    { code: 'LOG_UNAVAILABLE' },
  );
  await first.close();
  await eventually(async () => {
    await second.open(1);
    // What the first one had asked for may take one more.
    const taken = await second.take(EVERYTHING, 1_000).catch(() => []);
    return positions(taken)[0] === 1;
  }, 'from the beginning once more');
});

t.test('a lost connection or consumer is said, and opening anew goes on', async (t) => {
  const { nats, operator, open, log } = await scene(t, 5);
  const source = await open();
  await source.open(1);
  await take(source, 5);
  nats.server.signal('SIGKILL');
  await nats.server.respawn();
  const broken = async (): Promise<boolean> =>
    source.take(EVERYTHING, 50).then(
      () => false,
      ({ code }) => code === 'LOG_UNAVAILABLE',
    );
  await eventually(broken, 'the loss is noticed');
  await eventually(
    () =>
      source.open(3).then(
        () => true,
        () => false,
      ),
    'open again',
  );
  await eventually(
    () =>
      operator.jsm.streams.info('CONV_0').then(
        () => true,
        () => false,
      ),
    'who writes is connected again as well',
  );
  t.same(positions(await take(source, 3)), [3, 4, 5]);
  await log(conversation('c'), says(6));
  t.same(positions(await take(source, 1)), [6]);
  await operator.jsm.consumers.delete('CONV_0', FAN_OUT_DURABLE);
  await eventually(broken, 'the deleted consumer is noticed');
  await source.open(2);
  t.same(positions(await take(source, 5)), [2, 3, 4, 5, 6], 'it was made anew');
});

t.test('asks for no more than it has room for, however much comes', async (t) => {
  const EVENTS = 10_000;
  const PULL_MESSAGES = 1_000;
  const { open, operator } = await scene(t, 0);
  const data = encodeLogEvent(says(1));
  for (let i = 1; i <= EVENTS; i++) operator.nc.publish('conv.0.x.m', data);
  await eventually(
    async () => (await operator.jsm.streams.info('CONV_0')).state.last_seq === EVENTS,
    'all events stored',
  );
  let pulls = 0;
  const source = await open((nc) => ({
    ...{ subscribe: nc.subscribe.bind(nc), status: () => nc.status() },
    publish: (subject: string, ...more: unknown[]) => {
      if (subject.includes('.MSG.NEXT.')) pulls += 1;
      (nc.publish as (...all: unknown[]) => void).call(nc, subject, ...more);
    },
  }));
  await source.open(1);
  let taken = 0;
  while (taken < EVENTS) {
    const records = await source.take(EVERYTHING, 5_000);
    taken += records.length;
    source.ack(records.at(-1)?.pos ?? 0);
  }
  t.ok(pulls <= EVENTS / PULL_MESSAGES + 2, `${pulls} pulls`);
});
