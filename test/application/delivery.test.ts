// long because: one list of all that may happen to a device on its way
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Delivery } from '../../src/application/delivery/delivery.ts';
import type { DeliveryLimits } from '../../src/application/delivery/parts.ts';
import type { LogReader } from '../../src/ports/conversation-log.ts';
import { MAX_LOST_RECORDS } from '../../src/projections/lineage.ts';
import { closeCodes } from '../../src/protocol/close-codes.ts';
import { jsonCodec, msgpackCodec } from '../../src/protocol/codec.ts';
import type { Cursor, Resume } from '../../src/protocol/frames.ts';
import { TestConnection } from '../support/connection.ts';
import { device, user, users } from '../support/given.ts';
import { copy, marker, pack, pointer } from '../support/inbox-records.ts';
import { quiet } from '../support/nats.ts';
import { GroupLog, noCursors, ScriptedInbox, ScriptedLog } from '../support/scripted-inbox.ts';
import { eventually } from '../support/waiting.ts';

const LIMITS: DeliveryLimits = {
  maxBufferedBytes: 100_000,
  ringMaxBytes: 1_000_000,
  ringMaxEntries: 1_000,
  maxColdEntries: 1_000,
  maxReplayEvents: 1_000,
};

async function scene(t: Test | undefined, inbox: ScriptedInbox, limits: Partial<DeliveryLimits> = {}, log?: LogReader) {
  const delivery = new Delivery({
    readers: [inbox],
    logs: [log ?? new ScriptedLog(0)],
    cursors: noCursors,
    topology: { convStreams: 1, inboxStreams: 1 },
    frameOnWire,
    limits: { ...LIMITS, ...limits },
    onConfirmed: () => undefined,
    gateway: 'g',
    log: quiet,
  });
  await delivery.start();
  t?.teardown(() => delivery.drain());
  const attach = (name: string, resume: Resume, connection = new TestConnection()) => ({
    connection,
    attachment: delivery.attach({ user: user(name), device: device('d'), connection }, resume),
  });
  return { delivery, attach };
}

/** A marker, then a message for each of `names` at positions 1, 2, 3 … */
function stored(...names: string[]): ScriptedInbox {
  const inbox = new ScriptedInbox();
  inbox.append('term', '0', marker());
  for (const [i, name] of names.entries()) inbox.append('inbox', name, copy([i + 1]));
  return inbox;
}

const isAt = (connection: TestConnection, seq: number): Promise<true> =>
  eventually(() => connection.cursor?.seq === seq || undefined, `a cursor at ${seq}`);

t.test('a tick leaves in one write a device, the same bytes for all who got the same', async (t) => {
  const inbox = stored();
  const { attach } = await scene(t, inbox);
  const members = ['a', 'b', 'c'].map((name) => attach(name, 'latest').connection);
  const other = attach('other', 'latest').connection;
  for (const each of [...members, other]) await isAt(each, 1);
  for (const each of [...members, other]) each.written.length = 0;
  inbox.append('pack', '0', pack([1, 2], { offset: 0 }));
  for (const [i, name] of ['a', 'b', 'c'].entries()) inbox.append('inbox', name, pointer([1, 2], 0, { offset: i + 1 }));
  for (const [i, name] of ['a', 'b', 'c'].entries())
    inbox.append('inbox', name, copy([3], { from: 3, to: 3, offset: i }));
  inbox.tick();
  t.same(
    members.map(({ written }) => written.length),
    [1, 1, 1],
  );
  t.equal(members[0]?.written[0], members[2]?.written[0]);
  t.same(members[0]?.positions, [1, 2, 3]);
  t.match(members[0]?.cursor, { t: 'cursor', epoch: 'e1.1-1', seq: 8 });
  t.same(other.written, [], 'nothing for whom nothing came');
});

t.test('both codecs get the same entries', async (t) => {
  const inbox = stored('a', 'a');
  const { attach } = await scene(t, inbox);
  const seen = [];
  for (const codec of [msgpackCodec, jsonCodec]) {
    const { connection } = attach('a', 'everything', new TestConnection(codec));
    await isAt(connection, 3);
    seen.push(connection.entries.map((entry) => ({ ...entry, body: 'body' in entry && [...entry.body] })));
  }
  t.equal(seen[0]?.length, 2);
  t.same(seen[0], seen[1]);
});

