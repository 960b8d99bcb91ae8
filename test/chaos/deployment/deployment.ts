/**
 * What the fault suite breaks: a whole deployment of real processes with real configuration files, and every handle that a
 * fault needs. `one-node.ts` is one machine, `three-nodes.ts` a cluster; faults know this file alone.
 */
import type { Nats, NatsAccess } from '../../../src/adapters/jetstream/connect.ts';
import { RookeryError } from '../../../src/protocol/error-codes.ts';
import { decodeOrigin } from '../../../src/protocol/inbox-record.ts';
import { checkpointSubject, convStreamName, inboxStreamName, type Topology } from '../../../src/protocol/subjects.ts';
import type { Disk } from './disk.ts';
import type { Link } from './link.ts';

export type ProcessRole = 'gateway' | 'fan-out-worker' | 'nats-server';
/** As in config/README.md. */
export type Profile = 'default' | 'sync' | 'cluster';

/** One process of the deployment. While it is wanted up it is started again whenever it ends, as by any supervisor. */
export interface DeployedProcess {
  /** `gateway-0`, `nats-server-2` */
  readonly name: string;
  readonly role: ProcessRole;
  /** Undefined while it is down. */
  readonly pid: number | undefined;
  readonly logFile: string;
  /** Resolves when it is gone; it stays down until `start`. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Resolves when it has really stopped (SIGSTOP). */
  pause(): Promise<void>;
  resume(): void;
  /** From now on it is wanted up. Does nothing where it runs. */
  start(): void;
  /** Whether it does its work now: a gateway says so at /readyz, a nats-server greets. */
  isReady(): Promise<boolean>;
}

export interface DeployedGateway extends DeployedProcess {
  /** Where its clients connect: through its link, where it has one. */
  readonly url: string;
}

export interface DeployedWorker extends DeployedProcess {
  /** Folder of its SQLite files. */
  readonly stateDir: string;
  /** The next start dies at this step of application/fan-out/lane.ts, or stands still there for `stallMs`; undefined: neither. */
  armFailpoint(
    failpoint: { readonly step: string; readonly times: number; readonly stallMs?: number } | undefined,
  ): void;
}

export interface DeployedNatsServer extends DeployedProcess {
  /** JetStream's `store_dir`. */
  readonly storeDir: string;
}

/** What one nats-server reaches another through. */
export interface Route {
  readonly from: string;
  readonly to: string;
  /** The ways in which it can be parted. */
  readonly ways: readonly Parting[];
  part(way: Parting): void;
  join(): void;
}

/**
 * `drop`: packets are lost, by network namespaces. Where those are not allowed, by links: `hold`, as long as it lasts; `swallowBoth`,
 * for good, as far as the connections there are go.
 */
export type Parting = 'drop' | 'hold' | 'swallowBoth';

/** A process that ended although nobody of the suite killed it. */
export interface Incident {
  readonly atMs: number;
  readonly process: string;
  /** The last it wrote. */
  readonly lastWords: string;
}

export interface Deployment {
  readonly kind: 'one-node' | 'three-nodes';
  readonly profile: Profile;
  readonly topology: Topology;
  readonly replicas: number;
  /** All of its files; removed by `stop`, unless a violation keeps them. */
  readonly dir: string;
  readonly gateways: readonly DeployedGateway[];
  readonly workers: readonly DeployedWorker[];
  readonly natsServers: readonly DeployedNatsServer[];
  /** TCP between clients and gateways, and between processes and nats-servers. Empty where the run does without. */
  readonly links: readonly Link[];
  /** Among the links: between two nats-servers, by the names of whom they join. Empty where there is one. */
  readonly routes: readonly Route[];
  /** The disk of its own below `dir`, where this machine lets us mount one. */
  readonly disk: Disk | undefined;
  /** HS256 secret of the gateways' tokens. */
  readonly secretFile: string;
  readonly apiKey: string;
  /** Reaches all nats-servers directly. */
  readonly nats: NatsAccess;
  /** The suite's own connection, as operator; it reconnects for ever. */
  readonly operator: Nats;
  /** From now on the clock of this gateway or worker is so much ahead of the machine's (negative: behind). */
  shiftClock(process: DeployedProcess, byMs: number): void;
  readonly incidents: readonly Incident[];
  /** Ends all processes and removes `dir`. */
  stop(): Promise<void>;
  /** As `stop`, but leaves `dir`. */
  halt(): Promise<void>;
}

