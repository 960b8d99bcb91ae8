/** A device that asks what has changed where it cannot go on, on a scripted inbox: what it is told, and that it goes live without a gap. */
import t, { type Test } from 'tap';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Delivery } from '../../src/application/delivery/delivery.ts';
import type { LogReader } from '../../src/ports/conversation-log.ts';
import type { CursorFrame, OnGap, Resume, ResyncFrame } from '../../src/protocol/frames.ts';
import { TestConnection } from '../support/connection.ts';
import { device, user } from '../support/given.ts';
import { checkpoint, copy, marker } from '../support/inbox-records.ts';
import { quiet } from '../support/nats.ts';
import { noCursors, ScriptedInbox, ScriptedLog } from '../support/scripted-inbox.ts';
import { eventually } from '../support/waiting.ts';

const limits = {
  maxBufferedBytes: 100_000,
  ringMaxBytes: 1_000_000,
  ringMaxEntries: 1_000,
  maxColdEntries: 1_000,
  maxReplayEvents: 1_000,
};

async function scene(t: Test, inbox: ScriptedInbox, logs: readonly LogReader[], changed: Partial<typeof limits> = {}) {
  const delivery = new Delivery({
    readers: [inbox],
    logs,
    cursors: noCursors,
    topology: { convStreams: logs.length, inboxStreams: 1 },
    frameOnWire,
    limits: { ...limits, ...changed },
    onConfirmed: () => undefined,
    gateway: 'g',
    log: quiet,
  });
  await delivery.start();
  t.teardown(() => delivery.drain());
  return (resume: Resume, onGap?: OnGap): TestConnection => {
    const connection = new TestConnection();
    delivery.attach({ user: user('a'), device: device('d'), connection }, resume, onGap);
    return connection;
  };
}

/** A marker, then a message for the user at positions 1, 2, 3 … */
function stored(count: number): ScriptedInbox {
  const inbox = new ScriptedInbox();
  inbox.append('term', '0', marker());
  for (let pos = 1; pos <= count; pos++) inbox.append('inbox', 'a', copy([pos], { from: pos, to: pos }));
  return inbox;
}

/** A log whose end moves. */
class GrowingLog extends ScriptedLog {
  end: number;

  constructor(end: number) {
    super(end);
    this.end = end;
  }

  override async lastPos(): Promise<number> {
    return this.end;
  }
}

const resyncOf = ({ frames }: TestConnection): ResyncFrame | undefined =>
  frames.find((frame) => frame.t === 'resync') as ResyncFrame | undefined;

t.test('a cursor that cannot be resumed: no entry of the past, the end of the log, a cursor, then live', async (t) => {
  const inbox = stored(5);
  inbox.append('term', '0', marker());
  inbox.evict(4);
  const attach = await scene(t, inbox, [new ScriptedLog(36), new ScriptedLog(0)]);
  const connection = attach({ epoch: 'e1', seq: 1 }, 'changes');
  await eventually(() => connection.cursor, 'a cursor');
  t.same(
    connection.frames.slice(0, 2).map((frame) => frame.t),
    ['resync', 'cursor'],
  );
  t.same(resyncOf(connection), { t: 'resync', reason: 'CURSOR_TOO_OLD', by: 'changes', reached: '10.0' });
  t.equal(connection.cursor?.seq, 7);
  inbox.append('inbox', 'a', copy([37], { from: 37, to: 37 }));
  inbox.tick();
  await eventually(() => connection.cursor?.seq === 8, 'what came live');
  t.same(connection.positions, [37]);
  t.same(connection.resyncs, ['CURSOR_TOO_OLD'], 'once');
});

t.test('what is stored in the inbox while the log is looked at comes live', async (t) => {
  const inbox = stored(2);
  const log = new GrowingLog(2);
  const attach = await scene(t, inbox, [log]);
  const release = inbox.hold();
  const connection = attach({ epoch: 'another', seq: 9 }, 'changes');
  release();
  // The place is known, the end of the log not yet: this one is behind the place, and in the log as well.
  const looked = log.lastPos;
  log.lastPos = async () => {
    log.lastPos = looked;
    log.end = 3;
    inbox.append('inbox', 'a', copy([3], { from: 3, to: 3 }));
    inbox.tick();
    return looked.call(log);
  };
  await eventually(() => connection.positions.length === 1, 'what came meanwhile');
  t.same(connection.positions, [3]);
  t.equal(resyncOf(connection)?.reached, '3');
});

