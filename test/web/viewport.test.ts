/** A long list of which only a part is drawn and measured. */
import fc from 'fast-check';
import t from 'tap';
import { Heights } from '../../src/web/model/heights.ts';
import { Viewport } from '../../src/web/model/viewport.ts';

const ESTIMATE = 50;

t.test('heights answer as a plain list of them does, whatever is measured and however it grows', async (t) => {
  const step = fc.oneof(
    fc.record({ type: fc.constant('resize' as const), count: fc.nat(200) }),
    fc.record({ type: fc.constant('set' as const), row: fc.nat(220), height: fc.nat(300) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(20_000), (steps, y) => {
      const heights = new Heights(ESTIMATE);
      let plain: number[] = [];
      for (const one of steps) {
        if (one.type === 'resize') {
          heights.resize(one.count);
          plain = Array.from({ length: one.count }, (_, row) => plain[row] ?? ESTIMATE);
        } else if (heights.set(one.row, one.height)) plain[one.row] = one.height;
      }
      const top = (row: number): number => plain.slice(0, row).reduce((sum, height) => sum + height, 0);
      t.equal(heights.total, top(plain.length));
      for (const row of [0, 1, Math.floor(plain.length / 2), plain.length]) {
        if (heights.top(row) !== top(row)) return false;
      }
      const at = heights.at(y);
      if (plain.length === 0) return at === 0;
      // The last row that begins at or before `y`: rows without a height share their beginning with the next.
      const expected = Math.min(
        plain.findLastIndex((_, row) => top(row) <= y),
        plain.length - 1,
      );
      return at === expected || (at === plain.length - 1 && y >= top(plain.length));
    }),
    { numRuns: 200 },
  );
});

function shown(rows: number, height = 500): Viewport {
  const viewport = new Viewport(ESTIMATE);
  viewport.heights.resize(rows);
  viewport.resized(height);
  return viewport;
}

t.test('at the end it stays at the end, whatever is measured and comes', async (t) => {
  const viewport = shown(1_000);
  t.equal(viewport.scrollTop, viewport.total - 500);
  t.ok(viewport.total > 1_000 * ESTIMATE, 'with a little room behind the last');
  viewport.heights.set(999, 300);
  viewport.heights.resize(1_003);
  t.equal(viewport.scrollTop, viewport.total - 500);
  t.ok(viewport.isAtEnd);
  t.equal(viewport.seen.to, 1_003);
});

t.test('who reads further up keeps their place, also when what is above turns out higher', async (t) => {
  const viewport = shown(1_000);
  viewport.scrolled(20_010);
  t.equal(viewport.seen.from, 400);
  for (let row = 300; row < 400; row++) viewport.heights.set(row, 90);
  t.equal(viewport.scrollTop, 20_010 + 100 * 40);
  t.equal(viewport.seen.from, 400);
  viewport.heights.resize(1_100);
  t.equal(viewport.seen.from, 400, 'and when more comes below');
});

t.test('only what is seen and a little more is drawn, of however many', async (t) => {
  const viewport = shown(100_000);
  viewport.scrolled(2_500_000);
  const { from, to } = viewport.drawn;
  t.ok(from <= 50_000 && to >= 50_010 && to - from < 40, `${from} to ${to}`);
});

t.test('a row that is jumped to comes into view', async (t) => {
  const viewport = shown(1_000);
  viewport.show(500);
  const { from, to } = viewport.seen;
  t.ok(from < 500 && to > 500, `${from} to ${to}`);
  t.notOk(viewport.isAtEnd);
  viewport.show(0);
  t.equal(viewport.scrollTop, 0);
  const short = shown(3);
  short.show(1);
  t.ok(short.isAtEnd, 'where all is seen there is nowhere to go');
  viewport.showEnd();
  t.ok(viewport.isAtEnd);
});
