/** A whole deployment in a folder of its own, each part a process of its own, as in production. */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DurabilityProfile } from '../src/adapters/system/nats-configuration.ts';
import { freePort, startNats, type TestNats } from '../test/support/nats.ts';
import type { Job, Result } from './job.ts';

const ROOT = join(import.meta.dirname, '..');
const READY_WITHIN_MS = 20_000;
const JOB_WITHIN_MS = 180_000;

export interface Deployment {
  readonly nats: TestNats;
  readonly url: string;
  readonly secretFile: string;
  readonly gateway: ChildProcess;
  readonly worker: ChildProcess;
  stop(): Promise<void>;
}

export interface DeploymentOptions {
  readonly profile?: DurabilityProfile;
  /** Over the gateway's limits. */
  readonly limits?: Record<string, number>;
  /** Folder for CPU profiles of gateway and worker. */
  readonly profiles?: string | undefined;
}

export async function deploy({
  profile = 'default',
  limits = {},
  profiles,
}: DeploymentOptions = {}): Promise<Deployment> {
  const nats = await startNats({ profile });
  const secretFile = join(nats.dataDir, 'jwt-secret');
  writeFileSync(secretFile, randomBytes(48).toString('base64url'));
  const shared = {
    nats: { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile },
    logLevel: 'warn',
  };
  const port = await freePort();
  const worker = run('fan-out-worker', { ...shared, stateDir: join(nats.dataDir, 'fan-out') }, nats.dataDir, profiles);
  const gateway = run('gateway', { ...shared, port, auth: { secretFile }, limits }, nats.dataDir, profiles);
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok) {
    if (Date.now() > deadline) throw new Error('the gateway did not get ready');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    nats,
    url: `ws://127.0.0.1:${port}/v1/ws`,
    secretFile,
    gateway,
    worker,
    async stop() {
      await end(gateway);
      await end(worker);
      await nats.stop();
    },
  };
}

function run(command: string, configuration: object, dir: string, profiles: string | undefined): ChildProcess {
  const file = join(dir, `${command}.json`);
  writeFileSync(file, JSON.stringify(configuration));
  if (profiles) mkdirSync(profiles, { recursive: true });
  const flags = profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${command}.cpuprofile`] : [];
  return spawn(process.execPath, [...flags, join(ROOT, 'src', 'cli', 'rookery.ts'), command, '--config', file], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exited;
  clearTimeout(killer);
}

/** The generator does one job in a process of its own; `during` runs when it is done and before it goes. */
export async function generate(job: Job, during?: () => Promise<void> | void): Promise<Result> {
  const child = fork(join(import.meta.dirname, 'generator.ts'));
  try {
    const answer = await new Promise<{ result?: Result; error?: string }>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${job.kind} took too long`)), JOB_WITHIN_MS);
      child.once('message', (message) => {
        clearTimeout(timer);
        resolve(message as { result?: Result; error?: string });
      });
      child.once('exit', () => reject(new Error('the generator died')));
      child.send(job);
    });
    if (!answer.result) throw new Error(answer.error);
    await during?.();
    return answer.result;
  } finally {
    child.kill('SIGKILL');
  }
}

/** A limit's server in a process of its own. */
export async function startLimit(
  file: string,
  args: readonly string[] = [],
): Promise<{ url: string; child: ChildProcess }> {
  const child = fork(join(import.meta.dirname, 'limits', file), [...args]);
  const { port } = await new Promise<{ port: number }>((resolve) =>
    child.once('message', (m) => resolve(m as { port: number })),
  );
  return { url: `ws://127.0.0.1:${port}/`, child };
}

/** Resident memory in KiB. */
export const residentKiB = (pid: number | undefined): number =>
  Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString());
