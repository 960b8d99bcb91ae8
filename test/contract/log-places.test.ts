/** Where the log stood at a time, whether it lived through that time or was brought there later. */
import { headers } from '@nats-io/nats-core';
import t, { type Test } from 'tap';
import { firstPosFrom, lastPosAt } from '../../src/adapters/jetstream/log/log-places.ts';
import { ORIGINAL_TIME, originalTimeValue } from '../../src/adapters/jetstream/log/original-time.ts';
import { startNats } from '../support/nats.ts';

const MANY = 5_000;

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const append = async (at?: number): Promise<number> => {
    const about = headers();
    if (at !== undefined) about.set(ORIGINAL_TIME, originalTimeValue(at));
    const { seq } = await operator.js.publish('conv.0.rooks.m', 'caw', { headers: about });
    return seq;
  };
  const storedAt = async (seq: number): Promise<number> =>
    (await operator.jsm.streams.getMessage('CONV_0', { seq }))?.time.getTime() ?? 0;
  return {
    append,
    storedAt,
    at: (time: number) => lastPosAt(operator, 'CONV_0', time),
    from: (time: number) => firstPosFrom(operator, 'CONV_0', time),
  };
}

t.test('a log that lived through its times', async (t) => {
  const { append, storedAt, at } = await scene(t);
  t.equal(await at(Date.now()), 0, 'nothing yet');
  await append();
  const first = await storedAt(1);
  while (Date.now() <= first + 1);
  await append();
  const second = await storedAt(2);
  t.same(await Promise.all([first - 1, first, second - 1, second, second + 1].map(at)), [0, 1, 1, 2, 2]);
});

t.test('one that was restored: by the times that its events brought along', async (t) => {
  const { append, at } = await scene(t);
  for (let i = 1; i <= 5; i++) await append(1_000 * i);
  await append();
  t.same(await Promise.all([999, 1_000, 3_999, 5_000, Date.now() + 1].map(at)), [0, 1, 3, 5, 6]);
});

t.test('one into which an older one was merged: up to the first event that is later', async (t) => {
  const { append, storedAt, at } = await scene(t);
  await append();
  const first = await storedAt(1);
  while (Date.now() <= first + 1);
  await append();
  await Promise.all(Array.from({ length: MANY }, (_, i) => append(1_000_000 + i)));
  t.same(await Promise.all([first, await storedAt(2), 1_000_500].map(at)), [1, 2 + MANY, 0]);
});

t.test('from a time on: what was stored since, and what another clock dated so before', async (t) => {
  const { append, storedAt, from } = await scene(t);
  t.equal(await from(Date.now()), 1, 'nothing yet');
  await append();
  await append(1_000);
  const [first, second] = [await storedAt(1), await storedAt(2)];
  while (Date.now() <= second + 1);
  await append();
  const third = await storedAt(3);
  t.same(await Promise.all([0, first, second + 1, third, third + 1].map(from)), [1, 1, 3, 3, 4]);
  await append(third + 60_000);
  await append();
  t.equal(await from(third + 59_000), 4, 'its clock was a minute ahead');
});
