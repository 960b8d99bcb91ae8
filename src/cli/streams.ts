/** `rookery streams`: what the server has against what the files in streams/ say. */
import type { Command } from 'commander';
import type { Difference } from '../adapters/jetstream/streams.ts';

interface Options {
  readonly config?: string;
  readonly replicas: string;
  readonly allowDataLoss?: boolean;
}

export function registerStreams(program: Command): void {
  const streams = program.command('streams').description('streams and consumers against the files in streams/');
  streams
    .command('diff')
    .description('show what `apply` would change')
    .option('--config <file>', 'JSON file with `nats` and `topology`')
    .option('--replicas <n>', 'replicas of each stream', '1')
    .action(async (options: Options) => {
      const { jsm, definitions, close } = await open(options);
      const { diffStreams } = await import('../adapters/jetstream/streams.ts');
      print(await diffStreams(jsm, definitions), 'would');
      await close();
    });
  streams
    .command('apply')
    .description('create and update streams and consumers')
    .option('--config <file>', 'JSON file with `nats` and `topology`')
    .option('--replicas <n>', 'replicas of each stream', '1')
    .option('--allow-data-loss', 'also make changes that lose data')
    .action(async (options: Options) => {
      const { jsm, definitions, close } = await open(options);
      const { applyStreams } = await import('../adapters/jetstream/streams.ts');
      print(await applyStreams(jsm, definitions, { allowDataLoss: options.allowDataLoss === true }), 'did');
      await close();
    });
}

async function open({ config: file, replicas }: Options) {
  const { loadConfiguration } = await import('../processes/configuration/load.ts');
  const { operatorSchema } = await import('../processes/configuration/operator.ts');
  const { connectNats } = await import('../adapters/jetstream/connect.ts');
  const { loadDefinitions } = await import('../adapters/jetstream/stream-definitions.ts');
  const { createLog } = await import('../adapters/system/log.ts');
  const { config } = loadConfiguration(operatorSchema, { file });
  const { nc, jsm } = await connectNats(config.nats, 'operator', 'rookery streams', createLog('cli', 'silent'));
  const definitions = loadDefinitions({ topology: config.topology, replicas: Number(replicas) });
  return { jsm, definitions, close: () => nc.close() };
}

function print(differences: readonly Difference[], mood: 'would' | 'did'): void {
  if (differences.length === 0) console.log('no difference');
  for (const { name, change, fields } of differences) {
    console.log(`${mood === 'did' ? `${change}d` : `would ${change}`} ${name}`);
    if (change === 'create') continue;
    for (const { field, from, to, loses } of fields) {
      console.log(
        `  ${field}: ${JSON.stringify(from)} → ${JSON.stringify(to)}${loses ? `   LOSES DATA: ${loses}` : ''}`,
      );
    }
  }
}
