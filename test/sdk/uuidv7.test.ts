import fc from 'fast-check';
import t from 'tap';
import { uuidv7TimeMs } from '../../src/domain/ids.ts';
import { uuidv7 } from '../../src/sdk/uuidv7.ts';
import { msgId } from '../support/given.ts';

t.test('ids grow, whatever the clock does, and carry its time', async (t) => {
  let last = '';
  const start = Date.now();
  fc.assert(
    fc.property(
      fc.double({ min: -5_000, max: 5_000, noNaN: true }),
      fc.integer({ min: 1, max: 50 }),
      (shift, count) => {
        for (let i = 0; i < count; i++) {
          const id = uuidv7(start + shift);
          t.ok(id > last);
          t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
          last = id;
        }
      },
    ),
  );
  const later = start + 1_000_000;
  t.equal(uuidv7TimeMs(msgId(uuidv7(later))), later);
});

t.test('a burst within one millisecond runs over into the next, and none is the same', async (t) => {
  const now = Date.now() + 10_000_000;
  const ids = Array.from({ length: 10_000 }, () => uuidv7(now));
  t.equal(new Set(ids).size, ids.length);
  t.same(ids, [...ids].sort());
  t.ok((uuidv7TimeMs(msgId(ids.at(-1) ?? '')) ?? 0) < now + 10);
});
