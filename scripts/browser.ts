/**
 * A Chromium for the tests: the one an operator names, one that is installed, or the one inside the npm package
 * @sparticuz/chromium, unpacked once into .tools/ with the system libraries and fonts it brings along. No root, no download.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome-headless-shell'];
/** With this name of a Lambda runtime the package unpacks its system libraries too. */
const WITH_LIBRARIES = 'nodejs22.x';
const VERSION_WITHIN_MS = 30_000;

export interface FoundBrowser {
  readonly path: string;
  /** What its process needs beside our own environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly source: string;
}

/** @throws Error that says what was tried, where there is none that runs */
export function findBrowser(): FoundBrowser {
  const named = process.env.TEST_CHROMIUM;
  if (named) return { path: named, environment: librariesBeside(named), source: 'TEST_CHROMIUM' };
  const tried: string[] = [];
  for (const candidate of candidates()) {
    const failure = failureOf(candidate);
    if (failure === undefined) return candidate;
    tried.push(`${candidate.source}: ${failure}`);
  }
  throw new Error(
    `no Chromium that runs, and the tests of the web client need one (TEST_CHROMIUM names one):\n${tried.join('\n')}`,
  );
}

function* candidates(): Generator<FoundBrowser> {
  for (const folder of (process.env.PATH ?? '').split(delimiter))
    for (const name of NAMES)
      if (existsSync(join(folder, name))) yield { path: join(folder, name), environment: {}, source: folder };
  const path = unpacked();
  yield { path, environment: librariesBeside(path), source: '@sparticuz/chromium' };
}

/** Unpacked beside its place and moved there whole: a run that was interrupted leaves nothing that looks complete. */
function unpacked(): string {
  const manifest = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '..', 'package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const home = join(ROOT, '.tools', 'chromium', version);
  const executable = join(home, 'chromium');
  if (existsSync(executable)) return executable;
  const work = join(ROOT, '.tools', 'chromium', `work-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const unpack = "import('@sparticuz/chromium').then(({ default: chromium }) => chromium.executablePath())";
    const env = { ...process.env, TMPDIR: work, AWS_LAMBDA_JS_RUNTIME: WITH_LIBRARIES };
    execFileSync(process.execPath, ['-e', unpack], { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] });
    // Another run may have been faster: its copy is as good.
    if (!existsSync(executable)) renameSync(work, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return executable;
}

function librariesBeside(executable: string): Record<string, string> {
  const [library] = globSync(join(dirname(executable), '**', 'libnss3.so'));
  return library ? { LD_LIBRARY_PATH: dirname(library) } : {};
}

function failureOf({ path, environment }: FoundBrowser): string | undefined {
  try {
    const env = { ...process.env, ...environment };
    execFileSync(path, ['--version', '--no-sandbox'], { env, timeout: VERSION_WITHIN_MS, stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n').slice(0, 3).join(' ');
  }
}

if (import.meta.main) {
  try {
    console.log(findBrowser().path);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
