/** What `InboxWriter` promises, on a real nats-server. */
import type { JetStreamManager } from '@nats-io/jetstream';
import t, { type Test } from 'tap';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import { JetstreamInboxWriter } from '../../src/adapters/jetstream/inbox/inbox-writer.ts';
import { DerivedStreams } from '../../src/adapters/jetstream/streams/derived-streams.ts';
import { noFailpoints } from '../../src/adapters/system/failpoints.ts';
import type { PlannedRecord } from '../../src/ports/inbox-writer.ts';
import { LaneTerms } from '../../src/projections/lane-terms.ts';
import { decodeOrigin, type Origin, RecordKind } from '../../src/protocol/inbox-record.ts';
import { inboxSubjectOfToken } from '../../src/protocol/subjects.ts';
import { bytes } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const NOTHING = { window: { from: 0, to: 0 }, records: Number.POSITIVE_INFINITY };

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  let socketWrites = 0;
  const open = async (lane = 0, asked: (jsm: JetStreamManager) => JetStreamManager = (jsm) => jsm) => {
    const connected = await nats.connect('fan-out-worker');
    const worker = { ...connected, jsm: asked(connected.jsm) };
    const { transport } = (connected.nc as unknown as { protocol: { transport: { send(frame: Uint8Array): void } } })
      .protocol;
    const send = transport.send.bind(transport);
    transport.send = (frame) => {
      socketWrites += 1;
      send(frame);
    };
    const writer = new JetstreamInboxWriter({
      ...worker,
      derived: new DerivedStreams(worker.jsm, nats.topology),
      lane,
      inboxStream: 0,
      failpoints: noFailpoints,
    });
    t.teardown(() => writer.stop());
    return writer;
  };
  /** To the sockets of all writers. */
  const writesDuring = async (work: () => Promise<void>): Promise<number> => {
    const before = socketWrites;
    await work();
    return socketWrites - before;
  };
  return { nats, operator, open, writesDuring };
}

const plan = (...users: string[]): PlannedRecord[] =>
  users.map((user) => ({ subject: inboxSubjectOfToken(user), kind: 'copy', body: bytes(`for ${user}`) }));
const window = (from: number, to = from) => ({ from, to });

interface Stored {
  readonly seq: number;
  readonly subject: string;
  readonly origin: Origin;
}

async function stored({ jsm }: Nats): Promise<Stored[]> {
  const found: Stored[] = [];
  const { state } = await jsm.streams.info('INBOX_0');
  for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
    const message = await jsm.streams.getMessage('INBOX_0', { seq });
    if (message) found.push({ seq, subject: message.subject, origin: decodeOrigin(message.data) });
  }
  return found;
}

/** `window:offset` of every copy that counts. */
async function valid(operator: Nats): Promise<string[]> {
  const terms = new LaneTerms();
  const found: string[] = [];
  for (const { seq, origin } of await stored(operator)) {
    if (origin.kind === RecordKind.marker) terms.observeMarker(origin, seq);
    else if (origin.kind === RecordKind.copy && terms.judge(origin, seq) === 'valid')
      found.push(`${origin.from}-${origin.to}:${origin.offset}`);
  }
  return found;
}

t.test('an empty stream holds nothing; after a window it holds all of it', async (t) => {
  const { operator, open } = await scene(t);
  const writer = await open();
  t.equal(await writer.checkpointed(), 0);
  t.same(await writer.begin(), NOTHING);
  await writer.write(window(1, 3), plan('a', 'b'), 0);
  t.equal(await writer.checkpointed(), 3);
  await writer.write(window(4), plan('a'), 0);
  t.same(await valid(operator), ['1-3:0', '1-3:1', '4-4:0']);
  t.same(await (await open()).begin(), { window: window(4), records: Number.POSITIVE_INFINITY });
});

t.test(
  'a window and its checkpoint leave in one write: each more costs the worker and the server what all else does',
  async (t) => {
    const { open, writesDuring } = await scene(t);
    const writer = await open();
    await writer.begin();
    await writer.write(window(1), plan('a', 'b'), 0);
    t.equal(await writesDuring(() => writer.write(window(2), plan('a', 'b'), 0)), 1);
  },
);