t.test('a pointer whose pack went by too long ago is resolved from the log, in its place', async (t) => {
  const inbox = stored();
  const log = new ScriptedLog(9);
  const { attach } = await scene(t, inbox, {}, log);
  const [a, b] = ['a', 'b'].map((name) => attach(name, 'latest').connection) as [TestConnection, TestConnection];
  await isAt(a, 1);
  await isAt(b, 1);
  inbox.append('inbox', 'a', copy([1], { from: 1, to: 1 }));
  inbox.append('inbox', 'a', pointer([2, 4], 7, { from: 2, to: 4, offset: 8 }));
  inbox.append('inbox', 'b', pointer([2, 4], 7, { from: 2, to: 4, offset: 9 }));
  inbox.append('inbox', 'a', copy([5], { from: 5, to: 5 }));
  inbox.tick();
  await isAt(a, 5);
  t.same(a.positions, [1, 2, 4, 5]);
  t.match(a.entries[2], { n: 3, pos: 4, type: 'message' }, 'indexes count on from the pointer’s');
  await eventually(() => b.positions.length === 2, 'the pack for b');
  t.same(b.positions, [2, 4]);
  t.same(a.resyncs, []);
});

t.test('what arrives while a cursor ahead of the tail is checked is not passed over', async (t) => {
  const inbox = stored('a', 'a');
  const { attach } = await scene(t, inbox);
  for (let pos = 3; pos <= 6; pos++) inbox.append('inbox', 'a', copy([pos], { from: pos, to: pos }));
  const release = inbox.hold();
  const { connection } = attach('a', { epoch: 'e1', seq: 5 });
  inbox.tick();
  release();
  await isAt(connection, 7);
  t.same(connection.positions, [5, 6]);
  t.same(connection.resyncs, []);
});

t.test('what a slower tail brings again is not written to a device that has it already', async (t) => {
  const inbox = stored('a', 'a');
  const { attach } = await scene(t, inbox);
  for (let pos = 3; pos <= 6; pos++) inbox.append('inbox', 'a', copy([pos], { from: pos, to: pos }));
  const { connection } = attach('a', { epoch: 'e1', seq: 5 });
  await isAt(connection, 5);
  inbox.tick(1);
  inbox.tick();
  await isAt(connection, 7);
  t.same(connection.positions, [5, 6]);
});

t.test('a cursor beyond the end of the stream is not believed', async (t) => {
  const { attach } = await scene(t, stored('a'));
  const { connection } = attach('a', { epoch: 'e1', seq: 99 });
  await isAt(connection, 2);
  t.same(connection.resyncs, ['CURSOR_UNKNOWN']);
});

t.test('what the stream drops while a device reads it is noticed', async (t) => {
  const inbox = stored(...Array.from({ length: 20 }, () => 'a'));
  const { attach } = await scene(t, inbox, { ringMaxEntries: 2 });
  const release = inbox.hold();
  const { connection } = attach('a', { epoch: 'e1', seq: 3 });
  // The answer to the first read comes when what should have been in it is gone.
  inbox.evict(15);
  release();
  await eventually(() => connection.resyncs.length > 0, 'a resync');
  t.same(connection.resyncs, ['CURSOR_TOO_OLD']);
  await isAt(connection, 21);
});

t.test('records that no kept marker can judge are beyond the retention, not skipped', async (t) => {
  const inbox = stored('a', 'a', 'a');
  inbox.append('term', '0', marker({ term: 2 }));
  inbox.append('inbox', 'a', copy([4], { term: 2 }));
  inbox.evict(3);
  const { attach } = await scene(t, inbox);
  const old = attach('a', { epoch: 'e1', seq: 2 }).connection;
  const young = attach('a', { epoch: 'e1', seq: 5 }).connection;
  await isAt(young, 6);
  t.same([young.positions, young.resyncs], [[4], []]);
  await isAt(old, 6);
  t.same(old.resyncs, ['CURSOR_TOO_OLD']);
});

t.test('too many records behind is too far behind', async (t) => {
  const inbox = stored(...Array.from({ length: 200 }, () => 'a'));
  const { attach } = await scene(t, inbox, { ringMaxEntries: 2, maxColdEntries: 50 });
  const { connection } = attach('a', { epoch: 'e1', seq: 1 });
  await isAt(connection, 201);
  t.same(connection.resyncs, ['TOO_FAR_BEHIND']);
});

