import fc from 'fast-check';
import t from 'tap';
import { Horizon } from '../../src/application/delivery/horizon.ts';
import { LogEndReader } from '../../src/application/delivery/log-ends.ts';

t.test('what the log had at a time is in the stream where the checkpoints of all lanes have passed it', async (t) => {
  const horizon = new Horizon();
  horizon.checkpoint(0, 5, 10);
  horizon.expect({ at: 1_000, positions: [5, 7, 0] });
  t.equal(horizon.at(50), undefined, 'lane 1 is behind');
  horizon.checkpoint(1, 6, 20);
  horizon.checkpoint(0, 9, 21);
  t.equal(horizon.at(50), undefined);
  horizon.checkpoint(1, 7, 30);
  t.equal(horizon.at(50), 1_000);
  t.equal(horizon.at(30), 1_000);
  t.equal(horizon.at(29), undefined, 'not to a device that has not got so far');
});

t.test('while one time is awaited no later one takes its place, or a busy lane would never pass any', async (t) => {
  const horizon = new Horizon();
  horizon.expect({ at: 1_000, positions: [5] });
  horizon.expect({ at: 2_000, positions: [9] });
  horizon.checkpoint(0, 5, 10);
  t.equal(horizon.at(10), 1_000);
});

t.test('of a lane that is idle it must be asked where it stands', async (t) => {
  const horizon = new Horizon();
  const ends = { at: 1_000, positions: [5, 0, 3] };
  horizon.checkpoint(0, 2, 4);
  t.same(horizon.unknown(ends), [2], 'lane 1 has nothing, of lane 0 something is known');
});

type Step = { readonly lane: number } & (
  | { readonly type: 'append' | 'emit'; readonly count: number }
  | { readonly type: 'look' }
);

const steps = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constantFrom('append' as const, 'emit' as const),
      lane: fc.nat(2),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ type: fc.constant('look' as const), lane: fc.constant(0) }),
  ),
  { maxLength: 100, size: 'max' },
);

t.test('property: whatever was in the log before the time at a place stands up to that place', async (t) => {
  let told = 0;
  const history = (list: readonly Step[]): void => {
    const horizon = new Horizon();
    const lanes = [0, 1, 2].map(() => ({ end: 0, emitted: 0 }));
    /** Of each event when it was stored in the log, and where in the stream. */
    const events: { readonly lane: number; readonly pos: number; readonly at: number; seq: number }[] = [];
    let [now, seq] = [0, 0];
    for (const step of list as Step[]) {
      now += 1;
      const lane = lanes[step.lane] as (typeof lanes)[number];
      if (step.type === 'look') horizon.expect({ at: now, positions: lanes.map(({ end }) => end) });
      else if (step.type === 'append') {
        for (let i = 0; i < step.count; i++) {
          lane.end += 1;
          events.push({ lane: step.lane, pos: lane.end, at: now, seq: Number.POSITIVE_INFINITY });
        }
      } else {
        const to = Math.min(lane.end, lane.emitted + step.count);
        for (const event of events) {
          if (event.lane === step.lane && event.pos > lane.emitted && event.pos <= to) event.seq = ++seq;
        }
        lane.emitted = to;
        horizon.checkpoint(step.lane, to, ++seq);
      }
      for (let place = 0; place <= seq; place++) {
        const asOf = horizon.at(place);
        if (asOf === undefined) continue;
        told += 1;
        for (const event of events) if (event.at < asOf && event.seq > place) throw new Error('told too much');
      }
    }
  };
  fc.assert(fc.property(steps, history), { numRuns: 300 });
  t.ok(told > 1_000, `${told} places had a time`);
});

t.test('who asks while a look is under way gets the next one, all of them the same', async (t) => {
  const gates: (() => void)[] = [];
  let end = 1;
  const log = {
    lastPos: () => {
      const found = end;
      return new Promise<number>((resolve) => gates.push(() => resolve(found)));
    },
  };
  const reader = new LogEndReader([log]);
  const first = reader.look();
  end = 2;
  const later = [reader.look(), reader.look()];
  gates.shift()?.();
  t.same((await first).positions, [1]);
  await new Promise(setImmediate);
  t.equal(gates.length, 1, 'one look for both');
  gates.shift()?.();
  t.same(
    (await Promise.all(later)).map(({ positions }) => positions),
    [[2], [2]],
  );
});

t.test('a look that fails is nobody else’s', async (t) => {
  let fails = true;
  const reader = new LogEndReader([
    {
      lastPos: async () => {
        if (fails) throw new Error('no answer');
        return 3;
      },
    },
  ]);
  const [first, second] = [reader.look(), reader.look()];
  const cured = first.catch(() => {
    fails = false;
  });
  await t.rejects(first, /no answer/);
  await cured;
  t.same((await second).positions, [3]);
});
