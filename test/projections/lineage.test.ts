import fc from 'fast-check';
import t from 'tap';
import { Lineage } from '../../src/projections/lineage.ts';

const withMarkers = (...markers: readonly (readonly [seq: number, nonce: number])[]): Lineage => {
  const lineage = new Lineage();
  for (const [seq, nonce] of markers) lineage.observe(seq, nonce);
  return lineage;
};

t.test('a cursor goes on where it was while its stream has only grown', async (t) => {
  const before = withMarkers([1, 7], [10, 8]);
  t.equal(before.at(0), '');
  t.not(before.at(9), before.at(10));
  const grown = withMarkers([1, 7], [10, 8], [20, 9]);
  for (const seq of [0, 1, 9, 10, 19]) t.equal(grown.placeOf(before.at(seq), seq), seq, `at ${seq}`);
  t.equal(grown.placeOf('', 5), 5, 'one that carries no markers is taken at its word');
});

t.test('where the end was lost it goes back to before what was written then', async (t) => {
  const before = withMarkers([1, 7], [10, 8]);
  const lostSome = withMarkers([1, 7], [10, 8], [15, 3]);
  t.equal(lostSome.placeOf(before.at(19), 19), 14);
  t.equal(lostSome.placeOf(before.at(14), 14), 14);
  const lostMarker = withMarkers([1, 7], [10, 3]);
  t.equal(lostMarker.placeOf(before.at(19), 19), 9, 'the same place and term, and another marker');
  t.equal(withMarkers([2, 2]).placeOf(before.at(19), 19), undefined, 'a stream of another past');
});

t.test('however streams are written, cut and read, no cursor skips what its device has not got', async () => {
  /** Records; a cut loses some of the end, and what follows begins with a marker. */
  const step = fc.oneof(
    fc.record({ what: fc.constant('write' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ what: fc.constant('mark' as const), count: fc.constant(1) }),
    fc.record({ what: fc.constant('cut' as const), count: fc.integer({ min: 1, max: 8 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.nat(), fc.nat(), (steps, cursorAfter, cursorShare) => {
      let records: { readonly identity: number; readonly isMarker: boolean }[] = [];
      let identity = 0;
      const write = (isMarker: boolean): number => records.push({ identity: ++identity, isMarker });
      const lineageOf = (): Lineage =>
        withMarkers(...records.flatMap((one, i) => (one.isMarker ? [[i + 1, one.identity] as const] : [])));
      write(true);
      let cursor: { past: string; seq: number; got: readonly number[] } | undefined;
      for (const [i, { what, count }] of steps.entries()) {
        if (what === 'cut') {
          records = records.slice(0, Math.max(0, records.length - count));
          write(true);
        } else for (let k = 0; k < count; k++) write(what === 'mark');
        if (i !== cursorAfter % Math.max(1, steps.length)) continue;
        const seq = cursorShare % (records.length + 1);
        cursor = { past: lineageOf().at(seq), seq, got: records.slice(0, seq).map((one) => one.identity) };
      }
      if (!cursor) return;
      const place = lineageOf().placeOf(cursor.past, cursor.seq);
      if (place === undefined) return;
      const got = new Set(cursor.got);
      const skipped = records.slice(0, place).filter((one) => !got.has(one.identity));
      if (skipped.length > 0) throw new Error(`${JSON.stringify(skipped)} skipped`);
    }),
    { numRuns: 2_000 },
  );
});

t.test('what lies below the retention is forgotten, but for what cursors name', async (t) => {
  const lineage = withMarkers([1, 1], [2, 2], [3, 3], [9, 9]);
  const past = lineage.at(5);
  lineage.dropBelow(6);
  t.equal(lineage.placeOf(past, 6), 6);
  t.equal(lineage.placeOf('1-1', 6), undefined);
});
