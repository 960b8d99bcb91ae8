/** Temporary folders: gone with the work, or with the next one's start where their process was killed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { makeTemporaryFolder } from '../../src/adapters/sqlite/temporary-folder.ts';
import { folder } from '../support/archives.ts';
import { nothing } from '../support/talking.ts';
import { eventually } from '../support/waiting.ts';

const HOLDER = join(import.meta.dirname, '..', 'support', 'folder-holder.ts');

async function holder(t: Test, within: string): Promise<{ child: ChildProcess; path: string }> {
  const child = spawn(process.execPath, [HOLDER, within, 'hold'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let path = '';
  child.stdout?.on('data', (chunk) => (path += chunk));
  await eventually(() => path !== '', 'it has one');
  return { child, path };
}

const ended = (child: ChildProcess): Promise<unknown> => new Promise((resolve) => child.once('close', resolve));

t.test('of a process that was killed nothing stays when the next one begins; of one that lives all does', async (t) => {
  const within = folder(t);
  const [killed, living, stopped] = [await holder(t, within), await holder(t, within), await holder(t, within)];
  stopped.child.kill('SIGSTOP');
  const gone = ended(killed.child);
  killed.child.kill('SIGKILL');
  await gone;
  t.ok(existsSync(killed.path));
  const own = makeTemporaryFolder('shadow', within);
  const other = makeTemporaryFolder('shadow', within);
  const names = [living, stopped, own, other].map(({ path }) => path.slice(within.length + 1));
  t.same(readdirSync(within).sort(), names.sort());
  own.remove();
  other.remove();
  t.notOk(existsSync(own.path));
});

t.test('what is not clearly ours stays', (t) => {
  const within = folder(t);
  const at = (name: string): string => join(within, name);
  const stays = [
    'rookery-verify-file00',
    'rookery-verify-open00',
    'rookery-ids-young0',
    'rookery-archive-abcdef',
    'rookery-ids-longer00',
  ];
  const long = new Date(Date.now() - 25 * 3_600_000);
  for (const name of ['elsewhere', 'rookery-ids-left00', ...stays.slice(1)]) mkdirSync(at(name), { mode: 0o700 });
  writeFileSync(at('rookery-verify-file00'), '');
  writeFileSync(join(at('elsewhere'), 'lock.sqlite'), '');
  symlinkSync('elsewhere', at('rookery-past-linked'));
  chmodSync(at('rookery-verify-open00'), 0o755);
  for (const name of stays) if (name !== 'rookery-ids-young0') utimesSync(at(name), long, long);
  utimesSync(at('rookery-ids-left00'), long, long);
  makeTemporaryFolder('replay', within).remove();
  t.same(readdirSync(within).sort(), ['elsewhere', 'rookery-past-linked', ...stays].sort());
  t.same(readdirSync(at('elsewhere')), ['lock.sqlite']);
  t.throws(() => makeTemporaryFolder('ids', at('nowhere')), {
    code: 'FILE_UNUSABLE',
    message: /no temporary folder in/,
  });
  t.end();
});

t.test('of processes that begin and end all the time none loses what it has', async (t) => {
  const within = folder(t);
  const each = Array.from({ length: 4 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [HOLDER, within, '100']);
    return JSON.parse(stdout) as { taken: number };
  });
  for (const one of await Promise.all(each)) t.same(one, { taken: 0 });
  t.same(readdirSync(within), []);
});

t.test('a merge that was killed leaves its ids to the next one to take away', async (t) => {
  const [within, to] = [folder(t), await nothing(t)];
  await to.append('team' as never, { type: 'groupCreated', by: 'alice' as never, name: 'team', members: [] });
  await to.append('team' as never, { type: 'groupRenamed', by: 'alice' as never, name: 'team b' });
  const before = process.env.TMPDIR;
  process.env.TMPDIR = within;
  t.teardown(() => (before === undefined ? delete process.env.TMPDIR : (process.env.TMPDIR = before)));
  const slow = to.start('replay', '--into', 'TRIAL', '--speed', '0.001x');
  const hasIds = (name: string): boolean => existsSync(join(within, name, 'ids.sqlite'));
  await eventually(() => readdirSync(within).some(hasIds), 'it has begun');
  slow.child.kill('SIGKILL');
  await slow.ended;
  t.match(await to.run('verify'), { code: 0 });
  t.same(
    readdirSync(within).filter((name) => name.startsWith('rookery-')),
    [],
  );
});
