/**
 * `rookery dev`: everything on one machine. nats-server, a gateway and a fan-out worker, each a process of its own, so that
 * a newcomer can kill -9 any of them and watch it come back; what dies is started again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { DurabilityProfile } from '../adapters/system/nats-configuration.ts';
import { RookeryError } from '../protocol/error-codes.ts';

const DEFAULT_PORT = 7700;
const NATS_PORT_OFFSET = 22;
const DEMO_USERS = ['alice', 'bob'];
const DEMO_TOKEN_LIFETIME_MS = 7 * 24 * 3_600_000;
/** A child's log is moved aside when it has grown to this at a start; one older log is kept. */
const MAX_LOG_BYTES = 16 * 1_024 * 1_024;
const READY_WITHIN_MS = 30_000;
const POLL_MS = 50;
/** A child drains within this time, or is killed. */
const STOP_WITHIN_MS = 15_000;
const FIRST_RESTART_MS = 100;
const MAX_RESTART_MS = 3_000;

interface DevOptions {
  readonly data: string;
  readonly port: string;
  readonly natsPort?: string;
  readonly profile: DurabilityProfile;
}

export function registerDev(program: Command): void {
  program
    .command('dev')
    .description('run everything on this machine: nats-server, streams, gateway, fan-out worker')
    .option('--data <dir>', 'folder for data, credentials and logs', 'data')
    .option('--port <n>', 'port of the gateway', String(DEFAULT_PORT))
    .option('--nats-port <n>', `port of nats-server (default: the gateway's + ${NATS_PORT_OFFSET})`)
    .option('--profile <name>', 'default (fsync each second) or sync (fsync before each ack)', 'default')
    .action(dev);
}

