/** The state of a replay forgets nothing that one in memory knows, whatever of it lies in files, and in what order it is asked for. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ReplayState } from '../../src/adapters/sqlite/replay-state.ts';
import type { ClientMsgId } from '../../src/domain/ids.ts';
import type { FanOutChanges, SeenEvent } from '../../src/ports/fan-out-state.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import { conversation, msgId, users } from '../support/given.ts';

const rooms = ['room', `long ${'x'.repeat(90)}`].map(conversation);
const people = users('alice', '陈晨');
const MAX_RECENT = 4;

/** A UUIDv7 of that millisecond; `twin` tells apart those of the same one. */
const timed = (ms: number, twin: number): ClientMsgId => {
  const hex = ms.toString(16).padStart(12, '0');
  return msgId(`${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${String(twin).padStart(12, '0')}`);
};
type IdAt = (now: number) => ClientMsgId;
/** Made about now, long ago, or of no time at all: by the number of the window. */
const anyId: fc.Arbitrary<IdAt> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.nat(5), fc.nat(1)).map(
      ([ms, twin]): IdAt =>
        (now) =>
          timed(4 * now + ms, twin),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(60).map(
      (ms): IdAt =>
        (now) =>
          timed(Math.max(0, 4 * now - ms), 0),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(6).map(
      (i): IdAt =>
        () =>
          msgId(`other-${i}`),
    ),
  },
);
const anyEvent = fc.record({
  conversation: fc.constantFrom(...rooms),
  by: fc.constantFrom(...people),
  idAt: anyId,
  pos: fc.nat(2 ** 40),
  n: fc.nat(1_000),
  expiresAt: fc.constantFrom(1_000, 2_000, 3_000),
});
/** Windows of events, and who asks for which after each. */
const anyWindow = fc.record({
  seen: fc.array(anyEvent, { maxLength: 6 }),
  asked: fc.array(fc.tuple(fc.constantFrom(...rooms), fc.constantFrom(...people), anyId), { maxLength: 4 }),
  later: fc.constantFrom(0, 0, 0, 700),
});

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-test-replay-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const changes = (at: number, seen: readonly SeenEvent[]): FanOutChanges => ({
  ...{ at, conversations: new Map(), readMarks: [], deliveredMarks: [], seen },
});

t.test('whatever was accepted is known as one in memory knows it', async (t) => {
  const dir = folder(t);
  let run = 0;
  fc.assert(
    fc.property(fc.array(anyWindow, { maxLength: 30 }), (windows) => {
      const state = new ReplayState(mkdtempSync(join(dir, `${run++}-`)), MAX_RECENT);
      const memory = new MemoryFanOutState();
      let at = 1;
      for (const [i, { seen, asked, later }] of windows.entries()) {
        at += later;
        // What has expired is accepted by nobody.
        const accepted = seen
          .filter(({ expiresAt }) => expiresAt > at)
          .map(({ idAt, ...event }) => ({ ...event, id: idAt(i) }));
        state.apply(changes(at, accepted));
        memory.apply(changes(at, accepted));
        for (const [room, by, idAt] of asked) {
          const id = idAt(i);
          const [found, expected] = [state.seen(room, by, id, at), memory.seen(room, by, id, at)];
          t.same(
            found && [found.pos, found.n, found.expiresAt],
            expected && [expected.pos, expected.n, expected.expiresAt],
          );
        }
      }
      state.close();
    }),
    { numRuns: 300 },
  );
});

t.test('ids that are old enough leave no files', async (t) => {
  const dir = folder(t);
  const state = new ReplayState(dir, MAX_RECENT);
  t.teardown(() => state.close());
  const [room, by] = [rooms[0], people[0]];
  if (!room || !by) return;
  const spilled = (): number => readdirSync(dir).filter((name) => name.startsWith('ids-')).length;
  for (let i = 0; i < 50; i++) {
    state.apply(changes(i, [{ conversation: room, by, id: timed(i, 0), pos: i + 1, n: i, expiresAt: i + 20 }]));
  }
  t.ok(spilled() > 0 && spilled() < 6, `${spilled()} files`);
  t.match(state.seen(room, by, timed(35, 0), 50), { pos: 36, n: 35 });
  t.equal(state.seen(room, by, timed(5, 0), 50), undefined);
});
