/** `rookery read-model`: what a worker's files are, whether they are what the log says, and making them anew while they serve. */
import type { Command } from 'commander';

interface Options {
  readonly config?: string;
  readonly set: readonly string[];
  readonly stateDir?: string;
  readonly json?: boolean;
  readonly digest?: boolean;
}

const EXAMPLES = `
Examples:
  rookery read-model status                         of the worker of \`rookery dev\`
  rookery read-model status --digest --json         two workers with the same digest have the same rows
  rookery read-model verify                         fold the log anew, compare every table; exit code 1 where they differ
  rookery read-model rebuild --config other/operator.json   a new file beside the one in use, which serves until it is done`;

export function registerReadModel(program: Command): void {
  const readModel = program
    .command('read-model')
    .description("a read-model worker's files: rebuild, verify, status")
    .addHelpText('after', EXAMPLES);
  const command = (name: string, description: string): Command =>
    readModel
      .command(name)
      .description(description)
      .option('--config <file>', 'JSON file: operator.json of `rookery dev`, or that of the worker')
      .option('--state-dir <dir>', "folder of the worker's files (default: as configured)")
      .option('--set <field=value>', 'one field', (one: string, all: string[]) => [...all, one], [] as string[])
      .option('--json', 'one JSON object a lane and line');

  command('status', 'position, lag, size and version of each lane’s file')
    .option('--digest', 'also a digest of all rows; reads every one')
    .action(async (options: Options) => {
      const { statusOf } = await import('../processes/read-model-files.ts');
      await onEachLane(options, statusOf, ({ lane, position, lag, bytes, version, digest }) => {
        const size = `${(bytes / 2 ** 20).toFixed(1)} MiB`;
        return `lane ${lane}  position ${position}  lag ${lag}  ${size}  version ${version}${digest ? `  ${digest}` : ''}`;
      });
    });
  command('verify', 'fold the log anew up to where the file is, and compare').action(async (options: Options) => {
    const { verify } = await import('../processes/read-model-files.ts');
    await onEachLane(options, verify, ({ lane, position, lag, same, tables, difference }) => {
      if (same) return `lane ${lane}  position ${position}  lag ${lag}  ${tables.length} tables, byte-identical`;
      process.exitCode = 1;
      const { table, one, other } = difference ?? {};
      return `lane ${lane}  position ${position}  lag ${lag}  DIFFERS first in ${table}\n  file  ${one ?? '-'}\n  log   ${other ?? '-'}`;
    });
  });
  command('rebuild', 'build new files beside those in use, and put them in their place').action(
    async (options: Options) => {
      const { rebuild } = await import('../processes/read-model-files.ts');
      const { refuseMissingFolder, tellingOfWait, useOf } = await import('./rebuild.ts');
      const rebuildThere = async (parts: LaneParts) => {
        await refuseMissingFolder(parts.config.stateDir);
        return rebuild({ ...parts, onWaiting: tellingOfWait(parts.config.stateDir, parts.lane) });
      };
      await onEachLane(options, rebuildThere, (result) => {
        const { lane, position, seconds } = result;
        const rate = Math.round(position / Math.max(0.001, seconds));
        return `lane ${lane}  rebuilt up to ${position} in ${seconds.toFixed(1)} s, ${rate} events/s, ${useOf(result)}`;
      });
    },
  );
}

async function onEachLane<Result>(
  options: Options,
  work: (parts: LaneParts) => Promise<Result | undefined>,
  lineOf: (result: Result) => string,
): Promise<void> {
  const { flagsOf } = await import('../processes/configuration/load.ts');
  const { loadDeployment, readModelFilesSchema } = await import('../processes/configuration/operator.ts');
  const { createLog } = await import('../adapters/system/log.ts');
  const { connected, print } = await import('./operator.ts');
  const { ProgressBar } = await import('./progress.ts');
  const { config } = loadDeployment(readModelFilesSchema, { file: options.config, flags: flagsOf(options.set) });
  const stateDir = options.stateDir ?? config.stateDir ?? config.stateDirs.readModel;
  const log = createLog('cli', 'silent');
  const nats = await connected(config.nats, 'read-model-worker', 'read-model', log, options.config);
  try {
    for (let lane = 0; lane < config.topology.convStreams; lane++) {
      const bar = new ProgressBar(`lane ${lane}`, 0);
      const onProgress = (position: number, end: number): void => bar.at(position, end);
      const result = await work({ config: { stateDir }, nats, lane, withDigest: options.digest === true, onProgress });
      if (result) await print(options.json ? JSON.stringify(result) : lineOf(result));
    }
  } finally {
    await nats.nc.close();
  }
}

interface LaneParts {
  readonly config: { readonly stateDir: string };
  readonly nats: import('../adapters/jetstream/connect.ts').Nats;
  readonly lane: number;
  readonly withDigest: boolean;
  readonly onProgress: (position: number, end: number) => void;
}
