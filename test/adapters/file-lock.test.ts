/** Locks that are the kernel's, by files. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { tryLockFile, tryLockPassingFile } from '../../src/adapters/sqlite/file-lock.ts';
import { folder } from '../support/archives.ts';

const TAKING_TURNS = join(import.meta.dirname, '..', 'support', 'taking-turns.ts');

t.test('of processes that take and leave it all the time, no two ever have it at once', async (t) => {
  const file = join(folder(t), 'a.lock');
  const each = Array.from({ length: 4 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [TAKING_TURNS, file, '500']);
    return JSON.parse(stdout) as { taken: number; together: number };
  });
  for (const one of await Promise.all(each)) t.same(one, { taken: 500, together: 0 });
  t.notOk(existsSync(file), 'and in the end nothing is left of it');
});

t.test('what somebody who was killed left blocks nobody; what is held, is', (t) => {
  const file = join(folder(t), 'a.lock');
  writeFileSync(file, '');
  const lock = tryLockPassingFile(file);
  t.ok(lock);
  t.equal(tryLockPassingFile(file), undefined);
  t.equal(tryLockFile(file), undefined);
  t.same(readdirSync(dirname(file)), ['a.lock'], 'nothing stands beside it that a killed one would leave');
  lock?.release();
  const next = tryLockPassingFile(file);
  lock?.release();
  t.equal(tryLockPassingFile(file), undefined, 'released twice is not released for the next one');
  next?.release();
  t.notOk(existsSync(file));
  t.end();
});

t.test('what is no lock of ours stays as it is', (t) => {
  const dir = folder(t);
  const at = (name: string): string => join(dir, name);
  writeFileSync(at('letter'), 'dear bob');
  mkdirSync(at('folder'));
  symlinkSync('nowhere', at('link'));
  for (const name of ['letter', 'folder', 'link']) {
    t.throws(() => tryLockPassingFile(at(name)), { code: 'FILE_UNUSABLE', message: /is no lock of Rookery/ }, name);
  }
  t.equal(readFileSync(at('letter'), 'utf8'), 'dear bob');
  t.notOk(existsSync(at('nowhere')));
  t.end();
});

t.test('one that its holder has lost sight of is held all the same', async (t) => {
  const file = join(folder(t), 'a.lock');
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  t.ok(tryLockFile(file));
  for (let k = 0; k < 3; k++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  t.equal(tryLockFile(file), undefined);
});
