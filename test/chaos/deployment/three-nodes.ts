/**
 * A cluster as config/cluster says, on one machine: three nats-servers with three replicas of each stream, two gateways and two
 * workers that know all three.
 *
 * Each member has a network of its own. Where that is not allowed the members reach each other through links, one for each
 * direction; what a member tells the others of itself is an address where nobody listens, or they would go round the links.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ClusterProfile, prepareClusterMember } from '../../../src/adapters/system/nats-configuration.ts';
import { freePort } from '../../support/nats.ts';
import type { Deployment, Route } from './deployment.ts';
import type { Network } from './network.ts';
import {
  type CommandLine,
  deployAt,
  LOOPBACK,
  type NatsServerAt,
  type Site,
  type SiteOptions,
  type Stage,
} from './site.ts';

export interface ThreeNodesOptions extends SiteOptions {
  readonly profile: ClusterProfile;
  /** Whether each node gets a network namespace. */
  readonly networks: boolean;
}

const NODES = 3;
/** The port `tcpmux`, which nobody has. */
const NOWHERE = '127.0.0.1:1';

/** @throws Error when it does not get ready; then nothing is left running */
export const startThreeNodes = (options: ThreeNodesOptions): Promise<Deployment> =>
  deployAt(options, (site) => stage(site, options));

interface Member {
  readonly name: string;
  readonly host: string;
  readonly clientPort: number;
  readonly routePort: number;
  readonly run?: (line: CommandLine) => CommandLine;
}

/** A route, and where its beginning connects to. */
interface LaidRoute extends Route {
  readonly address: string;
}

async function stage(site: Site, { profile, topology, networks }: ThreeNodesOptions): Promise<Stage> {
  const network = networks ? site.networkFor(NODES) : undefined;
  const members: Member[] = [];
  for (let node = 0; node < NODES; node++)
    members.push({
      ...{ name: `nats-server-${node}`, clientPort: await freePort(), routePort: await freePort() },
      host: network?.address(node) ?? LOOPBACK,
      ...(network && { run: (line) => network.on(node, line) }),
    });
  const routes = network ? routesIn(network, members) : await routesByLinks(site, members);
  const credentialsFile = join(site.dir, 'nats-credentials.json');
  const natsServers: NatsServerAt[] = [];
  for (const { name, host, clientPort, routePort, run } of members) {
    const configFile = join(site.dir, `${name}.conf`);
    const storeDir = join(site.dataDir, name);
    mkdirSync(storeDir);
    const member = {
      ...{ serverName: name, clusterName: 'rookery', storeDir, profile, topology, advertisedRoute: NOWHERE },
      ...{ clientAddress: `${host}:${clientPort}`, routeAddress: `${host}:${routePort}` },
      routes: routes.filter(({ from }) => from === name).map(({ address }) => address),
    };
    prepareClusterMember(member, configFile, credentialsFile);
    natsServers.push(await site.natsServer(name, { host, port: clientPort }, { configFile, storeDir }, run));
  }
  return { kind: 'three-nodes', profile, replicas: NODES, natsServers, routes, credentialsFile };
}

function routesIn(network: Network, members: readonly Member[]): LaidRoute[] {
  return pairs(members).map(([[i, from], [j, to]]) => ({
    ...{ from: from.name, to: to.name, address: `${to.host}:${to.routePort}`, ways: ['drop'] },
    part: () => network.part(i, j),
    join: () => network.join(i, j),
  }));
}

function routesByLinks(site: Site, members: readonly Member[]): Promise<LaidRoute[]> {
  const laid = pairs(members).map(async ([[, from], [, to]]): Promise<LaidRoute> => {
    const link = await site.link(`${from.name}>${to.name}`, { host: to.host, port: to.routePort });
    return {
      ...{ from: from.name, to: to.name, address: `${LOOPBACK}:${link.port}`, ways: ['hold', 'swallowBoth'] },
      part: (way) => (link.mode = way === 'drop' ? 'hold' : way),
      join: () => (link.mode = 'pass'),
    };
  });
  return Promise.all(laid);
}

/** Each with each other, both ways round, and their places. */
function pairs<T>(all: readonly T[]): [[number, T], [number, T]][] {
  const found: [[number, T], [number, T]][] = [];
  for (const left of all.entries())
    for (const right of all.entries()) if (left[0] !== right[0]) found.push([left, right]);
  return found;
}
