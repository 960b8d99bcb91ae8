/** One merge at a time, and nothing sent behind its end: on a real nats-server. */
import t, { type Test } from 'tap';
import { WrittenHeaders } from '../../src/adapters/jetstream/messages/written-headers.ts';
import { LeasedPublishing } from '../../src/adapters/jetstream/records/leased-publishing.ts';
import { MergeLease } from '../../src/adapters/jetstream/records/merge-lease.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const [one, two] = [await nats.connect('operator'), await nats.connect('operator')];
  const take = async (of: typeof one, target?: string): Promise<MergeLease> => {
    const lease = await MergeLease.take(of, new AbortController().signal, target);
    t.teardown(() => lease?.release());
    return lease as MergeLease;
  };
  return { one, two, take };
}

/** As a process that is paused: nothing of it goes on. */
const paused = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

t.test('one at a time; the second is told who it is, and has it when that one is done', async (t) => {
  const { one, two, take } = await scene(t);
  const held = await take(one);
  const refused = {
    code: 'ALREADY_RUNNING',
    message: new RegExp(`goes on: process ${process.pid} on ".+", since \\d{4}-.*Z; nothing was changed$`),
  };
  await t.rejects(take(two), refused);
  await take(two, 'TRIAL');
  await held.release();
  const startedMs = performance.now();
  await take(two);
  t.ok(performance.now() - startedMs < 1_000, 'at once');
});

t.test('one that has ended without a word blocks the next for a moment alone', async (t) => {
  const { one, two, take } = await scene(t);
  const held = await take(one);
  held.lapse();
  await take(two);
  await t.rejects(held.assured(), { code: 'CONFLICT', message: /another one has gone on meanwhile: run it again/ });
  t.match(await held.reasonFor(new Error('the log was silent')), { code: 'CONFLICT' });
});

t.test('a pause ends what was believed; where nobody came meanwhile it goes on, else it has lost', async (t) => {
  const { one, two, take } = await scene(t);
  const held = await take(one);
  t.ok(held.isFresh);
  paused(1_600);
  t.notOk(held.isFresh);
  await held.assured();
  t.ok(held.isFresh);
  held.lapse();
  await (await take(two)).release();
  t.notOk(held.isFresh);
  await t.rejects(held.assured(), { code: 'CONFLICT' }, 'also where the other one is done already');
});

t.test('what one clock does not show the other does', async (t) => {
  const { one, take } = await scene(t);
  const held = await take(one);
  const { now } = Date;
  t.teardown(() => (Date.now = now));
  Date.now = () => now() + 3_600_000;
  t.notOk(held.isFresh, 'the machine slept, and its monotonic clock with it');
});

t.test('nothing is sent before the lease is sure, and nothing behind its end', async (t) => {
  const { one, two } = await scene(t);
  const arrived: string[] = [];
  two.nc.subscribe('told', { callback: (_, { data }) => void arrived.push(Buffer.from(data).toString().slice(0, 8)) });
  await two.nc.flush();
  const answers = Promise.withResolvers<void>();
  const lease = { isFresh: true, assured: () => answers.promise };
  const failures: unknown[] = [];
  const publishing = new LeasedPublishing(one.nc, lease, (reason) => failures.push(reason));
  const say = (text: string, bytes = 8): void =>
    publishing.publish('told', Buffer.from(text.padEnd(bytes)), {
      reply: 'nobody',
      headers: WrittenHeaders.of('NATS/1.0\r\nA: b\r\n\r\n'),
    });
  const names = Array.from({ length: 40 }, (_, k) => `message${k}`.slice(-8));
  // Large ones go by themselves, and not before the others.
  for (const [k, name] of names.entries()) say(name, k % 3 === 0 ? 100_000 : 5_000);
  await eventually(() => arrived.length === names.length, 'all of them');
  t.same(arrived, names);

  lease.isFresh = false;
  for (let k = 0; k < 40; k++) say('late', 5_000);
  publishing.sendAll();
  await one.nc.flush();
  await two.nc.flush();
  t.equal(arrived.length, names.length, 'nothing while nobody knows');
  answers.reject(new Error('another one'));
  await eventually(() => failures.length > 0, 'it is told');
  say('later');
  publishing.sendAll();
  await one.nc.flush();
  await two.nc.flush();
  t.same([arrived.length, failures.length], [names.length, 1]);
  t.throws(
    () =>
      new LeasedPublishing(one.nc, lease, () => undefined).publish('told', Buffer.alloc(3e6), {
        reply: 'nobody',
        headers: WrittenHeaders.of('NATS/1.0\r\nA: b\r\n\r\n'),
      }),
    /max_payload/,
  );
});
