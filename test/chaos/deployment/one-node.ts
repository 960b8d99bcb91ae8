/** One machine: a nats-server, two gateways and two fan-out workers, of which one stands by for each lane. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findNatsServer } from '../../../scripts/nats-server.ts';
import { connectNats } from '../../../src/adapters/jetstream/connect.ts';
import { type Definitions, loadDefinitions } from '../../../src/adapters/jetstream/stream-definitions.ts';
import { applyStreams } from '../../../src/adapters/jetstream/streams.ts';
import { type DurabilityProfile, prepareNats } from '../../../src/adapters/system/nats-configuration.ts';
import type { Topology } from '../../../src/protocol/subjects.ts';
import { freePort, quiet } from '../../support/nats.ts';
import { eventually } from '../../support/waiting.ts';
import type {
  DeployedGateway,
  DeployedNatsServer,
  DeployedProcess,
  DeployedWorker,
  Deployment,
  Incident,
} from './deployment.ts';
import { Disk } from './disk.ts';
import { Link } from './link.ts';
import { LocalProcess, type LocalProcessParts } from './local-process.ts';

const CLI = join(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'rookery.ts');
const SHIFTED_CLOCK = join(import.meta.dirname, 'shifted-clock.ts');
const PROBE_MS = 1_000;
const STARTED_WITHIN_MS = 60_000;

export interface OneNodeOptions {
  readonly profile: DurabilityProfile;
  readonly topology: Topology;
  /** So short that retries come in after it. */
  readonly duplicateWindowMs: number;
  /** Whether links stand between the parts. */
  readonly links: boolean;
  /** Whether log, inboxes and state files lie on a disk that can be filled and lose its power. */
  readonly disk: boolean;
  /** Over a gateway's defaults. */
  readonly limits: Readonly<Record<string, number>>;
}

/** @throws Error when it does not get ready; then nothing is left running */
export async function startOneNode(options: OneNodeOptions): Promise<Deployment> {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-chaos-'));
  const site = new Site(dir, options);
  try {
    return await site.deploy();
  } catch (error) {
    await site.halt();
    throw error;
  }
}

/** What one deployment consists of while it is put together, and what must be taken down again. */
class Site {
  readonly #dir: string;
  readonly #options: OneNodeOptions;
  readonly #disk: Disk | undefined;
  /** On the disk, where there is one. */
  readonly #dataDir: string;
  readonly #incidents: Incident[] = [];
  readonly #links: Link[] = [];
  /** In the order of their start. */
  readonly #running: LocalProcess[] = [];
  #close: () => Promise<void> = async () => undefined;