async function dev(options: DevOptions): Promise<void> {
  const dataDir = resolve(options.data);
  const port = Number(options.port);
  const natsPort = Number(options.natsPort ?? port + NATS_PORT_OFFSET);
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const unlock = lock(dataDir);
  const stopping = signalled();
  const started: { stop(): Promise<void> }[] = [];
  const stopAll = async (): Promise<void> => {
    for (const part of started.reverse()) await part.stop();
    unlock();
  };
  try {
    const { nats, binary } = await startNats(dataDir, natsPort, options.profile);
    started.push(nats);
    await applyAll(nats.url, nats.credentialsFile);
    const access = { nats: { servers: [nats.url], credentialsFile: nats.credentialsFile } };
    const secretFile = devSecret(dataDir);
    const gateway = { ...access, port, auth: { mode: 'secret', secretFile, devTokens: true } };
    started.push(supervise('fan-out-worker', { ...access, stateDir: join(dataDir, 'fan-out') }, dataDir));
    started.push(supervise('gateway', gateway, dataDir));
    await Promise.race([ready(port, dataDir), stopping]);
    if (!stopping.done) await announce(port, dataDir, secretFile, binary);
    await stopping;
    console.log('\nstopping …');
    await stopAll();
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function startNats(dataDir: string, port: number, profile: DurabilityProfile) {
  const { findNatsServer } = await import('./nats-server-binary.ts');
  const { NatsServer } = await import('../adapters/system/nats-server.ts');
  const binary = await findNatsServer({ progress: (line) => console.error(`rookery: ${line}`) });
  const log = {
    info: () => undefined,
    warn: ({ what, signal }: { what: string; signal?: unknown }) =>
      console.log(`${what} (${String(signal)}); starting again`),
    error: ({ what }: { what: string }) => console.error(what),
  };
  const nats = await NatsServer.start({ binary: binary.path, dataDir, port, profile, log, restart: true });
  return { nats, binary };
}

async function applyAll(url: string, credentialsFile: string): Promise<void> {
  const { connectNats } = await import('../adapters/jetstream/connect.ts');
  const { loadDefinitions } = await import('../adapters/jetstream/stream-definitions.ts');
  const { applyStreams } = await import('../adapters/jetstream/streams.ts');
  const { createLog } = await import('../adapters/system/log.ts');
  const { nc, jsm } = await connectNats(
    { servers: [url], credentialsFile },
    'operator',
    'rookery dev',
    createLog('dev', 'silent'),
  );
  await applyStreams(jsm, loadDefinitions({ topology: { convStreams: 1, inboxStreams: 1 }, replicas: 1 }));
  await nc.close();
}

/** Made once; whoever has it can be anybody, so only its owner reads it. */
function devSecret(dataDir: string): string {
  const file = join(dataDir, 'jwt-secret');
  if (!existsSync(file)) {
    writeFileSync(`${file}.new`, randomBytes(48).toString('base64url'), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return file;
}

/** Starts a process of ours, and starts it again whenever it dies. */
function supervise(command: string, configuration: object, dataDir: string): { stop(): Promise<void> } {
  const file = join(dataDir, `${command}.json`);
  writeFileSync(file, JSON.stringify(configuration, null, 2), { mode: 0o600 });
  const logFile = join(dataDir, 'logs', `${command}.log`);
  let child: ChildProcess | undefined;
  let stopped = false;
  let restartMs = FIRST_RESTART_MS;
  const start = async (): Promise<void> => {
    if (existsSync(logFile) && statSync(logFile).size > MAX_LOG_BYTES) renameSync(logFile, `${logFile}.1`);
    const log = await open(logFile, 'a');
    const cli = join(import.meta.dirname, `rookery${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`);
    // A process group of its own: Ctrl-C reaches only us, and we stop the parts in their order.
    child = spawn(process.execPath, [cli, command, '--with-parent', '--config', file], {
      stdio: ['pipe', log.fd, log.fd],
      detached: true,
    });
    const startedAt = Date.now();
    child.once('exit', (code, signal) => {
      void log.close();
      if (stopped) return;
      if (Date.now() - startedAt > 10 * MAX_RESTART_MS) restartMs = FIRST_RESTART_MS;
      console.log(`${command} died (${signal ?? `exit ${code}`}, see ${logFile}); starting again`);
      setTimeout(() => stopped || void start(), restartMs);
      restartMs = Math.min(2 * restartMs, MAX_RESTART_MS);
    });
  };
  void start();
  return {
    async stop() {
      stopped = true;
      const running = child;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const exited = new Promise((resolve) => running.once('exit', resolve));
      running.kill('SIGTERM');
      const killer = setTimeout(() => running.kill('SIGKILL'), STOP_WITHIN_MS);
      await exited;
      clearTimeout(killer);
    },
  };
}

async function ready(port: number, dataDir: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > deadline) {
      throw new RookeryError('INTERNAL', `the gateway is not ready; see ${join(dataDir, 'logs', 'gateway.log')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function announce(
  port: number,
  dataDir: string,
  secretFile: string,
  binary: { version: string; source: string },
) {
  const { signDevToken } = await import('../adapters/jwt/tokens.ts');
  console.log(
    `\nRookery is running.\n\n  address   http://127.0.0.1:${port}   (WebSocket: ws://127.0.0.1:${port}/v1/ws)`,
  );
  console.log(`  data      ${dataDir}   (nats-server ${binary.version}, from ${binary.source})`);
  for (const user of DEMO_USERS) {
    console.log(`  token of ${user.padEnd(6)} ${await signDevToken(secretFile, user, DEMO_TOKEN_LIFETIME_MS)}`);
  }
  const url = port === DEFAULT_PORT ? '' : ` --url ws://127.0.0.1:${port}/v1/ws`;
  console.log(`\nNow open two more terminals and type\n\n  ./bin/rookery chat --as alice --to bob${url}`);
  console.log(`  ./bin/rookery chat --as bob --to alice${url}\n\nCtrl-C stops everything.`);
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends at once. */
function signalled(): Promise<void> & { done?: boolean } {
  const promise: Promise<void> & { done?: boolean } = new Promise((resolve) => {
    const onSignal = (): void => {
      if (promise.done) process.exit(1);
      promise.done = true;
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    process.on('SIGHUP', onSignal);
  });
  return promise;
}

/** @throws RookeryError CONFIGURATION_INVALID when another `rookery dev` runs on the same folder */
function lock(dataDir: string): () => void {
  const file = join(dataDir, 'dev.pid');
  const other = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (other && other !== process.pid && isRunning(other)) {
    throw new RookeryError('CONFIGURATION_INVALID', `another rookery dev (process ${other}) runs on ${dataDir}`);
  }
  writeFileSync(file, String(process.pid));
  return () => rmSync(file, { force: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