export const processesOf = ({ natsServers, workers, gateways }: Deployment): readonly DeployedProcess[] => [
  ...natsServers,
  ...workers,
  ...gateways,
];

const POLL_MS = 50;
/**
 * A replica that was cut off catches up while all goes on without it: under load nats-server 2.15 was seen to begin that anew, every
 * two seconds, for up to a minute ("Expected first catchup entry to be a snapshot and peerstate, will retry").
 */
const REPLICAS_WITHIN_MS = 240_000;
/** How often the time to settle may begin anew because something has moved. */
const MAX_PROGRESS = 5;

/**
 * Resolves when every process is ready and every lane has confirmed in every INBOX stream what the log holds at that moment:
 * messages that come in meanwhile are not waited for.
 * @throws Error after `withinMs` without progress, or so many times that in all, with what is still missing
 */
export async function settled(deployment: Deployment, withinMs: number): Promise<void> {
  let deadline = performance.now() + withinMs;
  const latest = performance.now() + MAX_PROGRESS * withinMs;
  let missing = 'nothing looked at yet';
  const until = async (look: () => Promise<string | undefined>): Promise<void> => {
    for (;;) {
      const found = await look().catch((error: unknown) => String(error));
      if (found === undefined) return;
      // A stream that was lost is written anew, in the `sync` profile with a fsync a record: slow, and not stuck.
      if (found !== missing) deadline = Math.min(latest, performance.now() + withinMs);
      missing = found;
      if (performance.now() > deadline) throw new Error(`not settled within ${withinMs} ms: ${missing}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  await until(() => notReady(deployment));
  let ends: readonly number[] = [];
  await until(async () => {
    ends = await endsOfLog(deployment);
    return undefined;
  });
  await until(() => behind(deployment, ends));
}

/**
 * Resolves when no replica is behind: only then is there one to lose again.
 * @throws Error that names one
 */
export async function replicated(deployment: Deployment): Promise<void> {
  const deadline = performance.now() + REPLICAS_WITHIN_MS;
  for (;;) {
    const found = await incomplete(deployment).catch(String);
    if (found === undefined) return;
    if (performance.now() > deadline) throw new Error(`not replicated within ${REPLICAS_WITHIN_MS} ms: ${found}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function notReady(deployment: Deployment): Promise<string | undefined> {
  for (const process of processesOf(deployment)) {
    if (!(await process.isReady())) return `${process.name} is not ready`;
  }
  return undefined;
}

const endsOfLog = ({ operator, topology }: Deployment): Promise<number[]> =>
  Promise.all(
    range(topology.convStreams).map(async (k) => (await operator.jsm.streams.info(convStreamName(k))).state.last_seq),
  );

/** The first lane whose checkpoint is not there yet. */
async function behind({ operator, topology }: Deployment, ends: readonly number[]): Promise<string | undefined> {
  for (const [lane, end] of ends.entries()) {
    for (const k of range(topology.inboxStreams)) {
      const query = { last_by_subj: checkpointSubject(lane, k) };
      const checkpoint = await operator.jsm.streams.getMessage(inboxStreamName(k), query);
      const to = checkpoint ? decodeOrigin(checkpoint.data).to : 0;
      if (to < end) return `lane ${lane} has confirmed ${to} of ${end} in ${inboxStreamName(k)}`;
    }
  }
  return undefined;
}

/** The first stream that lacks a replica, or has one that is behind. */
async function incomplete({ operator, replicas }: Deployment): Promise<string | undefined> {
  if (replicas === 1) return undefined;
  for await (const { config, cluster } of operator.jsm.streams.list()) {
    const others = cluster?.replicas ?? [];
    const lagging = others.find(({ current, offline }) => !current || offline === true);
    if (!cluster?.leader) return `${config.name} has no leader`;
    if (others.length < replicas - 1) return `${config.name} has ${others.length + 1} of ${replicas} replicas`;
    if (lagging) return `${config.name} on ${lagging.name} is behind`;
  }
  return undefined;
}

/** One of a kind by name. @throws RookeryError INTERNAL: the deployment has no such process */
export function processNamed(deployment: Deployment, name: string): DeployedProcess {
  const found = processesOf(deployment).find((process) => process.name === name);
  if (!found) throw new RookeryError('INTERNAL', `the deployment has no ${name}`);
  return found;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);