t.test(
  'records that stand close together are read in a row, once each and in order, past full sockets too',
  async (t) => {
    const others = ['b', 'c'];
    const names = Array.from({ length: 6_000 }, (_, i) => (i % 3 === 0 ? 'a' : (others[i % 2] as string)));
    const inbox = stored(...names);
    const { attach } = await scene(t, inbox, { ringMaxEntries: 2, maxColdEntries: 400 });
    const connection = new TestConnection(jsonCodec);
    connection.stopReading();
    attach('a', { epoch: 'e1', seq: 1 }, connection);
    await eventually(() => connection.bufferedBytes > LIMITS.maxBufferedBytes, 'its socket is full');
    connection.readOn();
    await isAt(connection, 6_001);
    t.same(connection.resyncs, []);
    t.same(
      connection.positions,
      names.flatMap((name, i) => (name === 'a' ? [i + 1] : [])),
    );
    t.ok(inbox.lookedUp < 400, `${inbox.lookedUp} of 2,000 were looked up one by one`);
  },
);

t.test('a pack that is read in a row serves its pointers, and the log is not asked', async (t) => {
  const inbox = stored(...Array.from({ length: 100 }, () => 'a'));
  const log = new ScriptedLog(300);
  inbox.append('pack', '0', pack([101, 102], { from: 101, to: 102, offset: 0 }));
  inbox.append('inbox', 'a', pointer([101, 102], 0, { from: 101, to: 102, offset: 1 }));
  for (let pos = 103; pos <= 105; pos++) inbox.append('inbox', 'a', copy([pos], { from: pos, to: pos }));
  const { delivery, attach } = await scene(t, inbox, { ringMaxEntries: 1 }, log);
  await eventually(() => delivery.ready, 'the tail');
  const { connection } = attach('a', { epoch: 'e1', seq: 1 });
  await isAt(connection, 106);
  t.same(
    connection.positions,
    Array.from({ length: 105 }, (_, i) => i + 1),
  );
  t.equal(log.reads, 0);
});

t.test('records far from each other are looked up, and the rest of the stream is not read', async (t) => {
  const inbox = stored(...Array.from({ length: 20_000 }, (_, i) => (i % 200 === 0 ? 'a' : 'b')));
  const { attach } = await scene(t, inbox, { ringMaxEntries: 2 });
  const { connection } = attach('a', { epoch: 'e1', seq: 1 });
  await isAt(connection, 20_001);
  t.equal(connection.positions.length, 100);
  t.equal(inbox.readInARow, 0);
});

t.test('a lost tail is not ready; devices wait, and go on from where they are', async (t) => {
  const inbox = stored('a');
  const { delivery, attach } = await scene(t, inbox);
  const early = attach('a', 'latest').connection;
  await isAt(early, 2);
  inbox.isMissing = true;
  inbox.lose();
  t.notOk(delivery.ready);
  const late = attach('a', { epoch: 'e1', seq: 1 }).connection;
  inbox.append('inbox', 'a', copy([2], { from: 2, to: 2 }));
  inbox.isMissing = false;
  await eventually(() => delivery.ready, 'a new tail');
  await isAt(early, 3);
  await isAt(late, 3);
  t.same([early.positions, late.positions], [[2], [1, 2]]);
  t.same([...early.resyncs, ...late.resyncs], []);
});

t.test('a tail that is lost while a device reads below the ring: what it reads meanwhile comes once', async (t) => {
  const inbox = stored('a', 'a', 'a', 'a');
  const { attach } = await scene(t, inbox, { ringMaxEntries: 1 });
  const open = inbox.hold();
  const { connection } = attach('a', 'everything');
  inbox.lose();
  open();
  await isAt(connection, 5);
  inbox.append('inbox', 'a', copy([5], { from: 5, to: 5 }));
  await eventually(() => {
    inbox.tick();
    return connection.cursor?.seq === 6;
  }, 'what comes live');
  t.same(connection.positions, [1, 2, 3, 4, 5]);
});

