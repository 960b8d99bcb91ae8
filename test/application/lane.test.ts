/** When a lane commits its rows and acks its events, by a clock of the test's own. */
import t from 'tap';
import { SqliteFanOutState } from '../../src/adapters/sqlite/fan-out-state.ts';
import { noFailpoints } from '../../src/adapters/system/failpoints.ts';
import type { LaneParts } from '../../src/application/fan-out/lane.ts';
import { Lane } from '../../src/application/fan-out/lane.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

const alice = user('alice');

const eventAt = (pos: number): LogEvent => ({
  pos,
  at: pos,
  conversation: conversation('direct:alice:bob'),
  event: { type: 'messageSent', by: alice, id: msgId(`m${pos}`), contentType: 'text/plain', body: bytes('x') },
});

interface Happened {
  readonly atMs: number;
  /** Everything up to here was confirmed by the inboxes, or acked. */
  readonly stored?: number;
  readonly acked?: number;
  readonly position: number;
}

/** Runs a lane to which an event comes at each of the times; each moment of the test's clock is one look for events. */
async function runs(arrivals: readonly number[], untilMs: number): Promise<Happened[]> {
  const state = new SqliteFanOutState({ path: ':memory:', log: 'a log' });
  const happened: Happened[] = [];
  const stop = new AbortController();
  let nowMs = 0;
  let taken = 0;
  const parts = {
    lane: 0,
    topology: { convStreams: 1, inboxStreams: 1 },
    source: {
      lastPos: async () => arrivals.length,
      open: async () => undefined,
      close: async () => undefined,
      async take(_bound: unknown, waitMs: number) {
        const next = arrivals[taken] ?? Number.POSITIVE_INFINITY;
        const isThere = next <= nowMs + waitMs;
        nowMs = isThere ? Math.max(nowMs, next) : nowMs + waitMs;
        if (nowMs >= untilMs) stop.abort();
        return isThere ? [eventAt(++taken)] : [];
      },
      ack: (pos: number) => happened.push({ atMs: nowMs, acked: pos, position: state.position }),
    },
    writers: [
      {
        begin: async () => ({ window: { from: 0, to: 0 }, records: Number.POSITIVE_INFINITY }),
        write: async ({ to }: { to: number }) =>
          void happened.push({ atMs: nowMs, stored: to, position: state.position }),
        checkpointed: async () => 0,
        needsNewTerm: async () => false,
      },
    ],
    state,
    deadLetters: { put: async () => undefined },
    views: { serve: async () => ({ stop: async () => undefined }), announceChange: () => undefined },
    failpoints: noFailpoints,
    monotonicMs: () => nowMs,
    log: { info: () => undefined, warn: () => undefined },
  };
  await new Lane(parts as unknown as LaneParts).run(stop.signal);
  state.close();
  return happened;
}

const acks = (happened: readonly Happened[]) =>
  happened.filter(({ acked }) => acked !== undefined).map(({ atMs, acked, position }) => ({ atMs, acked, position }));

t.test('an event that comes alone is committed and acked when the inboxes have it', async (t) => {
  t.same(acks(await runs([100, 200], 1_000)), [
    { atMs: 100, acked: 1, position: 1 },
    { atMs: 200, acked: 2, position: 2 },
  ]);
});

t.test(
  'events that come one soon after the other are committed together, and none waits for longer than a moment',
  async (t) => {
    const happened = await runs([100, 105, 110, 112, 130, 400], 1_000);
    t.same(acks(happened), [
      { atMs: 100, acked: 1, position: 1 },
      { atMs: 125, acked: 4, position: 4 },
      { atMs: 150, acked: 5, position: 5 },
      { atMs: 400, acked: 6, position: 6 },
    ]);
    const stored = happened.filter((one) => one.stored !== undefined);
    t.same(
      stored.map(({ atMs }) => atMs),
      [100, 105, 110, 112, 130, 400],
      'in the inboxes each is at once',
    );
  },
);

t.test('what was not committed yet when a lane has to end is committed by it', async (t) => {
  t.same(acks(await runs([100, 105], 105)).at(-1), { atMs: 105, acked: 2, position: 2 });
});
