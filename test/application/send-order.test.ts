import t from 'tap';
import { SendOrder } from '../../src/application/gateway/send-order.ts';
import type { ClientMsgId } from '../../src/domain/ids.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { conversation, msgId } from '../support/given.ts';

const [nest, roost] = [conversation('nest'), conversation('roost')];
const [a, b, c, d] = [msgId('a'), msgId('b'), msgId('c'), msgId('d')];
const passing = new RookeryError('OVERLOADED', 'full', { retryAfterMs: 20 });

t.test('behind what was refused for a passing reason nothing goes until it has come again', async (t) => {
  const order = new SendOrder();
  const place = order.enter(nest, a, 0);
  const second = order.enter(nest, b, 0);
  order.failed(nest, a, place, passing, 0);
  order.failed(nest, b, second, passing, 0);
  t.throws(() => order.enter(nest, c, 1), { code: 'OVERLOADED', retryAfterMs: 20 });
  t.throws(() => order.enter(nest, b, 1), { code: 'OVERLOADED' }, 'not past the first');
  t.doesNotThrow(() => order.enter(roost, c, 1), 'other conversations go on');
  t.equal(order.enter(nest, a, 2), place);
  t.throws(() => order.enter(nest, c, 2), { code: 'OVERLOADED' }, 'nor past the second');
  t.equal(order.enter(nest, b, 2), second);
  t.doesNotThrow(() => order.enter(nest, c, 2));
  t.doesNotThrow(() => order.enter(nest, d, 2));
});

t.test('who is refused again keeps its place before those behind it', async (t) => {
  const order = new SendOrder();
  const places = [a, b].map((id) => order.enter(nest, id, 0));
  order.failed(nest, a, places[0] as number, passing, 0);
  t.throws(() => order.enter(nest, c, 0));
  t.equal(order.enter(nest, a, 1), places[0]);
  // Refused again, as is b, which was on its way all the time: c was held back in between.
  order.failed(nest, b, places[1] as number, passing, 2);
  order.failed(nest, a, places[0] as number, passing, 2);
  for (const id of [b, c]) t.throws(() => order.enter(nest, id, 3));
  for (const id of [a, b, c]) t.doesNotThrow(() => order.enter(nest, id, 4));
});

t.test(
  'who waits behind one that was told no time is told none: a time of nothing would bring it back at once',
  async (t) => {
    const order = new SendOrder();
    order.failed(nest, a, order.enter(nest, a, 0), new RookeryError('INTERNAL', 'no'), 0);
    t.throws(() => order.enter(nest, b, 1), { code: 'INTERNAL', retryAfterMs: undefined });
  },
);

t.test('a refusal for good holds up nobody, and who does not come again is not waited for', async (t) => {
  const order = new SendOrder();
  order.failed(nest, a, 1, new RookeryError('NOT_A_MEMBER', 'no'), 0);
  t.doesNotThrow(() => order.enter(nest, b, 1));
  order.failed(nest, a, 1, passing, 0);
  t.throws(() => order.enter(nest, b, 5_000), { code: 'OVERLOADED' });
  t.doesNotThrow(() => order.enter(nest, b, 5_040), 'those who wait do not make it longer');
  t.doesNotThrow(() => order.enter(nest, c, 5_040));
});

t.test('where the first never comes again, those behind it go on in their order', async (t) => {
  const order = new SendOrder();
  order.failed(nest, a, order.enter(nest, a, 0), passing, 0);
  for (const nowMs of [10, 2_500]) for (const id of [b, c]) t.throws(() => order.enter(nest, id, nowMs));
  // Sent in one go: the time for the first runs out between the two.
  const stored = storedOf(order, [
    [b, 5_039],
    [c, 5_041],
    [d, 5_042],
    [b, 5_070],
    [c, 5_071],
    [d, 5_072],
  ]);
  t.same(stored, [b, c, d]);
});

t.test('one that comes late comes first all the same while one behind it is waited for', async (t) => {
  const order = new SendOrder();
  const place = order.enter(nest, a, 0);
  order.failed(nest, a, place, passing, 0);
  t.throws(() => order.enter(nest, b, 4_000));
  t.throws(() => order.enter(nest, c, 5_100));
  t.equal(order.enter(nest, a, 5_200), place);
  t.throws(() => order.enter(nest, c, 5_200));
  t.doesNotThrow(() => order.enter(nest, b, 5_200));
  t.doesNotThrow(() => order.enter(nest, c, 5_200));
});

t.test('a client that repeats nothing is not held up for ever by what it sends anew', async (t) => {
  const order = new SendOrder();
  order.failed(nest, a, order.enter(nest, a, 0), passing, 0);
  for (let nowMs = 500; nowMs < 10_080; nowMs += 500) {
    t.throws(() => order.enter(nest, msgId(`new ${nowMs}`), nowMs), { code: 'OVERLOADED' });
  }
  t.doesNotThrow(() => order.enter(nest, msgId('new'), 10_080));
  t.doesNotThrow(() => order.enter(nest, msgId('newer'), 10_080));
});

t.test('what is kept is bounded', async (t) => {
  const order = new SendOrder();
  for (let k = 0; k <= 1_000; k++) order.failed(conversation(`g${k}`), a, k, passing, 0);
  t.doesNotThrow(() => order.enter(conversation('g0'), b, 1));
  for (const name of ['g1', 'g1000']) t.throws(() => order.enter(conversation(name), b, 1));
  for (let k = 0; k < 1_000; k++) order.failed(nest, msgId(`m${k}`), k, passing, 0);
  t.throws(() => order.enter(nest, b, 1));
  t.doesNotThrow(() => order.enter(nest, b, 1));
});

/** What is let through, in that order; the others are refused for a passing reason. */
function storedOf(order: SendOrder, coming: readonly (readonly [ClientMsgId, number])[]): ClientMsgId[] {
  return coming.flatMap(([id, nowMs]) => {
    try {
      order.enter(nest, id, nowMs);
      return [id];
    } catch (error) {
      if (error instanceof RookeryError && error.retryable) return [];
      throw error;
    }
  });
}
