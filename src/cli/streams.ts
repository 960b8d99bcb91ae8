/** `rookery streams`: what the server has against what the files in streams/ say. */

import type { JetStreamManager } from '@nats-io/jetstream';
import { type Command, InvalidArgumentError } from 'commander';
import type { Definitions } from '../adapters/jetstream/streams/stream-definitions.ts';
import type { Difference, FieldChange } from '../adapters/jetstream/streams/streams.ts';

interface Options {
  readonly config?: string;
  readonly replicas: number;
  readonly allowDataLoss?: true;
}

const EXAMPLES = `
Examples:
  rookery streams diff                      against the nats-server of \`rookery dev\`
  rookery streams apply --config ops.json   {"nats": …, "topology": {"convStreams": 2, "inboxStreams": 2}}
  rookery streams apply --replicas 3        on a cluster of three
  rookery streams remove TRIAL              what \`rookery replay --into TRIAL\` has made`;

export function registerStreams(program: Command): void {
  const streams = program
    .command('streams')
    .description('streams and consumers against the files in streams/')
    .addHelpText('after', EXAMPLES);
  const command = (name: string, description: string): Command =>
    streams
      .command(name)
      .description(description)
      .option('--config <file>', 'JSON file with `nats` and `topology`')
      .option('--replicas <n>', 'copies of each stream', replicas, 1);

  command('diff', 'show what `apply` would change').action((options: Options) =>
    withStreams(options, async (jsm, definitions) => {
      const { diffStreams } = await import('../adapters/jetstream/streams/streams.ts');
      print(await diffStreams(jsm, definitions), 'would');
    }),
  );
  command('apply', 'create and update streams and consumers')
    .option('--allow-data-loss', 'also make changes that lose data')
    .action((options: Options) =>
      withStreams(options, async (jsm, definitions) => {
        const { applyStreams } = await import('../adapters/jetstream/streams/streams.ts');
        print(await applyStreams(jsm, definitions, { allowDataLoss: options.allowDataLoss === true }), 'did');
      }),
    );
  streams
    .command('remove')
    .description('remove a stream that `rookery replay --into` has made, with all that is in it')
    .argument('<stream>', 'its name; no stream of the deployment itself')
    .option('--config <file>', 'JSON file with `nats` and `topology`')
    .action((name: string, options: Options) =>
      withStreams({ ...options, replicas: 1 }, async (jsm) => {
        const { removeCopiedStream } = await import('../adapters/jetstream/records/copied-stream.ts');
        await removeCopiedStream(jsm, name);
        console.log(`removed ${name}`);
      }),
    );
}

async function withStreams(
  { config: file, replicas }: Options,
  work: (jsm: JetStreamManager, definitions: Definitions) => Promise<void>,
): Promise<void> {
  const { loadDeployment, operatorSchema } = await import('../processes/configuration/operator.ts');
  const { connected } = await import('./operator.ts');
  const { loadDefinitions } = await import('../adapters/jetstream/streams/stream-definitions.ts');
  const { createLog } = await import('../adapters/system/log.ts');
  const { config } = loadDeployment(operatorSchema, { file });
  const definitions = loadDefinitions({ topology: config.topology, replicas });
  const { nc, jsm } = await connected(config.nats, 'operator', 'streams', createLog('cli', 'silent'), file);
  try {
    await work(jsm, definitions);
  } finally {
    await nc.close();
  }
}

function replicas(text: string): number {
  const count = Number(text);
  // JetStream's own bound.
  if (!Number.isInteger(count) || count < 1 || count > 5) throw new InvalidArgumentError('1 to 5');
  return count;
}

function print(differences: readonly Difference[], mood: 'would' | 'did'): void {
  if (differences.length === 0) console.log('no difference');
  for (const { name, change, fields } of differences) {
    console.log(mood === 'did' ? `${change}d ${name}` : `would ${change} ${name}`);
    if (change !== 'create') for (const field of fields) console.log(`  ${lineOf(field)}`);
  }
}

function lineOf({ field, from, to, loses, impossible }: FieldChange): string {
  const warning = impossible ? `   IMPOSSIBLE: ${impossible}` : loses ? `   LOSES DATA: ${loses}` : '';
  return `${field}: ${shown(from)} → ${shown(to)}${warning}`;
}

/** A stream with a range of partitions lists a subject for each: too many to read. */
function shown(value: unknown): string {
  if (!Array.isArray(value) || value.length <= 4) return JSON.stringify(value) ?? 'nothing';
  return `[${JSON.stringify(value[0])} … ${JSON.stringify(value.at(-1))}, ${value.length} in all]`;
}
