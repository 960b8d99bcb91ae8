/** A whole deployment in a folder of its own, each part a process of its own, as in production; and the bench's own parts. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DurabilityProfile } from '../src/adapters/system/nats-configuration.ts';
import { freePort, startNats, type TestNats } from '../test/support/nats.ts';
import type { FromGenerator, Job, Phase, Result, ToGenerator } from './job.ts';
import { type Child, startOwn, startProduct, stoppable } from './started.ts';

const CLI = join(import.meta.dirname, '..', 'src', 'cli', 'rookery.ts');
const READY_WITHIN_MS = 20_000;
const POLL_MS = 50;
/** The longest job, 5,000 connections, takes half a minute. */
const JOB_WITHIN_MS = 180_000;
const LISTENING_WITHIN_MS = 10_000;

/** Where CPU profiles go; undefined: none are taken. */
export type ProfileDir = string | undefined;

export interface Deployment {
  readonly url: string;
  readonly secretFile: string;
  /** For what a row writes past the gateway. */
  readonly log: TestNats;
  /** Process ids by role. */
  readonly pids: Readonly<Record<'gateway' | 'worker' | 'nats', number>>;
  stop(): Promise<void>;
}

export interface DeploymentOptions {
  readonly profile: DurabilityProfile;
  /** Over the gateway's defaults. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly profileDir: ProfileDir;
  /** Whether there is a read-model worker as well. Default: no. */
  readonly isRead?: boolean;
}

/** nats-server with the streams of production, in a folder that goes with it. */
export async function startLog(profile: DurabilityProfile): Promise<TestNats> {
  const starting = startNats({ profile });
  const stop = stoppable(async () => (await starting).stop());
  return { ...(await starting), stop };
}

/** Resolves when the gateway says that it is ready. */
export async function deploy({ profile, limits = {}, profileDir, isRead }: DeploymentOptions): Promise<Deployment> {
  const nats = await startLog(profile);
  const { dataDir, server } = nats;
  const secretFile = join(dataDir, 'jwt-secret');
  writeFileSync(secretFile, randomBytes(48).toString('base64url'));
  const shared = { nats: { servers: [server.url], credentialsFile: server.credentialsFile }, logLevel: 'warn' };
  const port = await freePort();
  const start = (command: string, configuration: object): Child => {
    const file = join(dataDir, `${command}.json`);
    writeFileSync(file, JSON.stringify(configuration));
    return startProduct(CLI, [command, '--config', file, '--with-parent'], profilingFlags(command, profileDir));
  };
  const worker = start('fan-out-worker', { ...shared, stateDir: join(dataDir, 'fan-out') });
  const reader = isRead ? start('read-model-worker', { ...shared, stateDir: join(dataDir, 'read-model') }) : undefined;
  const gateway = start('gateway', { ...shared, port, auth: { secretFile }, limits });
  const stop = async (): Promise<void> => {
    await gateway.stop();
    await worker.stop();
    await reader?.stop();
    await nats.stop();
  };
  await ready(port, gateway).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    url: `ws://127.0.0.1:${port}/v1/ws`,
    secretFile,
    log: nats,
    pids: { gateway: pidOf(gateway), worker: pidOf(worker), nats: server.pid as number },
    stop,
  };
}

async function ready(port: number, gateway: Child): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  const isReady = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok === true;
  while (!(await isReady())) {
    if (gateway.process.exitCode !== null || performance.now() > deadline) throw new Error('the gateway is not ready');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const pidOf = ({ process }: Child): number => process.pid as number;

function profilingFlags(name: string, dir: ProfileDir): string[] {
  if (!dir) return [];
  mkdirSync(dir, { recursive: true });
  return ['--cpu-prof', `--cpu-prof-dir=${dir}`, `--cpu-prof-name=${name}.cpuprofile`];
}

/** Called with where the job is, before it goes on; with the generator's process id. */
export type OnPhase = (phase: Phase, generatorPid: number) => Promise<void> | void;

/** Does one job in a fresh generator. @throws what the job threw, or when it takes too long */
export async function generate(job: Job, profileDir: ProfileDir, onPhase: OnPhase): Promise<Result> {
  const flags = profilingFlags('generator', profileDir);
  const generator = startOwn(join(import.meta.dirname, 'generator.ts'), [], flags);
  const say = (message: ToGenerator): void => {
    if (generator.process.connected) generator.process.send(message);
  };
  say({ job });
  return resultOf(generator, async (phase) => {
    await onPhase(phase, pidOf(generator));
    say({ go: true });
  });
}

/** Runs a limit that measures itself. */
export const measureLimit = (file: string, args: readonly string[]): Promise<Result> =>
  resultOf(startOwn(join(import.meta.dirname, 'limits', file), args), () => Promise.resolve());

async function resultOf(child: Child, onPhase: (phase: Phase) => Promise<void>): Promise<Result> {
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Result>((resolve, reject) => {
      late = setTimeout(() => reject(new Error(`no result within ${JOB_WITHIN_MS} ms`)), JOB_WITHIN_MS);
      child.process.on('message', (message: FromGenerator) => {
        if ('result' in message) resolve(message.result);
        else if ('error' in message) reject(new Error(message.error));
        else onPhase(message.phase).catch(reject);
      });
      child.process.once('exit', (code, signal) => reject(new Error(`the generator died: ${signal ?? code}`)));
    });
  } finally {
    clearTimeout(late);
    await child.stop();
  }
}

/** A limit that is a server: it tells its port. */
export async function startLimit(file: string, args: readonly string[] = []): Promise<{ url: string } & Child> {
  const child = startOwn(join(import.meta.dirname, 'limits', file), args);
  const port = await new Promise<number>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${file} does not listen`)), LISTENING_WITHIN_MS);
    child.process.once('message', (message: { port: number }) => {
      clearTimeout(late);
      resolve(message.port);
    });
  });
  return { ...child, url: `ws://127.0.0.1:${port}/` };
}
