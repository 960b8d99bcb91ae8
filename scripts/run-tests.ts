/**
 * Runs tap and ends with the plain line `N passed, N failed`, counted from tap's own TAP output.
 *
 * tap alone would not do: a test file without tests exits 0, and its reporter's last line has another form.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findNatsServer } from './nats-server.ts';

const ROOT = join(import.meta.dirname, '..');
/** A file that runs longer hangs. The slowest starts several servers and kills them. */
const FILE_TIMEOUT_S = 240;

interface Count {
  passed: number;
  failed: number;
}

const files = process.argv.slice(2);
const {
  path: natsServer,
  version,
  source,
} = await findNatsServer({
  progress: (line) => console.error(`rookery: ${line}`),
});
console.log(`nats-server ${version} from ${source}`);

let failing = false;
let currentFileFailed = false;
const { passed, failed, exitCode } = await runTap(natsServer, files);
const ok = exitCode === 0 && failed === 0 && passed > 0;
if (passed === 0) console.log('no test has passed');
if (exitCode !== 0) console.log(`tap ended with exit code ${exitCode}`);
// A run that failed although each test passed (tap itself crashed, or nothing ran) must not read as a success.
console.log(`${passed} passed, ${ok || failed > 0 ? failed : 1} failed`);
process.exitCode = ok ? 0 : 1;

async function runTap(natsServerPath: string, targets: string[]): Promise<Count & { exitCode: number }> {
  const tap = spawn(
    join(ROOT, 'node_modules', '.bin', 'tap'),
    [
      'run',
      '--reporter=tap',
      `--jobs=${availableParallelism()}`,
      `--timeout=${FILE_TIMEOUT_S}`,
      '--disable-coverage',
      ...targets,
    ],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ROOKERY_NATS_SERVER: natsServerPath } },
  );
  const exited = new Promise<number>((resolve) => tap.once('close', (code) => resolve(code ?? 1)));
  const counted: Count = { passed: 0, failed: 0 };
  for await (const line of createInterface({ input: tap.stdout })) report(line, counted);
  return { ...counted, exitCode: await exited };
}

/**
 * TAP nests by four spaces: a file at the margin, its tests below it. Tests are counted, not their assertions; a file that
 * failed by itself (a crash, a timeout, no tests at all) counts as one failed test.
 */
function report(line: string, counted: Count): void {
  const [, indent = '', not, name = ''] = /^( *)(not )?ok \d+ - (.*)$/.exec(line) ?? [];
  if (name) {
    const depth = indent.length / 4;
    if (depth === 1 && !not) counted.passed += 1;
    if (depth === 1 && not) counted.failed += 1;
    if (depth === 0) console.log(`${not ? '✘' : '✔'} ${name.replace(/ # time.*$/, '')}`);
    if (depth === 0 && not && !currentFileFailed) counted.failed += 1;
    currentFileFailed = depth === 0 ? false : currentFileFailed || Boolean(not);
  }
  if (not || failing) console.log(line);
  failing = Boolean(not) || (failing && !/^ *\.\.\.$/.test(line) && !name);
}
