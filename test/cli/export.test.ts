/** `rookery export` of what is not there: an error and no file. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { folder } from '../support/archives.ts';
import { conversation, user } from '../support/given.ts';
import { says, startOperated } from '../support/operated.ts';

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
    [['--until', '2001-01-01'], /^NOT_FOUND: nothing in the log/],
  ];
  for (const [args, stderr] of cases) {
    t.match(await run('export', file, ...args), { code: 1, stdout: /^$/, stderr }, args.join(' '));
    t.same(readdirSync(dir), []);
  }
  writeFileSync(file, 'of before');
  t.match(await run('export', file, '--user', 'nobody'), { code: 1 });
  t.equal(readFileSync(file, 'utf8'), 'of before');
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
