/** Merges into one log at once, by processes that are paused and killed. */
import { join } from 'node:path';
import t from 'tap';
import { MergeLease } from '../../src/adapters/jetstream/records/merge-lease.ts';
import { contents, deployment, folder, recordsOf } from '../support/archives.ts';
import { nothing, talking } from '../support/talking.ts';
import { eventually } from '../support/waiting.ts';

const WINDOW_MS = 200;

t.test('a second merge is refused and changes nothing; of another stream it is not', async (t) => {
  const [dir, from, to] = [folder(t), await talking(t), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  const held = await MergeLease.take(to.operator, new AbortController().signal);
  t.teardown(() => held?.release());
  const before = await contents(to);
  for (const args of [
    ['import', file, '--merge'],
    ['replay', file, '--into', to.configFile, '--speed', 'max'],
  ]) {
    t.match(
      await to.run(...args),
      { code: 1, stdout: '', stderr: /^ALREADY_RUNNING: another merge into the same log goes on: process \d+ on / },
      args.join(' '),
    );
  }
  t.same(await contents(to), before);
  t.match(await to.run('replay', file, '--into', 'TRIAL', '--speed', 'max'), { code: 0 });
  await held?.release();
  t.match(await to.json('import', file, '--merge'), [{ stored: 8 }]);
});

t.test('a merge that was paused while another went on sends nothing more, and says so', async (t) => {
  const events = 8_000;
  const [dir, from, to] = [folder(t), await deployment(t, events), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  // As if it had been paused for longer than it is.
  await to.operator.jsm.streams.update('CONV_0', { duplicate_window: WINDOW_MS * 1e6 });
  const all = await recordsOf(from, 'CONV_0');
  const tookMs = (all.at(-1)?.at ?? 0) - (all[0]?.at ?? 0);
  const slow = to.start('replay', file, '--into', to.configFile, '--speed', `${(tookMs / 60_000).toFixed(3)}x`);
  t.teardown(() => slow.child.kill('SIGKILL'));
  const stored = async (): Promise<number> => (await to.operator.jsm.streams.info('CONV_0')).state.last_seq;
  await eventually(async () => (await stored()) > 50, 'it is in the middle');
  slow.child.kill('SIGSTOP');
  t.match(await to.run('import', file, '--merge'), { code: 0 });
  const whole = await contents(to);
  t.ok((await stored()) > 1_000);
  await new Promise((resolve) => setTimeout(resolve, 2 * WINDOW_MS));
  slow.child.kill('SIGCONT');
  t.match(await slow.ended, {
    code: 1,
    stdout: '',
    stderr: /^CONFLICT: .*another one has gone on meanwhile: run it again/m,
  });
  t.same(await contents(to), whole);
  const ids = (await recordsOf(to, 'CONV_0')).map(({ messageId }) => messageId);
  t.equal(ids.length, new Set(all.map(({ messageId }) => messageId)).size);
  t.match(await to.json('import', file, '--merge'), [{ stored: 0 }]);
});

t.test('a merge that was killed blocks the next for a moment', async (t) => {
  const [dir, from, to] = [folder(t), await talking(t), await nothing(t)];
  const file = join(dir, 'log.rookery');
  await from.run('export', file);
  const slow = to.start('replay', file, '--into', to.configFile, '--speed', '0.001x');
  await eventually(async () => (await to.operator.jsm.streams.info('CONV_0')).state.last_seq > 0, 'it has begun');
  slow.child.kill('SIGKILL');
  await slow.ended;
  const [merged] = await to.json('import', file, '--merge');
  t.equal(Number(merged?.stored) + Number(merged?.known), 8);
  t.equal((await recordsOf(to, 'CONV_0')).length, 8);
});
