/**
 * Everything on one machine: nats-server, the streams, a fan-out worker, a read-model worker and a gateway, each a process of its own, so that
 * any of them may be killed and is started again. They end with this process, however it ends.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connectNats } from '../adapters/jetstream/connect.ts';
import { loadDefinitions } from '../adapters/jetstream/streams/stream-definitions.ts';
import { applyStreams } from '../adapters/jetstream/streams/streams.ts';
import { lockFolder } from '../adapters/sqlite/folder-lock.ts';
import { ensureDevKey } from '../adapters/system/api-key-files.ts';
import { NatsServer } from '../adapters/system/nats-server.ts';
import { checkPort } from '../adapters/system/ports.ts';
import { ensureSecretFile } from '../adapters/system/secret-file.ts';
import { SupervisedProcess } from '../adapters/system/supervised-process.ts';
import type { Log } from '../ports/log.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import type { DevConfig } from './configuration/dev.ts';

const SECRET_BYTES = 48;
/** From the start of its process to a gateway that answers: its tails have read back what they keep in memory. */
const READY_WITHIN_MS = 30_000;
const POLL_MS = 50;

export interface DevParts {
  /** nats-server's path. */
  readonly natsServer: string;
  /** The command that runs one process: `[node, …/rookery.ts]`. */
  readonly rookery: readonly [command: string, ...args: string[]];
  readonly log: Log;
  /** Aborted when nobody waits for the start any more. */
  readonly cancelled: AbortSignal;
}

export interface Dev {
  /** `http://host:port` */
  readonly address: string;
  readonly secretFile: string;
  readonly apiKeyFile: string;
  /** `--config` of an operator's commands. */
  readonly operatorFile: string;
  /** Process ids, for who wants to kill one. */
  readonly pids: () => Record<string, number | undefined>;
  /** In their order, each within a bound: no more senders, then no more fan-out, then the log. */
  drain(): Promise<void>;
  /** At once, as kill -9. */
  kill(): void;
}

/** @throws RookeryError ALREADY_RUNNING, PORT_IN_USE, NATS_SERVER_FAILED, STREAM_CHANGE_REFUSED; then nothing is left */
export async function startDev(config: DevConfig, parts: DevParts): Promise<Dev> {
  const { host, port, topology } = config;
  const dataDir = resolve(config.dataDir);
  makeFolder(dataDir);
  const lock = lockFolder(dataDir);
  const running: { kill(): void; stop(): Promise<void> }[] = [];
  const drain = async (): Promise<void> => {
    for (const part of running.toReversed()) await part.stop();
    lock.release();
  };
  const kill = (): void => {
    for (const part of running) part.kill();
  };
  try {
    await checkPort(port, host, `port ${port}, for the gateway`, '--port gives another');
    const secretFile = join(dataDir, 'jwt-secret');
    ensureSecretFile(secretFile, () => randomBytes(SECRET_BYTES).toString('base64url'));
    const nats = await NatsServer.start({
      ...{ binary: parts.natsServer, dataDir, port: config.natsPort, profile: config.profile, topology },
      ...{ log: parts.log, restart: true },
    });
    running.push(nats);
    await applyAll(nats, config, parts.log);

    const access = { nats: { servers: [nats.url], credentialsFile: nats.credentialsFile }, topology };
    const operatorFile = join(dataDir, 'operator.json');
    const stateDirs = { readModel: join(dataDir, 'read-model'), fanOut: join(dataDir, 'fan-out') };
    const apiKeyDir = join(dataDir, 'api-keys');
    const auth = { secretFile, apiKeyDir };
    writeFileSync(operatorFile, `${JSON.stringify({ ...access, stateDirs, auth }, null, 2)}\n`);
    const worker = supervised('fan-out-worker', { ...access, stateDir: stateDirs.fanOut }, dataDir, parts);
    const reader = supervised('read-model-worker', { ...access, stateDir: stateDirs.readModel }, dataDir, parts);
    const apiKeyFile = join(dataDir, 'api-key');
    ensureDevKey(apiKeyFile, apiKeyDir);
    const coming = { auth: { mode: 'secret', ...auth, devTokens: true }, login: { enabled: true } };
    const gateway = supervised('gateway', { ...access, host, port, ...coming }, dataDir, parts);
    for (const child of [worker, reader, gateway]) {
      running.push(child);
      child.start();
    }
    const address = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    await ready(address, gateway, parts.cancelled);
    const pids = () => ({
      'nats-server': nats.pid,
      'fan-out-worker': worker.pid,
      'read-model-worker': reader.pid,
      gateway: gateway.pid,
    });
    return { address, secretFile, apiKeyFile, operatorFile, pids, drain, kill };
  } catch (error) {
    await drain();
    throw error;
  }
}

async function applyAll({ url, credentialsFile }: NatsServer, { topology }: DevConfig, log: Log): Promise<void> {
  const { nc, jsm } = await connectNats({ servers: [url], credentialsFile }, 'operator', 'rookery dev', log);
  try {
    await applyStreams(jsm, loadDefinitions({ topology, replicas: 1 }));
  } finally {
    await nc.close();
  }
}

/** @throws RookeryError CONFIGURATION_INVALID */
function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `the data folder ${dir}: ${(cause as Error).message}`, { cause });
  }
}

/** A process of ours. What is decided here comes as flags, which win over files and the environment. */
function supervised(name: string, decided: object, dataDir: string, { rookery, log }: DevParts): SupervisedProcess {
  const [command, ...args] = rookery;
  const settings = Object.entries(decided).flatMap(([field, value]) => ['--set', `${field}=${JSON.stringify(value)}`]);
  return new SupervisedProcess({
    name,
    command,
    args: [...args, name, '--with-parent', ...settings],
    logFile: join(dataDir, 'logs', `${name}.log`),
    log,
    restart: true,
    endsWithInput: true,
  });
}

async function ready(address: string, gateway: SupervisedProcess, cancelled: AbortSignal): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    // What is wrong in the configuration does not mend itself, however often the gateway is started again.
    const [, reason] = /"code":"CONFIGURATION_INVALID","reason":"((?:[^"\\]|\\.)*)"/.exec(gateway.tail()) ?? [];
    if (reason) throw new RookeryError('CONFIGURATION_INVALID', `gateway: ${reason}`);
    const answer = await fetch(`${address}/readyz`).catch(() => undefined);
    if (answer?.ok || cancelled.aborted) return;
    if (Date.now() > deadline) {
      throw new RookeryError('INTERNAL', `the gateway is not ready; it said last:\n${gateway.tail()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