t.test(
  'two tails lost while a device reads: where it had been something else stands now, and it gets that',
  async (t) => {
    const inbox = stored('a', 'a', 'a', 'a', 'a', 'a');
    const { delivery, attach } = await scene(t, inbox, { ringMaxEntries: 1 });
    const release = inbox.holdRecords();
    const { connection } = attach('a', { epoch: 'e1.1-1', seq: 4 });
    inbox.recreate('e1');
    inbox.append('term', '0', marker());
    inbox.append('inbox', 'a', copy([1]));
    inbox.append('term', '0', marker({ from: 7 }));
    for (const pos of [7, 8]) inbox.append('inbox', 'a', copy([pos], { from: pos, to: pos }));
    inbox.lose();
    await eventually(() => delivery.ready, 'a second tail');
    inbox.lose();
    release();
    await eventually(() => connection.cursor?.epoch === 'e1.3-7.1-1' || undefined, 'a cursor of the new past');
    t.ok(connection.positions.includes(7), 'it stands before the place that the device had');
  },
);

t.test('a stream made anew means a resync for everybody, those included who were on their way', async (t) => {
  const inbox = stored('a', 'a', 'a');
  const { delivery, attach } = await scene(t, inbox, { ringMaxEntries: 1 });
  const live = attach('a', 'latest').connection;
  await isAt(live, 4);
  const release = inbox.hold();
  const reading = attach('a', { epoch: 'e1', seq: 1 }).connection;
  inbox.recreate('e2');
  inbox.append('term', '0', marker());
  inbox.append('inbox', 'a', copy([1]));
  inbox.lose();
  release();
  await eventually(() => delivery.ready, 'a new tail');
  for (const connection of [live, reading]) {
    await eventually(
      () => connection.cursor?.epoch === 'e2.1-1' && connection.cursor.seq === 2,
      'a cursor of the new stream',
    );
    t.same(connection.resyncs, ['EPOCH_CHANGED']);
  }
  t.notOk(
    reading.frames.some((frame) => frame.t === 'cursor' && frame.epoch.startsWith('e1')),
    'what was read of another stream is vouched for by no cursor',
  );
});

t.test('a stream that lost its end: nobody skips what is written there anew', async (t) => {
  for (const hasGrown of [false, true]) {
    const inbox = stored('a', 'a', 'a');
    const { attach } = await scene(t, inbox);
    const { connection } = attach('a', 'latest');
    await isAt(connection, 4);
    const cursor = connection.cursor as Cursor;
    inbox.recreate('e1');
    inbox.append('term', '0', marker());
    const grow = (): void => {
      inbox.append('term', '0', marker({ term: 2, from: 7, to: 7 }));
      for (const pos of [8, 9, 10]) inbox.append('inbox', 'a', copy([pos], { term: 2, from: pos, to: pos }));
    };
    if (hasGrown) grow();
    inbox.lose();
    if (!hasGrown) {
      const early = attach('a', cursor).connection;
      await isAt(early, 4);
      t.same(early.positions, [], 'its cursor does not go back, and still means what it meant');
      grow();
      inbox.tick();
    }
    await isAt(connection, 5);
    t.same(connection.positions, [8, 9, 10], `grown again: ${hasGrown}`);
    const away = attach('a', cursor).connection;
    await isAt(away, 5);
    t.same(away.positions, [8, 9, 10], 'one that was away');
    t.same([...connection.resyncs, ...away.resyncs], []);
  }
});

t.test(
  'a cursor further beyond the end than a stream can have been is not believed, whatever past it carries',
  async (t) => {
    for (const hasGrown of [false, true]) {
      const inbox = stored('a');
      inbox.append('term', '0', marker({ term: 2, from: 2, to: 2 }));
      const { attach } = await scene(t, inbox);
      const { connection } = attach('a', 'latest');
      await isAt(connection, 3);
      const { epoch } = connection.cursor as Cursor;
      if (hasGrown) {
        inbox.append('term', '0', marker({ term: 3, from: 3, to: 3 }));
        inbox.tick();
        await isAt(connection, 4);
      }
      const end = hasGrown ? 4 : 3;
      for (const [seq, resyncs] of [
        [end + MAX_LOST_RECORDS + 1, ['CURSOR_UNKNOWN']],
        [Number.MAX_SAFE_INTEGER, ['CURSOR_UNKNOWN']],
        [end + 1_000, []],
      ] as const) {
        const forged = attach('a', { epoch, seq }).connection;
        // One that is believed does not go back; where another marker stands behind its own it is of the past before it.
        const isBelieved = resyncs.length === 0 && !hasGrown;
        await isAt(forged, isBelieved ? seq : end);
        t.same(forged.resyncs, resyncs, `${seq}, grown: ${hasGrown}`);
      }
    }
  },
);

