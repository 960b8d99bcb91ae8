/** `rookery cluster`: the files that the nats-servers of a cluster are started with (config/cluster/README.md). */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { ClusterConfig } from '../processes/configuration/cluster.ts';

interface Options {
  readonly config: string;
  readonly out: string;
}

const EXAMPLES = `
Examples:
  rookery cluster write --config cluster.json --out conf
      conf/<member>.conf for each machine, conf/nats-credentials.json for the processes`;

export function registerCluster(program: Command): void {
  program
    .command('cluster')
    .description('a cluster of nats-servers')
    .addHelpText('after', EXAMPLES)
    .command('write')
    .description('write the configuration of each member, and the credentials unless they exist')
    .requiredOption('--config <file>', 'JSON file with the members; config/cluster/cluster.json is the model')
    .requiredOption('--out <folder>', 'where the files go; only their owner can read them')
    .action(write);
}

async function write({ config: file, out }: Options): Promise<void> {
  const { loadConfiguration } = await import('../processes/configuration/load.ts');
  const { clusterSchema } = await import('../processes/configuration/cluster.ts');
  for (const written of await writeCluster(loadConfiguration(clusterSchema, { file }).config, out))
    console.log(written);
}

/** @returns the files, credentials last. @throws RookeryError CONFIGURATION_INVALID */
export async function writeCluster(cluster: ClusterConfig, out: string): Promise<readonly string[]> {
  const { prepareClusterMember } = await import('../adapters/system/nats-configuration.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { name: clusterName, members, profile, topology } = cluster;
  if (new Set(members.map(({ name }) => name)).size < members.length)
    throw new RookeryError('CONFIGURATION_INVALID', 'two members have one name');
  const credentialsFile = join(out, 'nats-credentials.json');
  const configFiles = members.map(({ name: serverName, storeDir = cluster.storeDir, ...addresses }) => {
    const others = members.filter(({ name }) => name !== serverName);
    const routes = others.map(({ routeAddress }) => routeAddress);
    const configFile = join(out, `${serverName}.conf`);
    const member = { serverName, clusterName, ...addresses, routes, storeDir, profile, topology };
    prepareClusterMember(member, configFile, credentialsFile);
    return configFile;
  });
  return [...configFiles, credentialsFile];
}
