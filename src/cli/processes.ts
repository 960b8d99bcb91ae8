/** `rookery gateway`, `rookery fan-out-worker`, `rookery read-model-worker`: one process each, as an operator runs them. */
import type { Command } from 'commander';
import type { Log } from '../ports/log.ts';
import { asRookeryError, RookeryError } from '../protocol/error-codes.ts';

/** A drain that takes longer is stuck: what it would have saved is in the log and comes back at the next start. */
const DRAIN_WITHIN_MS = 15_000;

interface Running {
  readonly ended?: Promise<void>;
  drain(): Promise<void>;
}

interface ProcessOptions {
  readonly config?: string;
  readonly set: readonly string[];
  readonly withParent?: true;
}

export function registerProcesses(program: Command): void {
  processCommand(program, 'gateway', 'run a gateway: WebSocket and HTTP in front of the log', [
    'rookery gateway --config gateway.json',
    'rookery gateway --set port=7701 --set limits.maxSessions=100000',
  ]).action(async (options: ProcessOptions) => {
    const { gatewaySchema } = await import('../processes/configuration/gateway.ts');
    const { startGateway } = await import('../processes/gateway.ts');
    const { loadConfiguration, flagsOf } = await import('../processes/configuration/load.ts');
    const { createLog } = await import('../adapters/system/log.ts');
    const { config } = loadConfiguration(gatewaySchema, { file: options.config, flags: flagsOf(options.set) });
    const log = createLog('gateway', config.logLevel);
    await untilSignal(log, options, () => startGateway(config, log));
  });
  processCommand(program, 'fan-out-worker', 'run a fan-out worker: from the log into the inboxes', [
    'rookery fan-out-worker --config fan-out-worker.json',
    'rookery fan-out-worker --set stateDir=/var/lib/rookery/fan-out',
  ]).action(async (options: ProcessOptions) => {
    const { fanOutWorkerSchema } = await import('../processes/configuration/fan-out-worker.ts');
    const { startFanOutWorker } = await import('../processes/fan-out-worker.ts');
    const { loadConfiguration, flagsOf } = await import('../processes/configuration/load.ts');
    const { createLog } = await import('../adapters/system/log.ts');
    const { config } = loadConfiguration(fanOutWorkerSchema, { file: options.config, flags: flagsOf(options.set) });
    const log = createLog('fan-out-worker', config.logLevel);
    await untilSignal(log, options, () => startFanOutWorker(config, log));
  });
  processCommand(program, 'read-model-worker', 'run a read-model worker: from the log into what can be asked', [
    'rookery read-model-worker --config read-model-worker.json',
    'rookery read-model-worker --set stateDir=/var/lib/rookery/read-model',
  ]).action(async (options: ProcessOptions) => {
    const { readModelWorkerSchema } = await import('../processes/configuration/read-model-worker.ts');
    const { startReadModelWorker } = await import('../processes/read-model-worker.ts');
    const { loadConfiguration, flagsOf } = await import('../processes/configuration/load.ts');
    const { createLog } = await import('../adapters/system/log.ts');
    const { config } = loadConfiguration(readModelWorkerSchema, { file: options.config, flags: flagsOf(options.set) });
    const log = createLog('read-model-worker', config.logLevel);
    await untilSignal(log, options, () => startReadModelWorker(config, log));
  });
}

function processCommand(program: Command, name: string, description: string, examples: readonly string[]): Command {
  return program
    .command(name)
    .description(description)
    .option('--config <file>', `JSON file; see \`rookery config check ${name}\``)
    .option(
      '--set <field=value>',
      'set one field, over file and environment; may be repeated',
      (text: string, before: readonly string[]) => [...before, text],
      [] as readonly string[],
    )
    .option('--with-parent', 'end when standard input ends')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

/** Runs until SIGINT or SIGTERM, then drains; a second signal, a stuck drain or the process's own end exits at once. */
async function untilSignal(log: Log, { withParent }: ProcessOptions, start: () => Promise<Running>): Promise<void> {
  let running: Running | undefined;
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    if (signals > 1) process.exit(1);
    log.info({ what: 'draining', signal });
    setTimeout(() => process.exit(1), DRAIN_WITHIN_MS).unref();
    void (running?.drain() ?? Promise.resolve()).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // The parent was killed, and takes nats-server with it: there is nothing to drain into.
  if (withParent) process.stdin.resume().once('end', () => process.exit(1));
  try {
    running = await start();
    await running.ended;
    if (!running.ended) await new Promise(() => undefined);
  } catch (thrown) {
    const error = asRookeryError(isPortInUse(thrown) ? new RookeryError('PORT_IN_USE', thrown.message) : thrown);
    const reason = error.code === 'INTERNAL' ? String(thrown) : error.message;
    log.error({ what: 'process ended', code: error.code, reason });
    process.exit(1);
  }
}

const isPortInUse = (thrown: unknown): thrown is Error => (thrown as NodeJS.ErrnoException).code === 'EADDRINUSE';