t.test('an empty plan moves the checkpoint alone', async (t) => {
  const { operator, open } = await scene(t);
  const writer = await open();
  await writer.begin();
  await writer.write(window(1, 9), [], 0);
  t.same(await valid(operator), []);
  t.same(await (await open()).begin(), { window: window(1, 9), records: Number.POSITIVE_INFINITY });
});

t.test('what a writer left half done is found, and the rest of it written once', async (t) => {
  const { operator, open } = await scene(t);
  const first = await open();
  await first.begin();
  await first.write(window(1), plan('a'), 0);
  // The head of the next window without its checkpoint, as a killed writer leaves it.
  const [record] = (await stored(operator)).filter(({ origin }) => origin.kind === RecordKind.copy);
  const half = (await operator.jsm.streams.getMessage('INBOX_0', { seq: record?.seq as number }))?.data as Uint8Array;
  const head = half.slice();
  const view = new DataView(head.buffer);
  view.setUint32(10, 2); // window 2 to 2, offset 0
  await operator.js.publish(inboxSubjectOfToken('a'), head);
  const second = await open();
  t.same(await second.begin(), { window: window(2), records: 1 });
  await second.write(window(2), plan('a', 'b', 'c'), 1);
  t.same(await valid(operator), ['1-1:0', '2-2:0', '2-2:1', '2-2:2']);
});

t.test('a new term ends the one before: what that one still writes is void or refused', async (t) => {
  const { operator, open } = await scene(t);
  const [old, young] = [await open(), await open()];
  await old.begin();
  await old.write(window(1), plan('a'), 0);
  await young.begin();
  await t.rejects(old.write(window(2), plan('a', 'b'), 0), { code: 'TERM_LOST' });
  await young.write(window(2), plan('a', 'b'), 0);
  t.same(await valid(operator), ['1-1:0', '2-2:0', '2-2:1']);
  t.equal(await young.checkpointed(), 2);
});

t.test('of writers that begin at once some get TERM_LOST, and no two the same term', async (t) => {
  const { operator, open } = await scene(t);
  const writers = await Promise.all(Array.from({ length: 5 }, () => open()));
  const outcomes = await Promise.allSettled(writers.map((writer) => writer.begin()));
  for (const outcome of outcomes) if (outcome.status === 'rejected') t.match(outcome.reason, { code: 'TERM_LOST' });
  t.ok(outcomes.some(({ status }) => status === 'fulfilled'));
  const terms = (await stored(operator)).map(({ origin }) => origin.term);
  t.equal(new Set(terms).size, terms.length);
});

t.test('lanes share a stream and know nothing of each other', async (t) => {
  const { open } = await scene(t);
  const [zero, one] = [await open(0), await open(1)];
  await zero.begin();
  await one.begin();
  await Promise.all([zero.write(window(1), plan('a', 'b'), 0), one.write(window(7), plan('a', 'c'), 0)]);
  await Promise.all([zero.write(window(2), plan('a', 'b'), 0), one.write(window(8), plan('a', 'c'), 0)]);
  t.same([await zero.checkpointed(), await one.checkpointed()], [2, 8]);
});

t.test('a term whose marker was evicted is counted on from its checkpoints', async (t) => {
  const { operator, open } = await scene(t);
  const writer = await open();
  await writer.begin();
  await writer.begin();
  await writer.write(window(1), plan('a'), 0);
  const last = (await stored(operator)).at(-1)?.origin.term ?? 0;
  for (const { seq, origin } of await stored(operator))
    if (origin.kind === RecordKind.marker) await operator.jsm.streams.deleteMessage('INBOX_0', seq);
  await t.rejects(writer.write(window(2), plan('a'), 0), { code: 'TERM_LOST' }, 'the fence is gone with it');
  const next = await open();
  t.same(await next.begin(), { window: window(2), records: 1 }, 'what it wrote stands');
  const marker = (await stored(operator)).findLast(({ origin }) => origin.kind === RecordKind.marker);
  t.equal(marker?.origin.term, last + 1);
});

