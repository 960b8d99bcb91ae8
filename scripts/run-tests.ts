/**
 * Runs tap and ends with the plain line `N passed, N failed`, counted from tap's own TAP output.
 *
 * tap alone would not do: a test file without tests exits 0, and its reporter's last line has another form.
 * Arguments are test files, folders of them, or options of `tap run` such as `--grep=/duplicate/`.
 */
import { spawn } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findBrowser } from './browser.ts';
import { findNatsServer } from './nats-server.ts';
import { TapReport } from './tap-report.ts';

const ROOT = join(import.meta.dirname, '..');
/** A file that runs longer hangs. The slowest starts several servers and kills them. */
const FILE_TIMEOUT_S = 480;
/** Of the failures as they stand at the end of the output. */
const FAILURE_LINES = 200;

const { path, version, source } = await findNatsServer({
  progress: (line) => console.error(`rookery: ${line}`),
});
console.log(`nats-server ${version} from ${source}`);
const browser = browserPath();

const report = new TapReport((line) => console.log(line));
const exitCode = await runTap(path, process.argv.slice(2).flatMap(filesOf), report);
const ok = exitCode === 0 && report.failed === 0 && report.passed > 0 && !report.bailedOut;
if (report.failures.length > 0) {
  console.log('what has failed:');
  for (const line of report.failures.slice(0, FAILURE_LINES)) console.log(line);
  const left = report.failures.length - FAILURE_LINES;
  if (left > 0) console.log(`… and ${left} more lines above`);
}
if (report.passed === 0) console.log('no test has passed');
if (exitCode !== 0 && report.failed === 0) console.log(`tap ended with exit code ${exitCode}`);
if (report.skipped > 0) console.log(`${report.skipped} skipped`);
// A run that went wrong although each test passed (tap itself crashed, or nothing ran) must not read as a success.
console.log(`${report.passed} passed, ${ok ? 0 : Math.max(report.failed, 1)} failed`);
process.exitCode = ok ? 0 : 1;

/** Found, or unpacked, once for all that run beside one another. Where there is none, each test that needs one fails and says so. */
function browserPath(): string | undefined {
  try {
    const { path, source } = findBrowser();
    console.log(`Chromium from ${source}`);
    return path;
  } catch (error) {
    console.error((error as Error).message);
    return undefined;
  }
}

/** tap takes files and no folders. */
function filesOf(argument: string): string[] {
  const isFolder = statSync(join(ROOT, argument), { throwIfNoEntry: false })?.isDirectory() ?? false;
  const files = isFolder ? globSync(join(argument, '**', '*.test.ts'), { cwd: ROOT }).sort() : [];
  return files.length > 0 ? files : [argument];
}

/** @returns tap's exit code; 1 where a signal ended it */
async function runTap(natsServer: string, targets: readonly string[], into: TapReport): Promise<number> {
  const options = ['--reporter=tap', `--jobs=${availableParallelism()}`, `--timeout=${FILE_TIMEOUT_S}`];
  const tap = spawn(join(ROOT, 'node_modules', '.bin', 'tap'), ['run', ...options, ...targets], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ROOKERY_NATS_SERVER: natsServer,
      ...(browser !== undefined && { TEST_CHROMIUM: browser }),
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => tap.kill(signal));
  const exited = new Promise<number>((resolve, reject) => {
    tap.once('error', reject);
    tap.once('close', (code) => resolve(code ?? 1));
  });
  for await (const line of createInterface({ input: tap.stdout })) into.line(line);
  return exited;
}
