import t from 'tap';
import { RetryPace } from '../../src/application/gateway/retry-pace.ts';

const PERIOD_MS = 250;

function scene() {
  let now = 0;
  const pace = new RetryPace(() => now);
  /** One period in which so many were taken and refused. @returns what the last one was told, of a bound that says 20 ms */
  const period = (taken: number, refused: number): number => {
    now += PERIOD_MS;
    for (let i = 0; i < taken; i++) pace.taken();
    let told = 0;
    for (let i = 0; i < refused; i++) told = pace.refused(20, 1);
    return told;
  };
  return { pace, period, pass: (ms: number) => (now += ms) };
}

t.test('while less is refused than taken, the refused are told what the bound says', async (t) => {
  const { period } = scene();
  for (let i = 0; i < 20; i++) t.equal(period(100, 10), 20);
});

t.test('while more is refused than taken they wait longer and longer, up to a bound', async (t) => {
  const { period } = scene();
  const told = Array.from({ length: 12 }, () => period(10, 100));
  t.same(
    told,
    told.toSorted((a, b) => a - b),
  );
  t.equal(told.at(-1), 2_000);
});

t.test('when it is over they are soon told what the bound says', async (t) => {
  const { period } = scene();
  for (let i = 0; i < 12; i++) period(10, 100);
  const told = Array.from({ length: 8 }, () => period(100, 10));
  t.ok((told[0] as number) <= 2_000);
  t.equal(told.at(-1), 20);
});

t.test('an overload that nobody was refused after is forgotten', async (t) => {
  const { pace, period, pass } = scene();
  for (let i = 0; i < 12; i++) period(10, 100);
  period(100, 10);
  pass(60_000);
  t.equal(pace.refused(20, 1), 20);
});

t.test('clients are spread over once to twice the time', async (t) => {
  const { pace } = scene();
  const spreads = Array.from({ length: 1_000 }, () => pace.spread()).toSorted((a, b) => a - b);
  t.ok((spreads[0] as number) >= 1 && (spreads.at(-1) as number) < 2);
  t.ok(
    spreads.every((spread, i) => i === 0 || spread - (spreads[i - 1] as number) < 0.01),
    'without a hole',
  );
});
