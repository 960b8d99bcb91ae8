/**
 * A cluster as config/cluster says, on one machine: three nats-servers with three replicas of each stream, two gateways and two
 * workers that know all three.
 *
 * The members reach each other through links, one for each direction, so that any of them can be cut off. What a member tells
 * the others of itself is an address where nobody listens, or they would go round the links.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ClusterProfile, prepareClusterMember } from '../../../src/adapters/system/nats-configuration.ts';
import { freePort } from '../../support/nats.ts';
import type { Deployment, Route } from './deployment.ts';
import { deployAt, type NatsServerAt, type Site, type SiteOptions, type Stage } from './site.ts';

export interface ThreeNodesOptions extends SiteOptions {
  readonly profile: ClusterProfile;
}

const NODES = 3;
/** The port `tcpmux`, which nobody has. */
const NOWHERE = '127.0.0.1:1';

/** @throws Error when it does not get ready; then nothing is left running */
export const startThreeNodes = (options: ThreeNodesOptions): Promise<Deployment> =>
  deployAt(options, (site) => stage(site, options));

interface Member {
  readonly name: string;
  readonly clientPort: number;
  readonly routePort: number;
}

async function stage(site: Site, { profile, topology }: ThreeNodesOptions): Promise<Stage> {
  const members: Member[] = [];
  for (let i = 0; i < NODES; i++)
    members.push({ name: `nats-server-${i}`, clientPort: await freePort(), routePort: await freePort() });
  const routes = await routesBetween(site, members);
  const credentialsFile = join(site.dir, 'nats-credentials.json');
  const natsServers: NatsServerAt[] = [];
  for (const { name, clientPort, routePort } of members) {
    const configFile = join(site.dir, `${name}.conf`);
    const storeDir = join(site.dataDir, name);
    mkdirSync(storeDir);
    const member = {
      ...{ serverName: name, clusterName: 'rookery', storeDir, profile, topology, advertisedRoute: NOWHERE },
      ...{ clientAddress: `127.0.0.1:${clientPort}`, routeAddress: `127.0.0.1:${routePort}` },
      routes: routes.filter(({ from }) => from === name).map(({ link }) => `127.0.0.1:${link.port}`),
    };
    prepareClusterMember(member, configFile, credentialsFile);
    natsServers.push(await site.natsServer(name, clientPort, configFile, storeDir));
  }
  return { kind: 'three-nodes', profile, replicas: NODES, natsServers, routes, credentialsFile };
}

async function routesBetween(site: Site, members: readonly Member[]): Promise<Route[]> {
  const routes: Route[] = [];
  for (const { name: from } of members)
    for (const { name: to, routePort } of members)
      if (from !== to) routes.push({ from, to, link: await site.link(`${from}>${to}`, routePort) });
  return routes;
}
