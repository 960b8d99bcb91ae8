import fc from 'fast-check';
import t from 'tap';
import { Slabs } from '../../src/application/delivery/slabs.ts';

t.test('what was written into one piece stands there, whatever is taken after it', async (t) => {
  const lengths = fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 30_000, max: 40_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, (list) => {
      const slabs = new Slabs();
      const pieces = list.map((bytes, i) => slabs.take(bytes).fill(i));
      return pieces.every((piece, i) => piece.length === list[i] && piece.every((byte) => byte === i));
    }),
    { numRuns: 50 },
  );
  t.pass('in every run');
});

t.test('small pieces share a buffer, a large one keeps no others', async (t) => {
  const slabs = new Slabs();
  const [one, large, other] = [slabs.take(100), slabs.take(100_000), slabs.take(100)];
  t.equal(one.buffer, other.buffer);
  t.not(large.buffer, one.buffer);
  t.equal(large.buffer.byteLength, 100_000);
});