t.test('a cursor that carries another past is no place to go on from', async (t) => {
  const inbox = stored('a', 'a', 'a');
  const { attach } = await scene(t, inbox);
  const { connection } = attach('a', { epoch: 'e1.1-9', seq: 3 });
  await isAt(connection, 4);
  t.same(connection.resyncs, ['CURSOR_UNKNOWN']);
});

t.test('a cursor whose marker our tail has not brought yet is asked of the stream', async (t) => {
  const inbox = stored('a');
  const { attach } = await scene(t, inbox);
  await isAt(attach('a', 'latest').connection, 2);
  inbox.append('term', '0', marker({ term: 2, from: 7, to: 7 }));
  inbox.append('inbox', 'a', copy([2], { term: 2, from: 2, to: 2 }));
  const { connection } = attach('a', { epoch: 'e1.3-7.1-1', seq: 3 });
  inbox.tick();
  await isAt(connection, 4);
  t.same([connection.positions, connection.resyncs], [[2], []]);
});

t.test('a slow reader leaves the live tail in bounds, others go on, and it lacks nothing in the end', async (t) => {
  const inbox = stored();
  const { attach } = await scene(t, inbox, { maxBufferedBytes: 2_000 });
  const [slow, fast] = [attach('a', 'latest').connection, attach('a', 'latest').connection];
  await isAt(slow, 1);
  await isAt(fast, 1);
  slow.stopReading();
  for (let pos = 1; pos <= 500; pos++) {
    inbox.append('inbox', 'a', copy([pos], { from: pos, to: pos }));
    inbox.tick();
  }
  const all = Array.from({ length: 500 }, (_, i) => i + 1);
  t.same(fast.positions, all);
  t.ok(slow.positions.length < 100, 'the slow one was left alone');
  t.ok(slow.peakBytes < 3_000, `${slow.peakBytes} bytes at most`);
  slow.readOn();
  await isAt(slow, 501);
  t.same(slow.positions, all);
});

t.test('devices that do not read do not keep others from reading the stream', async (t) => {
  const inbox = stored(...Array.from({ length: 300 }, () => 'a'));
  const { attach } = await scene(t, inbox, { ringMaxEntries: 1, maxBufferedBytes: 2_000 });
  const stuck = Array.from({ length: 100 }, () => new TestConnection());
  for (const each of stuck) {
    each.stopReading();
    attach('a', { epoch: 'e1', seq: 1 }, each);
  }
  const { connection } = attach('a', { epoch: 'e1', seq: 1 });
  await isAt(connection, 301);
  t.equal(connection.positions.length, 300);
  const peakBytes = Math.max(...stuck.map((each) => each.peakBytes));
  t.ok(peakBytes < 2_500, `${peakBytes} bytes at most`);
});

t.test('what nobody of ours wrote is passed over, and the others go on', async (t) => {
  const inbox = stored('a');
  const { attach } = await scene(t, inbox);
  const { connection } = attach('a', 'everything');
  await isAt(connection, 2);
  inbox.append('inbox', 'a', new Uint8Array([9, 9, 9]));
  inbox.append('term', '0', new Uint8Array(0));
  inbox.append('inbox', 'a', copy([2], { from: 2, to: 2 }));
  inbox.tick();
  await isAt(connection, 5);
  t.same(connection.positions, [1, 2]);
});

t.test('writers hear of the tail while there is one, and of a lost one nothing', async (t) => {
  const inbox = stored('a');
  const { delivery } = await scene(t, inbox);
  await eventually(() => inbox.reported.at(-1) === 2, 'a report of the tail');
  inbox.isMissing = true;
  inbox.lose();
  inbox.append('inbox', 'a', copy([2], { from: 2, to: 2 }));
  const before = inbox.reported.length;
  // A quarter of a second lies between two attempts, as between two reports.
  await eventually(() => inbox.missed >= 4, 'some attempts');
  inbox.isMissing = false;
  await eventually(() => delivery.ready, 'a new tail');
  t.equal(inbox.reported.length, before, 'nothing while it was lost');
  await eventually(() => inbox.reported.at(-1) === 3, 'a report of the new tail');
});

t.test('who detached gets nothing more', async (t) => {
  const inbox = stored();
  const { attach } = await scene(t, inbox);
  const { connection, attachment } = attach('a', 'latest');
  await isAt(connection, 1);
  attachment.detach();
  inbox.append('inbox', 'a', copy([1]));
  inbox.tick();
  t.same(connection.positions, []);
});

