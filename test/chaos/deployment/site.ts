/** What any deployment is put together from on this machine, and what must be taken down again. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findNatsServer } from '../../../scripts/nats-server.ts';
import { connectNats, type Nats, type NatsAccess } from '../../../src/adapters/jetstream/connect.ts';
import { type Definitions, loadDefinitions } from '../../../src/adapters/jetstream/streams/stream-definitions.ts';
import { applyStreams } from '../../../src/adapters/jetstream/streams/streams.ts';
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
  Profile,
} from './deployment.ts';
import { Disk } from './disk.ts';
import { Link } from './link.ts';
import { LocalProcess, type LocalProcessParts } from './local-process.ts';
import { Network } from './network.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const SHIFTED_CLOCK = join(import.meta.dirname, 'shifted-clock.ts');
const PROBE_MS = 1_000;
const STARTED_WITHIN_MS = 60_000;

export interface SiteOptions {
  readonly topology: Topology;
  /** So short that retries come in after it; the one of `streams/` where it is left out. */
  readonly duplicateWindowMs?: number;
  /** Whether links stand between the parts. */
  readonly links: boolean;
  /** Whether log, inboxes and state files lie on a disk that can be filled and lose its power. */
  readonly disk: boolean;
  /** The checkout that gateways and workers run from; this one where it is left out. */
  readonly source?: string;
  /** Over a gateway's defaults. */
  readonly limits: Readonly<Record<string, number>>;
}

/** Where a nats-server is reached by whom no link stands before. */
export interface NatsServerAt extends Address {
  readonly server: DeployedNatsServer;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What is started, and what it is given. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

export const LOOPBACK = '127.0.0.1';

/** What is the same in every deployment: two gateways and two workers before the nats-servers given. */
export interface Stage {
  readonly kind: Deployment['kind'];
  readonly profile: Profile;
  readonly replicas: number;
  readonly natsServers: readonly NatsServerAt[];
  readonly routes: Deployment['routes'];
  readonly credentialsFile: string;
}

/** @throws Error when it does not get ready; then nothing is left running */
export async function deployAt(options: SiteOptions, natsServers: (site: Site) => Promise<Stage>): Promise<Deployment> {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-chaos-'));
  const site = new Site(dir, options);
  try {
    return await site.deploy(await natsServers(site));
  } catch (error) {
    await site.halt();
    throw error;
  }
}

export class Site {
  readonly dir: string;
  readonly options: SiteOptions;
  readonly disk: Disk | undefined;
  /** On the disk, where there is one. */
  readonly dataDir: string;
  readonly #incidents: Incident[] = [];
  readonly #links: Link[] = [];
  /** In the order of their start. */
  readonly #running: LocalProcess[] = [];
  #close: () => Promise<void> = async () => undefined;
  #network: Network | undefined;

  constructor(dir: string, options: SiteOptions) {
    this.dir = dir;
    this.options = options;
    this.disk = options.disk ? Disk.create(dir) : undefined;
    this.dataDir = join(this.disk?.path ?? dir, 'data');
    mkdirSync(this.dataDir, { mode: 0o700 });
  }