t.test('a killed server ends the term at once, not after a silence; the next goes on', async (t) => {
  const { nats, operator, open } = await scene(t);
  const writer = await open();
  await writer.begin();
  nats.server.signal('SIGKILL');
  const writing = writer.write(window(1), plan(...Array.from({ length: 2_000 }, (_, i) => `u${i}`)), 0);
  await t.rejects(writing, { code: /^(TERM_LOST|LOG_UNAVAILABLE)$/ });
  await nats.server.respawn();
  const point = await eventually(() => writer.begin().catch(() => undefined), 'a new term');
  await writer.write(window(1), plan('a', 'b'), point.window.from === 1 ? Math.min(point.records, 2) : 0);
  t.equal(await writer.checkpointed(), 1);
  const there = await eventually(() => valid(operator).catch(() => undefined), 'who looks is connected again');
  t.equal(there.filter((one) => one === '1-1:0').length, 1);
});

t.test('a stream that was deleted ends the term; the next makes it anew, as it was, with nothing in it', async (t) => {
  const { operator, open } = await scene(t);
  const before = await operator.jsm.streams.info('INBOX_0');
  const writer = await open();
  await writer.begin();
  await writer.write(window(1), plan('a'), 0);
  const [{ origin: old } = { origin: undefined }] = await stored(operator);
  await operator.jsm.streams.delete('INBOX_0');
  await t.rejects(writer.write(window(2), plan('a'), 0), { code: 'TERM_LOST' });
  t.same(await writer.begin(), NOTHING);
  const after = await operator.jsm.streams.info('INBOX_0');
  t.not(String(after.created), String(before.created), 'another epoch');
  t.same(after.config, before.config);
  await writer.write(window(1), plan('a'), 0);
  t.same(await valid(operator), ['1-1:0']);
  const [{ origin: young } = { origin: undefined }] = await stored(operator);
  t.not(young?.term, old?.term, 'what still comes of the lost stream is of no term of this one');
});

t.test('a lane with nothing to do keeps its checkpoint: each term writes it again', async (t) => {
  const { operator, open } = await scene(t);
  const writer = await open();
  await writer.begin();
  await writer.write(window(1, 3), plan('a'), 0);
  t.same(await writer.begin(), { window: window(1, 3), records: Number.POSITIVE_INFINITY });
  const [marker, checkpoint] = (await stored(operator)).slice(-2);
  t.match([marker?.origin.kind, checkpoint?.origin.kind], [RecordKind.marker, RecordKind.checkpoint]);
  await operator.jsm.streams.purge('INBOX_0', { seq: marker?.seq as number });
  t.equal(await writer.checkpointed(), 3);
  t.same(await (await open()).begin(), { window: window(1, 3), records: Number.POSITIVE_INFINITY });
});

t.test('a stream that has dropped all of a lane says so, a new one does not', async (t) => {
  const { operator, open } = await scene(t);
  const writer = await open();
  t.notOk((await writer.begin()).evicted);
  await writer.write(window(1, 3), plan('a'), 0);
  await operator.jsm.streams.purge('INBOX_0');
  t.same(await (await open()).begin(), { ...NOTHING, evicted: true });
});

t.test('a leader that tells of an older checkpoint than the last takes nothing back', async (t) => {
  const { open } = await scene(t);
  const writer = await open();
  await writer.begin();
  await writer.write(window(1, 3), plan('alice'), 0);
  const cp = await (await open(0)).checkpointed();
  // For nobody in this stream: nothing but its checkpoint tells of it.
  await writer.write(window(4, 6), [], 0);
  const deposed = (jsm: JetStreamManager): JetStreamManager =>
    Object.assign(Object.create(jsm), {
      streams: Object.assign(Object.create(jsm.streams), {
        async getMessage(stream: string, query: { last_by_subj: string }) {
          const isCheckpoint = query.last_by_subj.startsWith('cp.');
          return jsm.streams.getMessage(stream, isCheckpoint ? { seq: 3 } : query);
        },
      }),
    });
  t.equal(cp, 3);
  t.same(await (await open(0, deposed)).begin(), { window: window(4, 6), records: Number.POSITIVE_INFINITY });
});
