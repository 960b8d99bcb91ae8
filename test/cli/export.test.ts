/** `rookery export` of what is not there: an error and no file; and what is no file of it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import t from 'tap';
import { FileArchiveWriter } from '../../src/adapters/archive/archive-writer.ts';
import { folder } from '../support/archives.ts';
import { conversation, user } from '../support/given.ts';
import { says, startOperated } from '../support/operated.ts';
import { eventually } from '../support/waiting.ts';
import { HEADER } from '../support/written-archive.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');
const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, run, json } = scene;
const group = conversation('rooks');
await append(group, { type: 'groupCreated', by: user('alice'), name: 'Rooks', members: [user('bob')] });
await append(group, says(user('alice'), 'hello'));

t.test('what is not in the log is no export: no file is left, and one that is there stays', async (t) => {
  const dir = folder(t);
  const file = join(dir, 'part.rookery');
  const cases: [string[], RegExp][] = [
    [['--conversation', 'nowhere'], /^NOT_FOUND: there is no conversation nowhere in the log; no file/],
    [['--conversation', group, '--conversation', 'nowhere'], /^NOT_FOUND: there is no conversation nowhere/],
    [['--user', 'nobody'], /^NOT_FOUND: nothing in the log is what was asked for; no file was written/],
    [['--since', '17'], /^BAD_REQUEST: 17: this is no time \(/],
    [['--since', '2026-07-01', '--until', '2026-06-01'], /^BAD_REQUEST: --since 2026-07-01 is not before --until/],
    [['--since', '1d', '--until', '1d', '--conversation', group], /^BAD_REQUEST: --since 1d is not before --until 1d/],
    [['--until', '2001-01-01'], /^NOT_FOUND: nothing in the log/],
  ];
  for (const [args, stderr] of cases) {
    t.match(await run('export', file, ...args), { code: 1, stdout: /^$/, stderr }, args.join(' '));
    t.same(readdirSync(dir), []);
  }
  t.match(await run('export', '-'), { code: 1, stdout: '', stderr: /^BAD_REQUEST: -: give a file; an export is not/ });
  writeFileSync(file, 'of before');
  t.match(await run('export', file, '--user', 'nobody'), { code: 1 });
  t.equal(readFileSync(file, 'utf8'), 'of before');
});

t.test(
  'nothing but an archive is replaced: what else stands there stays, and nothing is written beside it',
  async (t) => {
    const dir = folder(t);
    const at = (name: string): string => join(dir, name);
    t.match(await run('export', at('log.rookery')), { code: 0 });
    const archive = readFileSync(at('log.rookery'));
    writeFileSync(at('letter.md'), 'dear bob');
    mkdirSync(at('folder'));
    symlinkSync('log.rookery', at('link'));
    execFileSync('mkfifo', [at('pipe'), at('piped.part')]);
    writeFileSync(at('film.part'), 'of a download');
    const before = readdirSync(dir);
    for (const [name, stderr] of [
      ['letter.md', /^FILE_UNUSABLE: .*letter\.md is there and is no archive of Rookery/],
      ['folder', /^FILE_UNUSABLE: .*folder is there and is no regular file/],
      ['link', /^FILE_UNUSABLE: .*link is there and is no regular file/],
      ['pipe', /^FILE_UNUSABLE: .*pipe is there and is no regular file/],
      ['piped', /^FILE_UNUSABLE: .*piped\.part is there and is no regular file/],
      ['film', /^FILE_UNUSABLE: .*film\.part, in which it would be written, is there and is no archive/],
    ] as const) {
      t.match(await run('export', at(name)), { code: 1, stdout: '', stderr }, name);
      t.same(readdirSync(dir), before, name);
    }
    t.equal(readFileSync(at('letter.md'), 'utf8'), 'dear bob');
    t.equal(readFileSync(at('film.part'), 'utf8'), 'of a download');
    t.ok(lstatSync(at('pipe')).isFIFO());
    t.ok(lstatSync(at('link')).isSymbolicLink());

    writeFileSync(at('log.rookery.part'), archive.subarray(0, 5));
    t.match(await run('export', at('log.rookery')), { code: 0 }, 'an archive of ours is replaced, also by one cut off');
    t.notOk(existsSync(at('log.rookery.part')));
  },
);

t.test('what cannot be written is told, and no success; a reader that has gone away is', async (t) => {
  const written = (to: string, ...args: string[]) =>
    new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const out = openSync(to, 'w');
      const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', out, 'pipe'] });
      let stderr = '';
      child.stderr?.on('data', (chunk) => (stderr += chunk));
      child.once('close', (code) => resolve({ code, stderr }));
      closeSync(out);
    });
  const config = ['--config', scene.configFile];
  for (const args of [
    ['tail', '--no-follow', '-n', '1', ...config],
    ['stats', ...config],
    ['completion', 'bash'],
  ]) {
    t.match(await written('/dev/full', ...args), { code: 1, stderr: /^FILE_UNUSABLE: .*ENOSPC/m }, args.join(' '));
  }
  const gone = scene.start('tail', '--no-follow', '-n', '1');
  gone.child.stdout?.destroy();
  t.match(await gone.ended, { code: 0, stderr: '' });
});

t.test('what is no regular file is no archive, and nobody waits for it', async (t) => {
  const dir = folder(t);
  const [pipe, socket] = [join(dir, 'pipe'), join(dir, 'socket')];
  execFileSync('mkfifo', [pipe]);
  const server = createServer().listen(socket);
  t.teardown(() => server.close());
  await once(server, 'listening');
  for (const path of [pipe, socket, dir, '/dev/zero']) {
    for (const more of [[], ['--merge']]) {
      t.match(await run('import', path, ...more), {
        ...{ code: 1, stdout: '' },
        stderr: new RegExp(`^FILE_UNUSABLE: ${path} is no regular file\n$`),
      });
    }
  }
  t.match(await run('replay', pipe, '--into', 'TRIAL'), { code: 1, stderr: /^FILE_UNUSABLE: .*pipe is no regular/ });
});

t.test('what is there is exported; how long it took is told to the millisecond', async (t) => {
  const file = join(folder(t), 'part.rookery');
  for (const args of [
    ['--conversation', group],
    ['--user', 'alice'],
  ]) {
    const [told] = await json('export', file, ...args);
    t.match(told, { events: 2 });
    t.match(String(told?.seconds), /^\d+(\.\d{1,3})?$/);
    t.ok(existsSync(file));
  }
});

t.test(
  'two do not write one file: the second is refused, whatever it calls it; one that was killed blocks nobody',
  async (t) => {
    const dir = folder(t);
    const real = join(dir, 'real');
    mkdirSync(real);
    symlinkSync('real', join(dir, 'linked'));
    const [file, whole] = [join(real, 'log.rookery'), join(dir, 'whole.rookery')];
    t.match(await run('export', whole), { code: 0 });
    const first = scene.start('export', file);
    await eventually(() => existsSync(`${file}.part`), 'the first has begun');
    first.child.kill('SIGSTOP');
    t.teardown(() => first.child.kill('SIGKILL'));
    t.notOk(existsSync(file), 'it is not done');
    for (const name of [file, join(dir, 'linked', 'log.rookery'), relative(scene.nats.dataDir, file)]) {
      const refused = {
        code: 1,
        stdout: '',
        stderr: /^ALREADY_RUNNING: another `rookery export` is writing .*log\.rookery\.part\n$/,
      };
      t.match(await run('export', name), refused, name);
    }
    t.match(await run('export', join(real, 'other.rookery')), { code: 0 }, 'another file is another matter');
    first.child.kill('SIGKILL');
    await first.ended;
    t.match(await run('export', file), { code: 0, stderr: '' });
    t.same(readdirSync(real).sort(), ['log.rookery', 'other.rookery']);
  },
);

t.test('a file that is put in the place of what is written is not taken for it; nor is a link', async (t) => {
  const dir = folder(t);
  const [file, part] = [join(dir, 'log.rookery'), join(dir, 'log.rookery.part')];
  const writer = await FileArchiveWriter.open(file, { ...HEADER, compression: 'gzip' });
  renameSync(part, join(dir, 'elsewhere'));
  writeFileSync(part, 'of somebody');
  await t.rejects(writer.finish(), { code: 'FILE_UNUSABLE', message: /moved away or replaced/ });
  await writer.abandon();
  t.notOk(existsSync(file));
  t.equal(readFileSync(part, 'utf8'), 'of somebody');
  rmSync(part);
  for (const target of ['elsewhere', 'nowhere']) {
    symlinkSync(target, part);
    t.match(await run('export', file), { code: 1, stderr: /^FILE_UNUSABLE: .*\.part is there and is no regular file/ });
    rmSync(part);
  }
  t.same(readdirSync(dir), ['elsewhere']);
});