  async deploy({ natsServers, credentialsFile, ...stage }: Stage): Promise<Deployment> {
    for (const { server } of natsServers) server.start();
    for (const { server } of natsServers)
      await eventually(() => server.isReady(), `${server.name} greets`, STARTED_WITHIN_MS);
    const nats = { servers: natsServers.map(({ host, port }) => `nats://${host}:${port}`), credentialsFile };
    const operator = await connectNats(nats, 'operator', 'fault suite', quiet);
    this.#close = () => operator.nc.close();
    await this.#applyStreams(operator, stage.replicas);

    const secretFile = join(this.dir, 'jwt-secret');
    writeFileSync(secretFile, randomBytes(48).toString('base64url'), { mode: 0o600 });
    const apiKey = randomBytes(24).toString('base64url');
    const access = (name: string): Promise<NatsAccess> => this.#access(name, natsServers, credentialsFile);
    const workers = await Promise.all([0, 1].map((i) => this.#worker(`worker-${i}`, access)));
    const auth = { secretFile, apiKeys: [apiKey] };
    const gateways = await Promise.all([0, 1].map((i) => this.#gateway(`gateway-${i}`, access, auth)));
    for (const process of [...workers, ...gateways]) process.start();
    for (const gateway of gateways) await eventually(() => gateway.isReady(), gateway.name, STARTED_WITHIN_MS);
    return {
      ...{ ...stage, topology: this.options.topology, dir: this.dir, gateways, workers },
      ...{ natsServers: natsServers.map(({ server }) => server), links: this.#links, disk: this.disk },
      ...{ secretFile, apiKey, nats, operator, incidents: this.#incidents },
      shiftClock: (process, byMs) => this.#shiftClock(process, byMs),
      halt: () => this.halt(),
      stop: () => this.#stop(),
    };
  }

  /** @param run how its command line is run, where that is not as it stands */
  async natsServer(
    name: string,
    at: Address,
    files: { readonly configFile: string; readonly storeDir: string },
    run: (line: CommandLine) => CommandLine = (line) => line,
  ): Promise<NatsServerAt> {
    const { path } = await findNatsServer();
    const line = run({ command: path, args: ['-c', files.configFile] });
    const parts = { name, role: 'nats-server', ...line, endsWithInput: false } as const;
    const process = this.#process({ ...parts, isReady: () => greets(at) });
    // JetStream's own folder below what it is told.
    return { server: Object.assign(process, { storeDir: join(files.storeDir, 'jetstream') }), ...at };
  }

  /** Where to connect to: the target itself, or a link before it. */
  async through(name: string, target: Address): Promise<Address> {
    return this.options.links ? { host: LOOPBACK, port: (await this.link(name, target)).port } : target;
  }

  async link(name: string, target: Address): Promise<Link> {
    const link = await Link.open(name, target);
    this.#links.push(link);
    return link;
  }

  /** A network namespace for each node, until the end. */
  networkFor(nodes: number): Network {
    this.#network = Network.create(nodes);
    return this.#network;
  }

  async halt(): Promise<void> {
    await this.#close();
    for (const process of this.#running.toReversed()) await process.stop();
    for (const link of this.#links) await link.close();
    this.#network?.remove();
    this.disk?.unmount();
  }

  async #stop(): Promise<void> {
    await this.halt();
    this.disk?.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** The members of a cluster that have only just met refuse streams for a moment: they know of no peers yet. */
  async #applyStreams({ jsm }: Nats, replicas: number): Promise<void> {
    const definitions = this.#definitions(replicas);
    let refusal = 'not asked yet';
    const applied = async (): Promise<boolean> => {
      try {
        await applyStreams(jsm, definitions);
        return true;
      } catch (error) {
        refusal = String(error);
        return false;
      }
    };
    await eventually(applied, 'the streams are applied', STARTED_WITHIN_MS).catch((error: Error) => {
      throw new Error(`${error.message}: ${refusal}`, { cause: error });
    });
  }

  #definitions(replicas: number): Definitions {
    const { topology, duplicateWindowMs } = this.options;
    const { streams, ...rest } = loadDefinitions({ topology, replicas });
    if (duplicateWindowMs === undefined) return { ...rest, streams };
    const shortened = streams.map((stream) =>
      stream.name?.startsWith('CONV_') ? { ...stream, duplicate_window: duplicateWindowMs * 1e6 } : stream,
    );
    return { ...rest, streams: shortened };
  }

  /** All nats-servers, each through a link of its own. */
  async #access(name: string, natsServers: readonly NatsServerAt[], credentialsFile: string): Promise<NatsAccess> {
    const reached = natsServers.map(({ server, host, port }) => this.through(`${name}>${server.name}`, { host, port }));
    return { servers: (await Promise.all(reached)).map(({ host, port }) => `nats://${host}:${port}`), credentialsFile };
  }

  async #worker(name: string, access: (name: string) => Promise<NatsAccess>): Promise<DeployedWorker> {
    const stateDir = join(this.dataDir, name);
    const configuration = { nats: await access(name), topology: this.options.topology, stateDir };
    const file = join(this.dir, `${name}.json`);
    const configure = (more: object): void => writeFileSync(file, JSON.stringify({ ...configuration, ...more }));
    configure({});
    const process = this.#ours(name, 'fan-out-worker', file, async () => true);
    return Object.assign(process, {
      stateDir,
      armFailpoint: (failpoint: object | undefined) => configure(failpoint ? { failpoint } : {}),
    });
  }

  async #gateway(name: string, access: (name: string) => Promise<NatsAccess>, auth: object): Promise<DeployedGateway> {
    const { topology, limits } = this.options;
    const port = await freePort();
    const file = join(this.dir, `${name}.json`);
    const nats = await access(name);
    writeFileSync(file, JSON.stringify({ nats, topology, port, auth, limits }), { mode: 0o600 });
    const isReady = async (): Promise<boolean> => {
      const asked = fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) });
      return (await asked.catch(() => undefined))?.ok === true;
    };
    const process = this.#ours(name, 'gateway', file, isReady);
    const reached = await this.through(`clients>${name}`, { host: LOOPBACK, port });
    return Object.assign(process, { url: `ws://${reached.host}:${reached.port}/v1/ws` });
  }

  #ours(name: string, role: 'gateway' | 'fan-out-worker', file: string, isReady: () => Promise<boolean>) {
    const clock = pathToFileURL(SHIFTED_CLOCK);
    clock.searchParams.set('file', this.#clockFile(name));
    const cli = join(this.options.source ?? ROOT, 'src', 'cli', 'rookery.ts');
    const args = ['--import', clock.href, cli, role, '--with-parent', '--config', file];
    return this.#process({ name, role, command: process.execPath, args, endsWithInput: true, isReady });
  }

  #process(parts: Omit<LocalProcessParts, 'logFile' | 'log' | 'onIncident'>): LocalProcess {
    const logFile = join(this.dir, 'logs', `${parts.name}.log`);
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
    return join(this.dir, `${name}.clock`);
  }
}

/** A nats-server speaks first, once it is ready for clients. */
const greets = (at: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTcp({ ...at });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (data) => done(data.toString().startsWith('INFO')));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    socket.setTimeout(PROBE_MS, () => done(false));
  });
