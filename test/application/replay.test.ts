import t from 'tap';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Device } from '../../src/application/delivery/device.ts';
import { Replay } from '../../src/application/delivery/replay.ts';
import type { LogRecord } from '../../src/ports/conversation-log.ts';
import { closeCodes } from '../../src/protocol/close-codes.ts';
import { jsonCodec } from '../../src/protocol/codec.ts';
import { TestConnection } from '../support/connection.ts';
import { conversation, device, msgId, user, users } from '../support/given.ts';
import { quiet } from '../support/nats.ts';
import { GroupLog, noCursors, ScriptedLog } from '../support/scripted-inbox.ts';
import { eventually } from '../support/waiting.ts';

const LIMITS = {
  maxBufferedBytes: 1_000_000,
  ringMaxBytes: 1_000_000,
  ringMaxEntries: 1_000,
  maxColdEntries: 1_000,
  maxReplayEvents: 10_000,
};
const KEPT = { max: 16, maxEvents: 1_000, ms: 60_000 };

/** Counts how often it is read from its beginning, and waits in front of each part where a test holds it. */
class CountedLog extends GroupLog {
  beginnings = 0;
  held: Promise<void> | undefined;

  override async *readParts(from: number, to: number) {
    if (from === 1) this.beginnings += 1;
    for await (const part of super.readParts(from, to)) {
      await this.held;
      yield part;
    }
  }
}

function scene(log: ScriptedLog, kept: Partial<typeof KEPT> = {}, limits: Partial<typeof LIMITS> = {}) {
  const parts = {
    readers: [],
    logs: [log],
    cursors: noCursors,
    topology: { convStreams: 1, inboxStreams: 1 },
    frameOnWire,
    limits: { ...LIMITS, ...limits },
    onConfirmed: () => undefined,
    gateway: 'g',
    log: quiet,
  };
  const replay = new Replay(parts, { ...KEPT, ...kept });
  const connected = (name = 'd') => {
    const connection = new TestConnection(jsonCodec);
    const whose = { user: user('a'), device: device(name), connection };
    return { connection, device: new Device(whose, 'a', 'everything', 'replay', parts) };
  };
  return { replay, connected };
}

/** The connection is lost with the first portion. */
async function lost({ replay, connected }: ReturnType<typeof scene>, name?: string): Promise<void> {
  const { device: one } = connected(name);
  await replay.run(one, () => {
    one.state = 'gone';
  });
}

t.test('what is kept for a device whose connection is lost goes after its time, unasked', async (t) => {
  const tried = scene(new GroupLog(600, users('a', 'b')), { ms: 1 });
  await lost(tried);
  t.equal(tried.replay.kept, 1);
  await eventually(() => tried.replay.kept === 0, 'nothing is kept');
});

t.test('what is kept is bounded in events, for it is as large as they are many', async (t) => {
  const tried = scene(new GroupLog(600, users('a', 'b')), { maxEvents: 700 });
  for (const name of ['one', 'two', 'three', 'four', 'five']) await lost(tried, name);
  t.equal(tried.replay.kept, 2, 'each has 256 events, or some more');
  const alone = scene(new GroupLog(600, users('a', 'b')), { maxEvents: 10 });
  for (const name of ['one', 'two']) await lost(alone, name);
  t.equal(alone.replay.kept, 1, 'a large one stays alone');
});

t.test('what is held for those who do not read is bounded: one more is turned away, and its work kept', async (t) => {
  const tried = scene(new GroupLog(600, users('a', 'b')), { maxEvents: 700 }, { maxBufferedBytes: 1 });
  const some = ['one', 'two', 'three'].map((name) => tried.connected(name));
  const outcomes: string[] = [];
  for (const [i, { device: one, connection }] of some.entries()) {
    connection.stopReading();
    void tried.replay.run(one, () => undefined).then((outcome) => outcomes.push(outcome));
    await eventually(() => connection.positions.length > 0, `${i} is written to, and full`);
  }
  await eventually(() => outcomes.length > 0, 'one is turned away');
  t.same(outcomes, ['gone']);
  t.same(
    some.map(({ connection }) => connection.closed?.code),
    [undefined, undefined, closeCodes.OVERLOADED],
  );
  t.equal(tried.replay.kept, 1);
  some[1]?.connection.close(1000, 'gone');
  (some[1] as (typeof some)[number]).device.state = 'gone';
  await eventually(() => outcomes.length === 2, 'its loss is seen');
  await eventually(() => {
    some[0]?.connection.drain();
    return outcomes.length === 3;
  }, 'who reads gets all');
  t.same(outcomes, ['gone', 'gone', 'done']);
});

t.test('a device that comes again before the loss is seen goes on with what was read', async (t) => {
  const log = new CountedLog(600, users('a', 'b'));
  const { replay, connected } = scene(log);
  const [first, second] = [connected(), connected()];
  const { promise, resolve: release } = Promise.withResolvers<void>();
  log.held = promise;
  const one = replay.run(first.device, () => undefined);
  await eventually(() => log.beginnings === 1, 'the log is read');
  first.device.state = 'gone';
  const two = replay.run(second.device, () => undefined);
  // It has its turn by then.
  await new Promise(setImmediate);
  release();
  t.same(await Promise.all([one, two]), ['gone', 'done']);
  t.equal(log.beginnings, 2, 'once for the conversations, once for what is in them');
  t.equal(second.connection.positions.length, 600);
  t.equal(replay.kept, 0);
});

t.test('portions are bounded by all that is long in an event', async (t) => {
  class DraftLog extends ScriptedLog {
    override async *read(from: number, to: number): AsyncIterable<LogRecord> {
      const [about, draft] = [conversation('direct:a:b'), 'd'.repeat(8_000)];
      for (let pos = from; pos <= to; pos++) {
        const event = {
          type: 'preferencesChanged',
          by: user('a'),
          id: msgId(`id-${pos}`),
          about,
          preferences: { draft },
        } as const;
        yield { pos, at: 1_000 + pos, conversation: about, event };
      }
    }
  }
  const { replay, connected } = scene(new DraftLog(100));
  const { connection, device: one } = connected();
  const places: number[] = [];
  await replay.run(one, ({ pos }) => places.push(pos));
  t.equal(connection.positions.length, 100);
  t.same(
    places,
    Array.from({ length: 20 }, (_, i) => 5 * (i + 1)),
    'five make 32 KiB',
  );
});
