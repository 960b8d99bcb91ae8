/**
 * Network namespaces, one for each node of a cluster, joined by a bridge: what parts two nodes there is the kernel, and it is
 * as silent as a cable that was pulled somewhere between them. Needs root and Linux.
 *
 *     node 0 ─ veth ─┐
 *     node 1 ─ veth ─┼─ bridge (10.213.<n>.1): gateways, workers and the suite itself
 *     node 2 ─ veth ─┘
 */
import { execFileSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import type { CommandLine } from './site.ts';

const OURS = /\brk(\d+)\b/;
const LAST_OCTET_OF_FIRST_NODE = 2;
const MAX_NETWORKS = 250;
/** More than any suite makes. */
const MAX_NODES = 8;
/** A hardware address that nobody has: what is sent there is dropped by everyone, and nobody is told. */
const NOBODY = '02:00:00:00:00:01';

/** Why there can be none here, if so. */
export function whyNoNetworks(): string | undefined {
  const probe = `rk${process.pid}-probe`;
  try {
    ip('netns', 'add', probe);
    ip('netns', 'del', probe);
    execFileSync('nsenter', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch (error) {
    return `network namespaces need root, ip and nsenter: ${(error as Error).message.split('\n')[0]}`;
  }
}

export class Network {
  readonly #bridge: string;
  readonly #subnet: string;
  readonly #nodes: number;

  private constructor(bridge: string, subnet: string, nodes: number) {
    this.#bridge = bridge;
    this.#subnet = subnet;
    this.#nodes = nodes;
  }

  /** @throws Error where it is not allowed, or there is no `ip`; then nothing is left of it */
  static create(nodes: number): Network {
    removeStale();
    const network = new Network(`rk${process.pid}`, freeSubnet(), nodes);
    try {
      network.#build();
    } catch (error) {
      network.remove();
      throw error;
    }
    return network;
  }

  /** Where the node is reached, from the other nodes and from outside. */
  address(node: number): string {
    return `${this.#subnet}.${node + LAST_OCTET_OF_FIRST_NODE}`;
  }

  /** What runs the command on the node, as the process that is started: nothing stands between. */
  on(node: number, { command, args }: CommandLine): CommandLine {
    return { command: 'nsenter', args: [`--net=/run/netns/${this.#namespace(node)}`, command, ...args] };
  }

  /** Nothing passes between the two any more; both are reached from outside as before. Doing it twice is doing it once. */
  part(left: number, right: number): void {
    for (const [from, to] of [[left, right] as const, [right, left] as const])
      ip(
        '-n',
        this.#namespace(from),
        'neigh',
        'replace',
        this.address(to),
        ...`lladdr ${NOBODY} dev up0 nud permanent`.split(' '),
      );
  }

  /** Undoes it, also where there is nothing to undo. */
  join(left: number, right: number): void {
    for (const [from, to] of [[left, right] as const, [right, left] as const])
      tried('-n', this.#namespace(from), 'neigh', 'del', this.address(to), 'dev', 'up0');
  }

  remove(): void {
    remove(this.#bridge, this.#nodes);
  }

  #build(): void {
    const bridge = this.#bridge;
    ip('link', 'add', bridge, 'type', 'bridge');
    ip('addr', 'add', `${this.#subnet}.1/24`, 'dev', bridge);
    ip('link', 'set', bridge, 'up');
    for (let node = 0; node < this.#nodes; node++) {
      const namespace = this.#namespace(node);
      ip('netns', 'add', namespace);
      ip('link', 'add', `${bridge}v${node}`, 'type', 'veth', 'peer', 'name', 'up0', 'netns', namespace);
      ip('link', 'set', `${bridge}v${node}`, 'master', bridge, 'up');
      ip('-n', namespace, 'addr', 'add', `${this.address(node)}/24`, 'dev', 'up0');
      ip('-n', namespace, 'link', 'set', 'up0', 'up');
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
  }

  #namespace(node: number): string {
    return `${this.#bridge}-${node}`;
  }
}

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function tried(...args: string[]): void {
  try {
    ip(...args);
  } catch {
    // It was not there.
  }
}

function remove(bridge: string, nodes: number): void {
  for (let node = 0; node < nodes; node++) {
    tried('netns', 'del', `${bridge}-${node}`);
    tried('link', 'del', `${bridge}v${node}`);
  }
  tried('link', 'del', bridge);
}

/** What a suite that was killed has left. */
function removeStale(): void {
  for (const line of ip('-o', 'link', 'show', 'type', 'bridge').split('\n')) {
    const [name, pid] = OURS.exec(line) ?? [];
    if (name && !isAlive(Number(pid))) remove(name, MAX_NODES);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function freeSubnet(): string {
  const taken = new Set(Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address)));
  const first = process.pid % MAX_NETWORKS;
  for (let i = 0; i < MAX_NETWORKS; i++) {
    const subnet = `10.213.${(first + i) % MAX_NETWORKS}`;
    if (!taken.has(`${subnet}.1`)) return subnet;
  }
  throw new Error('all networks 10.213.0.0/16 are taken');
}
