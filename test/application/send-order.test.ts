import t from 'tap';
import { SendOrder } from '../../src/application/gateway/send-order.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { conversation, msgId } from '../support/given.ts';

const [nest, roost] = [conversation('nest'), conversation('roost')];
const [a, b, c] = [msgId('a'), msgId('b'), msgId('c')];
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
  t.doesNotThrow(() => order.enter(nest, msgId('d'), 2));
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

t.test('a refusal for good holds up nobody, and who does not come again is not waited for', async (t) => {
  const order = new SendOrder();
  order.failed(nest, a, 1, new RookeryError('NOT_A_MEMBER', 'no'), 0);
  t.doesNotThrow(() => order.enter(nest, b, 1));
  order.failed(nest, a, 1, passing, 0);
  t.throws(() => order.enter(nest, b, 5_000), { code: 'OVERLOADED' });
  t.throws(() => order.enter(nest, c, 5_030), { code: 'OVERLOADED' });
  t.doesNotThrow(() => order.enter(nest, c, 5_040), 'those who wait do not make it longer');
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
