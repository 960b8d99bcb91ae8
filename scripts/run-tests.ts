/**
 * Runs tap and ends with the plain line `N passed, N failed`, counted from tap's own TAP output.
 *
 * tap alone would not do: a test file without tests exits 0, and its reporter's last line has another form.
 *
 * Files run beside one another, most of them with servers of their own, and a machine can be too busy for one of them. So where
 * few files of the whole suite have failed, they run once more, one at a time; that run decides, and what failed only in the
 * first is printed as wavering, with all it said. A run of chosen files is never repeated.
 *
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
/** More failed files than this are no busy machine. */
const MAX_WAVERING = 3;

const { path, version, source } = await findNatsServer({
  progress: (line) => console.error(`rookery: ${line}`),
});
console.log(`nats-server ${version} from ${source}`);
const browser = browserPath();

const targets = process.argv.slice(2).flatMap(filesOf);
const outcome = await run();
printFailures('what has failed:', outcome.failures);
if (outcome.passed === 0) console.log('no test has passed');
if (outcome.skipped > 0) console.log(`${outcome.skipped} skipped`);
console.log(`${outcome.passed} passed, ${outcome.failed} failed`);
process.exitCode = outcome.failed === 0 ? 0 : 1;

interface Outcome {
  readonly passed: number;
  /** At least 1 where the run went wrong although each test passed (tap itself crashed, or nothing ran). */
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

async function run(): Promise<Outcome> {
  const first = await runTap(targets, availableParallelism());
  const wavering = first.report.failedFiles;
  if (targets.length > 0 || wavering.length === 0 || wavering.length > MAX_WAVERING || first.report.bailedOut) {
    return outcomeOf(first);
  }
  console.log(`once more, one at a time: ${wavering.map(({ name }) => name).join(', ')}`);
  const second = await runTap(
    wavering.map(({ name }) => name),
    1,
  );
  printFailures('what had failed beside other files:', first.report.failures);
  const { passed, failed, skipped, failures } = outcomeOf(second);
  const beside = (count: 'passed' | 'skipped') =>
    first.report[count] - wavering.reduce((sum, file) => sum + file[count], 0);
  return { passed: passed + beside('passed'), failed, skipped: skipped + beside('skipped'), failures };
}

function outcomeOf({ exitCode, report }: TapRun): Outcome {
  const { passed, failed, skipped, failures, bailedOut } = report;
  const ok = exitCode === 0 && failed === 0 && passed > 0 && !bailedOut;
  const unexplained = exitCode !== 0 && failed === 0 ? [`tap ended with exit code ${exitCode}`] : [];
  return { passed, failed: ok ? 0 : Math.max(failed, 1), skipped, failures: [...failures, ...unexplained] };
}

function printFailures(title: string, failures: readonly string[]): void {
  if (failures.length === 0) return;
  console.log(title);
  for (const line of failures.slice(0, FAILURE_LINES)) console.log(line);
  const left = failures.length - FAILURE_LINES;
  if (left > 0) console.log(`… and ${left} more lines above`);
}

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

interface TapRun {
  /** 1 where a signal ended it. */
  readonly exitCode: number;
  readonly report: TapReport;
}

async function runTap(files: readonly string[], jobs: number): Promise<TapRun> {
  const options = ['--reporter=tap', `--jobs=${jobs}`, `--timeout=${FILE_TIMEOUT_S}`];
  const tap = spawn(join(ROOT, 'node_modules', '.bin', 'tap'), ['run', ...options, ...files], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ROOKERY_NATS_SERVER: path,
      ...(browser !== undefined && { TEST_CHROMIUM: browser }),
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => tap.kill(signal));
  const exited = new Promise<number>((resolve, reject) => {
    tap.once('error', reject);
    tap.once('close', (code) => resolve(code ?? 1));
  });
  const report = new TapReport((line) => console.log(line));
  for await (const line of createInterface({ input: tap.stdout })) report.line(line);
  return { exitCode: await exited, report };
}