t.test('a log too long to be replayed for one device turns it away', async (t) => {
  const { attach } = await scene(t, stored('a'), { maxReplayEvents: 10 }, new ScriptedLog(11));
  const { connection } = attach('a', { epoch: 'another', seq: 1 });
  await eventually(() => connection.closed, 'the connection is closed');
  t.equal(connection.closed?.code, closeCodes.TOO_FAR_BEHIND);
});

t.test(
  'who does not read while the log is replayed keeps nobody else from it, and lacks nothing in the end',
  async (t) => {
    const log = new GroupLog(600, users('a', 'b'));
    const { attach } = await scene(t, stored('a'), { maxReplayEvents: 1_000, maxBufferedBytes: 2_000 }, log);
    const lost = { epoch: 'another', seq: 1 };
    const silent = Array.from({ length: 8 }, () => attach('a', lost).connection);
    for (const connection of silent) connection.stopReading();
    const reader = attach('b', lost).connection;
    await eventually(() => reader.cursor, 'the replay of who reads');
    t.equal(reader.positions.length, 600);
    for (const { peakBytes } of silent) t.ok(peakBytes > 2_000 && peakBytes < 400_000, `${peakBytes} bytes unsent`);
    for (const connection of silent) connection.readOn();
    await eventually(() => silent.every(({ cursor }) => cursor), 'the replays of the others');
    for (const { positions } of silent) t.same(positions, reader.positions);
  },
);

t.test('a replay that is cut off, however often, goes on behind what the device has of it', async (t) => {
  const inbox = stored('a');
  const { attach } = await scene(t, inbox, { maxBufferedBytes: 2_000 }, new GroupLog(600, users('a', 'b')));
  const got: number[] = [];
  let resume: Cursor = { epoch: 'another', seq: 1 };
  let connections = 0;
  for (let isDone = false; !isDone; connections++) {
    const { connection, attachment } = attach('a', resume);
    // It takes one portion, and is gone.
    connection.stopReading();
    resume = await eventually(() => connection.place, 'a place to go on from');
    attachment.detach();
    got.push(...connection.positions);
    t.equal(connection.resyncs.length, 1);
    isDone = connection.cursor !== undefined;
    if (connections > 0) continue;
    inbox.append('inbox', 'a', copy([601], { from: 601, to: 601 }));
    inbox.tick();
  }
  t.same(
    got,
    Array.from({ length: 601 }, (_, i) => i + 1),
    'each once, and what the inbox got meanwhile behind it',
  );
  t.equal(connections, 4);
});

t.test('a replay whose connections are lost at any step reads nothing twice for it, and ends', async (t) => {
  const members = users('a', 'b');
  let [read, leave] = [0, (): void => undefined];
  /** Whoever reads loses the connection behind the next part. */
  class LosingLog extends GroupLog {
    override async *readParts(from: number, to: number) {
      for await (const part of super.readParts(from, to)) {
        read += part.length;
        yield part;
        leave();
        await new Promise(setImmediate);
      }
    }
  }
  const { attach } = await scene(t, stored('a'), {}, new LosingLog(600, members));
  const got: number[] = [];
  let resume: Cursor = { epoch: 'another', seq: 1 };
  let connections = 0;
  for (let isDone = false; !isDone; connections++) {
    const { connection, attachment } = attach('a', resume);
    let isLost = false;
    leave = () => {
      isLost = true;
      attachment.detach();
    };
    await eventually(() => isLost || connection.cursor !== undefined, 'its end, or that of the replay');
    got.push(...connection.positions);
    resume = connection.place ?? resume;
    isDone = connection.cursor !== undefined;
  }
  t.same(
    got,
    Array.from({ length: 600 }, (_, i) => i + 1),
  );
  t.ok(connections > 100, `${connections} connections`);
  // Twice, as a whole replay does; and of a portion what was not folded yet when a connection was lost.
  t.ok(read < 3 * 600, `${read} events were read`);
});

t.test('a place in a replay that lies in no log is none: all is replayed', async (t) => {
  const { attach } = await scene(t, stored('a'), {}, new GroupLog(20, users('a', 'b')));
  for (const place of ['zz-1', '0-zz', '1-0']) {
    const { connection } = attach('a', { epoch: `${place}~e1.1-1`, seq: 2 });
    await isAt(connection, 2);
    t.equal(connection.positions.length, 20, place);
  }
});

