import fc from 'fast-check';
import t from 'tap';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Ring } from '../../src/application/delivery/ring.ts';
import { Run } from '../../src/application/delivery/run.ts';

const USERS = ['a', 'b', 'c'];

const run = (bytes: number): Run => new Run(new Uint8Array(bytes), frameOnWire);

interface Entry {
  readonly seq: number;
  readonly user: string;
  readonly run: Run;
}

type Step =
  | {
      readonly type: 'append';
      readonly user: number;
      readonly gap: number;
      readonly bytes: number;
      readonly same: boolean;
    }
  | { readonly type: 'resume'; readonly user: number; readonly behind: number; readonly chunk: number }
  | { readonly type: 'clear' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        type: fc.constant('append' as const),
        user: fc.nat(USERS.length - 1),
        gap: fc.integer({ min: 1, max: 3 }),
        bytes: fc.integer({ min: 1, max: 120 }),
        same: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('resume' as const),
        user: fc.nat(USERS.length - 1),
        behind: fc.nat(30),
        chunk: fc.integer({ min: 1, max: 300 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'clear' as const }) },
  ),
  { maxLength: 120 },
);

/** All portions from `seq` on, as a device takes them; `between` happens before each but the first. */
function resume(ring: Ring, user: string, from: number, chunk: number, between = () => {}): Run[] | 'not covered' {
  const found: Run[] = [];
  let [at, position] = [from, -1];
  for (let first = true; ; first = false) {
    if (!first) between();
    if (!ring.covers(at)) return 'not covered';
    const portion = ring.after(user, at, chunk, position);
    found.push(...portion.runs);
    [at, position] = [portion.seq, portion.position];
    if (!portion.more) return found;
  }
}

t.test('a resume gives exactly the entries behind the cursor, whatever came and went before', async (t) => {
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 300, max: 5_000 }),
      (list, maxEntries, maxBytes) => {
        const ring = new Ring({ maxEntries, maxBytes }, 1);
        const all: Entry[] = [];
        let seq = 0;
        for (const step of list) {
          if (step.type === 'append') {
            seq += step.gap;
            const last = all.at(-1)?.run;
            const entry = { seq, user: USERS[step.user] as string, run: step.same && last ? last : run(step.bytes) };
            all.push(entry);
            ring.append(entry.seq, entry.user, entry.run);
            if (ring.entries > maxEntries || ring.bytes > maxBytes) return false;
          } else if (step.type === 'clear') {
            ring.clear(++seq);
            if (ring.bytes !== 0) return false;
          } else {
            const user = USERS[step.user] as string;
            const from = Math.max(0, seq - step.behind);
            const wanted = all.filter((entry) => entry.user === user && entry.seq > from).map((entry) => entry.run);
            const found = resume(ring, user, from, step.chunk);
            if (found === 'not covered') {
              if (from + 1 >= ring.coveredFrom) return false;
            } else if (found.length !== wanted.length || found.some((each, i) => each !== wanted[i])) return false;
          }
        }
        return true;
      },
    ),
    { numRuns: 400 },
  );
  t.pass('in every run');
});

t.test('entries that come and go between two portions make no gap', async (t) => {
  const arrivals = fc.array(fc.nat(USERS.length - 1), { maxLength: 5 });
  fc.assert(
    fc.property(
      arrivals,
      fc.array(fc.nat(USERS.length - 1), { maxLength: 20 }),
      fc.integer({ min: 5, max: 25 }),
      (between, before, maxEntries) => {
        const ring = new Ring({ maxEntries, maxBytes: Number.POSITIVE_INFINITY }, 1);
        const all: Entry[] = [];
        const append = (user: number): void => {
          const entry = { seq: all.length + 1, user: USERS[user] as string, run: run(10) };
          all.push(entry);
          ring.append(entry.seq, entry.user, entry.run);
        };
        for (const user of before) append(user);
        let rounds = 0;
        const found = resume(ring, 'a', 0, 1, () => {
          if (++rounds < 5) for (const user of between) append(user);
        });
        if (found === 'not covered') return true;
        const wanted = all.filter(({ user }) => user === 'a').map((entry) => entry.run);
        return found.length === wanted.length && found.every((each, i) => each === wanted[i]);
      },
    ),
    { numRuns: 400 },
  );
  t.pass('in every run');
});

t.test('the bytes of a run count once, however many users have it', async (t) => {
  const ring = new Ring({ maxEntries: 100, maxBytes: 1_000_000 }, 1);
  const shared = run(500);
  for (let seq = 1; seq <= 10; seq++) ring.append(seq, `user-${seq}`, shared);
  t.equal(ring.bytes, 10 * 40 + 200 + shared.bytes);
  ring.clear(11);
  t.equal(ring.bytes, 0);
});
