/** What a cursor's epoch says, and that it fits. */
import fc from 'fast-check';
import t from 'tap';
import { epochOf, MAX_EPOCH_CHARS, partsOf } from '../../src/application/delivery/epoch.ts';
import { Lineage } from '../../src/projections/lineage.ts';

const stream = fc
  .integer({ min: 1_600_000_000_000, max: 4_000_000_000_000 })
  .map((createdMs) => createdMs.toString(36));
const past = fc.array(fc.tuple(fc.integer({ min: 1, max: 1e9 }), fc.nat(2 ** 32)), { maxLength: 3 }).map((markers) => {
  const lineage = new Lineage();
  for (const [seq, nonce] of markers) lineage.observe(seq, nonce);
  return lineage.at(Number.MAX_SAFE_INTEGER);
});
const replayed = fc.option(fc.record({ log: fc.nat(255), pos: fc.nat(1e9) }), { nil: undefined });

t.test('an epoch says what was put into it, and is as long as a cursor may be', async (t) => {
  fc.assert(
    fc.property(stream, past, replayed, (stream, past, replayed) => {
      const epoch = epochOf(stream, past, replayed);
      t.ok(epoch.length <= MAX_EPOCH_CHARS, epoch);
      t.same(partsOf(epoch), { stream, past, ...(replayed && { replayed }) });
    }),
  );
});