t.test('a device with nothing is told so, and one that only wants what comes is not', async (t) => {
  const attach = await scene(t, stored(2), [new ScriptedLog(2)]);
  const [first, second] = [attach('latest', 'changes'), attach('latest')];
  await eventually(() => first.cursor && second.cursor, 'cursors');
  t.same(resyncOf(first), { t: 'resync', reason: 'NOTHING_KEPT', by: 'changes', reached: '2' });
  t.same(second.resyncs, []);
  t.same([first.positions, second.positions], [[], []]);
});

t.test('where it can go on it does, and nothing is said of changes', async (t) => {
  const attach = await scene(t, stored(3), [new ScriptedLog(3)]);
  const connection = attach({ epoch: 'e1.1-1', seq: 2 }, 'changes');
  await eventually(() => connection.cursor?.seq === 4, 'the end');
  t.same(connection.positions, [2, 3]);
  t.same(connection.resyncs, []);
});

t.test('further behind than is read for one device it asks as well; the log is not read', async (t) => {
  const log = new ScriptedLog(300);
  const attach = await scene(t, stored(300), [log], { ringMaxEntries: 2, maxColdEntries: 50 });
  const connection = attach({ epoch: 'e1.1-1', seq: 1 }, 'changes');
  await eventually(() => connection.cursor?.seq === 301, 'the end');
  t.same(connection.resyncs, ['TOO_FAR_BEHIND']);
  t.equal(log.reads, 0);
  t.equal(connection.positions.length, 64, 'what was read before came as entries: a portion');
});

t.test('read in a row out of the stream it is sent no more than asking would cost', async (t) => {
  const attach = await scene(t, stored(5_000), [new ScriptedLog(5_000)], { ringMaxEntries: 2 });
  const connection = attach({ epoch: 'e1.1-1', seq: 1 }, 'changes');
  await eventually(() => connection.cursor?.seq === 5_001, 'the end');
  t.same(connection.resyncs, ['TOO_FAR_BEHIND']);
  t.equal(connection.positions.length, 1_000);
});

t.test('out of the ring it is sent no more than asking would cost; who wants a replay gets all of it', async (t) => {
  const attach = await scene(t, stored(5_000), [new ScriptedLog(5_000)], {
    ringMaxEntries: 10_000,
    ringMaxBytes: 10_000_000,
  });
  const asks = attach({ epoch: 'e1.1-1', seq: 1 }, 'changes');
  const reads = attach({ epoch: 'e1.1-1', seq: 1 });
  await eventually(() => asks.cursor?.seq === 5_001 && reads.cursor?.seq === 5_001, 'the end');
  t.same([asks.resyncs, reads.resyncs], [['TOO_FAR_BEHIND'], []]);
  t.equal(reads.positions.length, 5_000);
  t.ok(asks.positions.length >= 1_000 && asks.positions.length < 5_000, `${asks.positions.length} came as entries`);
  t.same(asks.positions, reads.positions.slice(0, asks.positions.length), 'from the beginning, in order');
});

t.test('a cursor says as of when, once the checkpoints have passed what the log had', async (t) => {
  const inbox = stored(2);
  const before = Date.now();
  inbox.append('cp', '0', checkpoint({ from: 1, to: 2 }));
  const attach = await scene(t, inbox, [new GrowingLog(2)]);
  const asOfIn = (connection: TestConnection): number | undefined =>
    (connection.frames.findLast((frame) => frame.t === 'cursor') as CursorFrame | undefined)?.asOf;
  await eventually(async () => {
    const connection = attach('latest');
    await eventually(() => connection.cursor, 'a cursor');
    const asOf = asOfIn(connection);
    return asOf !== undefined && asOf >= before && asOf <= Date.now();
  }, 'a cursor with a time');
  const behind = attach({ epoch: 'e1.1-1', seq: 1 });
  await eventually(() => behind.cursor?.seq === 4, 'the end');
  t.ok(asOfIn(behind));
});