  constructor(dir: string, options: OneNodeOptions) {
    this.#dir = dir;
    this.#options = options;
    this.#disk = options.disk ? Disk.create(dir) : undefined;
    this.#dataDir = join(this.#disk?.path ?? dir, 'data');
    mkdirSync(this.#dataDir, { mode: 0o700 });
  }

  async deploy(): Promise<Deployment> {
    const { profile, topology } = this.#options;
    const natsPort = await freePort();
    // Configuration lies beside the disk: what an operator wrote does not go with the power.
    const { configFile, credentialsFile } = prepareNats({ dataDir: this.#dir, port: natsPort, profile, topology });
    const natsServer = await this.#natsServer(natsPort, configFile);
    natsServer.start();
    await eventually(() => natsServer.isReady(), 'nats-server greets', STARTED_WITHIN_MS);
    const nats = { servers: [`nats://127.0.0.1:${natsPort}`], credentialsFile };
    const operator = await connectNats(nats, 'operator', 'fault suite', quiet);
    this.#close = () => operator.nc.close();
    await applyStreams(operator.jsm, this.#definitions());

    const secretFile = join(this.#dir, 'jwt-secret');
    writeFileSync(secretFile, randomBytes(48).toString('base64url'), { mode: 0o600 });
    const apiKey = randomBytes(24).toString('base64url');
    const workers = await Promise.all([0, 1].map((i) => this.#worker(i, natsPort, credentialsFile)));
    const auth = { secretFile, apiKeys: [apiKey] };
    const gateways = await Promise.all([0, 1].map((i) => this.#gateway(i, natsPort, credentialsFile, auth)));
    for (const process of [...workers, ...gateways]) process.start();
    for (const gateway of gateways) await eventually(() => gateway.isReady(), gateway.name, STARTED_WITHIN_MS);
    return {
      ...{ kind: 'one-node', profile, topology, replicas: 1, dir: this.#dir, gateways, workers },
      ...{ natsServers: [natsServer], links: this.#links, disk: this.#disk, secretFile, apiKey, nats, operator },
      incidents: this.#incidents,
      shiftClock: (process, byMs) => this.#shiftClock(process, byMs),
      halt: () => this.halt(),
      stop: () => this.#stop(),
    };
  }

  async halt(): Promise<void> {
    await this.#close();
    for (const process of this.#running.toReversed()) await process.stop();
    for (const link of this.#links) await link.close();
    this.#disk?.unmount();
  }

  async #stop(): Promise<void> {
    await this.halt();
    this.#disk?.remove();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #definitions(): Definitions {
    const { topology, duplicateWindowMs } = this.#options;
    const { streams, ...rest } = loadDefinitions({ topology, replicas: 1 });
    const shortened = streams.map((stream) =>
      stream.name?.startsWith('CONV_') ? { ...stream, duplicate_window: duplicateWindowMs * 1e6 } : stream,
    );
    return { ...rest, streams: shortened };
  }

  async #natsServer(port: number, configFile: string): Promise<DeployedNatsServer> {
    const storeDir = join(this.#dir, 'nats');
    if (this.#disk) {
      mkdirSync(join(this.#dataDir, 'nats'));
      symlinkSync(join(this.#dataDir, 'nats'), storeDir);
    }
    const { path: command } = await findNatsServer();
    const args = ['-c', configFile];
    const parts = { name: 'nats-server', role: 'nats-server', command, args, endsWithInput: false } as const;
    const process = this.#process({ ...parts, isReady: () => greets(port) });
    // JetStream's own folder below what it is told.
    return Object.assign(process, { storeDir: join(storeDir, 'jetstream') });
  }

  async #worker(i: number, natsPort: number, credentialsFile: string): Promise<DeployedWorker> {
    const name = `worker-${i}`;
    const stateDir = join(this.#dataDir, name);
    const port = await this.#through(`${name}>nats-server`, natsPort);
    const nats = { servers: [`nats://127.0.0.1:${port}`], credentialsFile };
    const configuration = { nats, topology: this.#options.topology, stateDir };
    const file = join(this.#dir, `${name}.json`);
    const configure = (more: object): void => writeFileSync(file, JSON.stringify({ ...configuration, ...more }));
    configure({});
    const process = this.#ours(name, 'fan-out-worker', file, async () => true);
    return Object.assign(process, {
      stateDir,
      armFailpoint: (failpoint: object | undefined) => configure(failpoint ? { failpoint } : {}),
    });
  }

  async #gateway(i: number, natsPort: number, credentialsFile: string, auth: object): Promise<DeployedGateway> {
    const { topology, limits } = this.#options;
    const name = `gateway-${i}`;
    const port = await freePort();
    const nats = {
      servers: [`nats://127.0.0.1:${await this.#through(`${name}>nats-server`, natsPort)}`],
      credentialsFile,
    };
    const file = join(this.#dir, `${name}.json`);
    writeFileSync(file, JSON.stringify({ nats, topology, port, auth, limits }), { mode: 0o600 });
    const isReady = async (): Promise<boolean> => {
      const asked = fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) });
      return (await asked.catch(() => undefined))?.ok === true;
    };
    const process = this.#ours(name, 'gateway', file, isReady);
    const url = `ws://127.0.0.1:${await this.#through(`clients>${name}`, port)}/v1/ws`;
    return Object.assign(process, { url });
  }

  /** The port to connect to: the target's own, or that of a link before it. */
  async #through(name: string, port: number): Promise<number> {
    if (!this.#options.links) return port;
    const link = await Link.open(name, { host: '127.0.0.1', port });
    this.#links.push(link);
    return link.port;
  }

  #ours(name: string, role: 'gateway' | 'fan-out-worker', file: string, isReady: () => Promise<boolean>) {
    const clock = pathToFileURL(SHIFTED_CLOCK);
    clock.searchParams.set('file', this.#clockFile(name));
    const args = ['--import', clock.href, CLI, role, '--with-parent', '--config', file];
    return this.#process({ name, role, command: process.execPath, args, endsWithInput: true, isReady });
  }

  #process(parts: Omit<LocalProcessParts, 'logFile' | 'log' | 'onIncident'>): LocalProcess {
    const logFile = join(this.#dir, 'logs', `${parts.name}.log`);
    const onIncident = (incident: Incident): number => this.#incidents.push(incident);
    const process = new LocalProcess({ ...parts, logFile, log: quiet, onIncident });
    this.#running.push(process);
    return process;
  }

  #shiftClock({ name, pid }: DeployedProcess, byMs: number): void {
    writeFileSync(this.#clockFile(name), String(byMs));
    // A process that is down reads it at its start.
    if (pid !== undefined) process.kill(pid, 'SIGUSR2');
  }

  #clockFile(name: string): string {
    return join(this.#dir, `${name}.clock`);
  }
}

/** A nats-server speaks first, once it is ready for clients. */
const greets = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTcp({ host: '127.0.0.1', port });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (data) => done(data.toString().startsWith('INFO')));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    socket.setTimeout(PROBE_MS, () => done(false));
  });
