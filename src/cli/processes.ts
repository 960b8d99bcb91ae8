/** `rookery gateway` and `rookery fan-out-worker`: one process each, as an operator runs them. */
import type { Command } from 'commander';
import type { Log } from '../ports/log.ts';
import { asRookeryError } from '../protocol/error-codes.ts';

/** A drain that takes longer is stuck: what it would have saved is in the log and comes back at the next start. */
const DRAIN_WITHIN_MS = 15_000;

interface Running {
  readonly ended?: Promise<void>;
  drain(): Promise<void>;
}

interface ProcessOptions {
  readonly config?: string;
  /** A parent that is killed takes its end of our standard input with it: then we end too. */
  readonly withParent?: true;
}

export function registerProcesses(program: Command): void {
  program
    .command('gateway')
    .description('run a gateway: WebSocket and HTTP in front of the log')
    .option('--config <file>', 'JSON file; see `rookery config check gateway`')
    .option('--with-parent', 'end when standard input ends')
    .action(async ({ config: file, withParent }: ProcessOptions) => {
      const { loadConfiguration } = await import('../processes/configuration/load.ts');
      const { gatewaySchema } = await import('../processes/configuration/gateway.ts');
      const { createLog } = await import('../adapters/system/log.ts');
      const { startGateway } = await import('../processes/gateway.ts');
      const { config } = loadConfiguration(gatewaySchema, { file });
      const log = createLog('gateway', config.logLevel);
      await untilSignal(log, withParent, () => startGateway(config, log));
    });
  program
    .command('fan-out-worker')
    .description('run a fan-out worker: from the log into the inboxes')
    .option('--config <file>', 'JSON file; see `rookery config check fan-out-worker`')
    .option('--with-parent', 'end when standard input ends')
    .action(async ({ config: file, withParent }: ProcessOptions) => {
      const { loadConfiguration } = await import('../processes/configuration/load.ts');
      const { fanOutWorkerSchema } = await import('../processes/configuration/fan-out-worker.ts');
      const { createLog } = await import('../adapters/system/log.ts');
      const { startFanOutWorker } = await import('../processes/fan-out-worker.ts');
      const { config } = loadConfiguration(fanOutWorkerSchema, { file });
      const log = createLog('fan-out-worker', config.logLevel);
      await untilSignal(log, withParent, () => startFanOutWorker(config, log));
    });
}

/** Runs until SIGINT or SIGTERM, then drains; a second signal, a stuck drain or the process's own end exits at once. */
async function untilSignal(log: Log, withParent: true | undefined, start: () => Promise<Running>): Promise<void> {
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
  if (withParent) process.stdin.resume().once('end', () => onSignal('parent ended'));
  try {
    running = await start();
    await running.ended;
    if (!running.ended) await new Promise(() => undefined);
  } catch (thrown) {
    const { code, message } = asRookeryError(thrown);
    log.error({ what: 'process ended', code, reason: code === 'INTERNAL' ? String(thrown) : message });
    process.exit(1);
  }
}