t.test('a stream that loses its end while the log is replayed: what it gets anew is not passed over', async (t) => {
  const inbox = stored('a', 'a');
  const log = new GroupLog(600, users('a', 'b'));
  const { delivery, attach } = await scene(t, inbox, { maxBufferedBytes: 2_000 }, log);
  const cut = attach('a', { epoch: 'another', seq: 1 });
  cut.connection.stopReading();
  await eventually(() => cut.connection.place, 'the first portion');
  inbox.recreate('e1');
  inbox.append('term', '0', marker());
  inbox.append('term', '0', marker({ from: 700 }));
  inbox.append('inbox', 'a', copy([700], { from: 700, to: 700 }));
  inbox.lose();
  await eventually(() => delivery.ready, 'a new tail');
  const { length } = cut.connection.frames;
  cut.connection.drain();
  await eventually(() => cut.connection.frames.length > length + 1, 'another portion');
  cut.attachment.detach();
  const { connection } = attach('a', cut.connection.place as Cursor);
  await isAt(connection, 3);
  t.same(connection.positions.slice(-2), [600, 700]);
});

type Step =
  | { readonly type: 'append'; readonly user: number; readonly isVoid: boolean }
  | { readonly type: 'tick'; readonly count: number }
  | { readonly type: 'attach'; readonly user: number; readonly behind: number }
  | { readonly type: 'stall'; readonly which: number }
  | { readonly type: 'drain'; readonly which: number }
  | { readonly type: 'turn' }
  | { readonly type: 'takeOver' };

const nat = (max: number) => fc.nat(max);
const history: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant('append' as const), user: nat(2), isVoid: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('tick' as const), count: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('attach' as const), user: nat(2), behind: nat(25) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('stall' as const), which: nat(9) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('drain' as const), which: nat(9) }) },
    { weight: 4, arbitrary: fc.constant({ type: 'turn' as const }) },
    { weight: 1, arbitrary: fc.constant({ type: 'takeOver' as const }) },
  ),
  { maxLength: 120, size: 'max' },
);

t.test(
  'in any history of arrivals, resumes, stalls and takeovers each device gets each entry behind its cursor, once, in order',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 1, max: 30 }), async (steps, ringMaxEntries) => {
        const inbox = stored();
        const { delivery, attach } = await scene(undefined, inbox, { ringMaxEntries, maxBufferedBytes: 300 });
        const records: { readonly seq: number; readonly user: string; readonly pos: number }[] = [];
        const devices: { readonly connection: TestConnection; readonly user: string; readonly from: number }[] = [];
        let [pos, term, seq] = [0, 1, 1];
        for (const step of steps) {
          if (step.type === 'append') {
            const name = `u${step.user}`;
            pos += 1;
            seq = inbox.append('inbox', name, copy([pos], { term: step.isVoid ? term - 1 : term, from: pos, to: pos }));
            if (!step.isVoid) records.push({ seq, user: name, pos });
          } else if (step.type === 'tick') inbox.tick(step.count);
          else if (step.type === 'takeOver') seq = inbox.append('term', '0', marker({ term: ++term }));
          else if (step.type === 'turn') await new Promise((resolve) => setImmediate(resolve));
          else if (step.type === 'attach') {
            const [name, from] = [`u${step.user}`, Math.max(1, seq - step.behind)];
            devices.push({ ...attach(name, { epoch: 'e1', seq: from }), user: name, from });
          } else if (step.type === 'stall') devices[step.which % devices.length]?.connection.stopReading();
          else if (step.type === 'drain') devices[step.which % devices.length]?.connection.drain();
        }
        inbox.tick();
        for (const { connection } of devices) connection.readOn();
        const wanted = devices.map(({ user, from }) =>
          records.filter((record) => record.user === user && record.seq > from).map((record) => record.pos),
        );
        await eventually(
          () => devices.every(({ connection }, i) => connection.positions.length >= (wanted[i]?.length ?? 0)),
          'all entries',
        );
        for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
        const found = devices.map(({ connection }) => connection.positions);
        await delivery.drain();
        t.same(found, wanted);
        t.same(
          devices.flatMap(({ connection }) => connection.resyncs),
          [],
        );
      }),
      { numRuns: 300 },
    );
  },
);
