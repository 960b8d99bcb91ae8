/**
 * The servers that a row can stand beside, each at a pinned version: a path that is set, the checkout's own tools, or built from its source
 * by Go, which takes some minutes the first time.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PeerName } from '../job.ts';

const run = promisify(execFile);
const TOOLS = join(import.meta.dirname, '..', '..', '.tools', 'peers');
const BUILD_TIMEOUT_MS = 1_800_000;

interface Source {
  readonly version: string;
  /** Of a path to use and no other. */
  readonly setting: string;
  /** Puts `name` into `dir`. */
  build(dir: string, version: string): Promise<void>;
}

const SOURCES: Readonly<Record<PeerName, Source>> = {
  centrifugo: {
    version: '6.9.1',
    setting: 'ROOKERY_PEER_CENTRIFUGO',
    async build(dir, version) {
      await go(['install', `github.com/centrifugal/centrifugo/v6@v${version}`], dir, { GOBIN: dir });
    },
  },
  wukongim: {
    version: '2.2.5-20260422',
    setting: 'ROOKERY_PEER_WUKONGIM',
    async build(dir, version) {
      const [from, source] = ['https://github.com/WuKongIM/WuKongIM.git', join(dir, 'source')];
      await run('git', ['clone', '--quiet', '--depth', '1', '--branch', `v${version}`, from, source], {
        timeout: BUILD_TIMEOUT_MS,
      });
      await go(['build', '-o', join(dir, 'wukongim'), '.'], source);
    },
  },
};

/** Path of the server. @throws with the way out where it cannot be built here */
export async function findPeer(name: PeerName): Promise<string> {
  const { version, setting, build } = SOURCES[name];
  const set = process.env[setting];
  if (set) return set;
  const target = join(TOOLS, `${name}-${version}`);
  if (await isThere(target)) return target;
  await mkdir(TOOLS, { recursive: true });
  const work = await mkdtemp(join(TOOLS, 'work-'));
  try {
    console.error(`building ${name} ${version}: some minutes, once …`);
    await build(work, version);
    await rename(join(work, name), target);
    return target;
  } catch (cause) {
    const reason = String((cause as Error).message)
      .split('\n')
      .slice(0, 3)
      .join('\n');
    throw new Error(`${name} ${version} could not be built (${reason}); ${setting} may name one`, { cause });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const go = (args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}) =>
  run('go', args, { cwd, env: { ...process.env, ...env }, timeout: BUILD_TIMEOUT_MS });

const isThere = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
