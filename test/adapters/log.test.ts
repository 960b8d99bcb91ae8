import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../support/waiting.ts';

const LOG = join(import.meta.dirname, '..', '..', 'src', 'adapters', 'system', 'log.ts');
const ENDS_WITHIN_MS = 10_000;

/** A process that logs a line for each line it is told, and exits with 3 when it is told no more. */
function logger() {
  const script = `const { createLog } = await import(${JSON.stringify(LOG)});
    const log = createLog('test', 'info');
    process.stdout.on('error', () => undefined);
    log.info({ what: 'ready' });
    process.stdin.on('data', () => log.info({ what: 'told', text: 'x'.repeat(100_000) }));
    process.stdin.on('end', () => { log.info({ what: 'last words' }); process.exit(3); });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => undefined);
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  const ended = new Promise((resolve) => child.once('close', resolve));
  return { child, ended, text: () => text };
}

t.test('each line is JSON with a `what`, and the last words of a process are there', async (t) => {
  const { child, ended, text } = logger();
  child.stdin.write('1');
  await eventually(() => text().includes('told'), 'the line');
  child.stdin.end();
  t.equal(await ended, 3);
  const lines = text().trimEnd().split('\n');
  t.same(
    lines.map((line) => JSON.parse(line).what),
    ['ready', 'told', 'last words'],
  );
  t.match(JSON.parse(lines[0] ?? ''), { process: 'test', level: 30, time: /^\d{4}-.*Z$/ });
});

t.test('a process whose log nobody reads any more goes on, and can end', async (t) => {
  const { child, ended, text } = logger();
  await eventually(() => text().includes('ready'), 'it is there');
  child.stdout.destroy();
  for (let i = 0; i < 5; i++) child.stdin.write('1');
  child.stdin.end();
  const bound = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN_MS);
  t.equal(await ended, 3);
  clearTimeout(bound);
});
