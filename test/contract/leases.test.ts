/** What `Leases` promises, on a real nats-server. */
import t, { type Test } from 'tap';
import { JetstreamLeases } from '../../src/adapters/jetstream/between-processes/leases.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const open = async () => {
    const { nc } = await nats.connect('fan-out-worker');
    return { nc, leases: await JetstreamLeases.open(nc) };
  };
  return { one: await open(), two: await open() };
}

t.test('one holds a lease at a time; who releases it gives it to the next who asks', async (t) => {
  const { one, two } = await scene(t);
  const held = await one.leases.tryAcquire('lane.0', 'one');
  t.ok(held);
  t.equal(await two.leases.tryAcquire('lane.0', 'two'), undefined);
  t.ok(await two.leases.tryAcquire('lane.1', 'two'), 'another lease is another matter');
  await held?.release();
  t.ok(await two.leases.tryAcquire('lane.0', 'two'));
  t.equal(held?.lost.aborted, false, 'released is not lost');
});

t.test('of two that ask at once one gets it', async (t) => {
  const { one, two } = await scene(t);
  const got = await Promise.all([one.leases.tryAcquire('x', 'one'), two.leases.tryAcquire('x', 'two')]);
  t.equal(got.filter((lease) => lease !== undefined).length, 1);
});

t.test('an owner takes its own up again at once', async (t) => {
  const { one, two } = await scene(t);
  await one.leases.tryAcquire('x', 'one');
  t.ok(await two.leases.tryAcquire('x', 'one'), 'the same owner, after its process came back');
});

t.test('a holder that falls silent loses it to another, and learns of it', async (t) => {
  const { one, two } = await scene(t);
  const held = await one.leases.tryAcquire('x', 'one');
  await one.nc.close();
  const taken = await eventually(() => two.leases.tryAcquire('x', 'two'), 'the silent one’s lease');
  t.ok(taken);
  t.ok(held?.lost.aborted, 'it gave up by itself before');
});

t.test('a holder that renews keeps it, however often others ask', async (t) => {
  const { one, two } = await scene(t);
  const held = await one.leases.tryAcquire('x', 'one');
  const until = performance.now() + 3_500;
  const got = await eventually(async () => {
    const lease = await two.leases.tryAcquire('x', 'two');
    return lease ?? (performance.now() > until ? 'nothing' : false);
  }, 'longer than a silence');
  t.equal(got, 'nothing');
  t.equal(held?.lost.aborted, false);
});
