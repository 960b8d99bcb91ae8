/** One machine: a nats-server, two gateways and two fan-out workers, of which one stands by for each lane. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type DurabilityProfile, prepareNats } from '../../../src/adapters/system/nats-configuration.ts';
import { freePort } from '../../support/nats.ts';
import type { Deployment } from './deployment.ts';
import { deployAt, LOOPBACK, type Site, type SiteOptions, type Stage } from './site.ts';

export interface OneNodeOptions extends SiteOptions {
  readonly profile: DurabilityProfile;
}

/** @throws Error when it does not get ready; then nothing is left running */
export const startOneNode = (options: OneNodeOptions): Promise<Deployment> =>
  deployAt(options, (site) => stage(site, options));

async function stage(site: Site, { profile, topology }: OneNodeOptions): Promise<Stage> {
  const port = await freePort();
  // Configuration lies beside the disk: what an operator wrote does not go with the power.
  const { configFile, credentialsFile } = prepareNats({ dataDir: site.dir, port, profile, topology });
  const storeDir = join(site.dir, 'nats');
  if (site.disk) {
    mkdirSync(join(site.dataDir, 'nats'));
    symlinkSync(join(site.dataDir, 'nats'), storeDir);
  }
  const natsServers = [await site.natsServer('nats-server', { host: LOOPBACK, port }, { configFile, storeDir })];
  return { kind: 'one-node', profile, replicas: 1, natsServers, routes: [], credentialsFile };
}
