/** `rookery dev`: everything on this machine, from nothing to a first chat. */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { NODE_FLAGS } from '../adapters/system/node-flags.ts';
import type { Log, LogLine } from '../ports/log.ts';
import type { DevConfig } from '../processes/configuration/dev.ts';
import type { Dev } from '../processes/dev.ts';

const DEFAULT_PORT = 7700;
const LOOPBACK = /^(127\.|::1$|localhost$)/;
const DEMO_USERS = ['alice', 'bob'];
const DEMO_TOKEN_LIFETIME_MS = 7 * 24 * 3_600_000;
const FORCED_EXIT_CODE = 130;

const EXAMPLES = `
Examples:
  rookery dev                                 the address, two tokens and the next command to type
  rookery dev --data /tmp/other --port 7800 --nats-port 7822
  rookery dev --profile sync                  an ack survives power loss`;

interface DevFlags {
  readonly config?: string;
  readonly data?: string;
  readonly host?: string;
  readonly port?: string;
  readonly natsPort?: string;
  readonly profile?: string;
}

export function registerDev(program: Command): void {
  program
    .command('dev')
    .description('run everything on this machine: nats-server, streams, gateway, fan-out and read-model worker')
    .option('--config <file>', 'JSON file; see `rookery config check dev`')
    .option('--data <dir>', 'folder for data, credentials and logs (default: data)')
    .option('--host <address>', 'address of the gateway (default: 127.0.0.1)')
    .option('--port <n>', `port of the gateway (default: ${DEFAULT_PORT})`)
    .option('--nats-port <n>', 'port of nats-server (default: 7722)')
    .option('--profile <name>', 'default (fsync each second) or sync (fsync before each ack)')
    .addHelpText('after', EXAMPLES)
    .action(dev);
}

async function dev(flags: DevFlags): Promise<void> {
  const { startDev } = await import('../processes/dev.ts');
  const { findNatsServer } = await import('./nats-server-binary.ts');
  const config = await configurationOf(flags);
  const signals = new Signals();
  const binary = await findNatsServer({ progress: (line) => console.error(`rookery: ${line}`) });
  const starting = startDev(config, {
    natsServer: binary.path,
    rookery: [process.execPath, ...NODE_FLAGS, join(import.meta.dirname, `rookery${import.meta.filename.slice(-3)}`)],
    log: terminalLog,
    cancelled: signals.first,
  });
  const running = await starting;
  signals.onSecond = () => {
    running.kill();
    process.exit(FORCED_EXIT_CODE);
  };
  if (!signals.first.aborted) {
    await announce(running, config, `${binary.version}, from ${binary.source}`);
    await new Promise((resolve) => signals.first.addEventListener('abort', resolve));
  }
  console.log('\nstopping … (Ctrl-C again kills)');
  await running.drain();
  console.log('stopped; the data stays.');
}

async function configurationOf({ config: file, data, host, port, natsPort, profile }: DevFlags): Promise<DevConfig> {
  const { loadConfiguration } = await import('../processes/configuration/load.ts');
  const { devSchema } = await import('../processes/configuration/dev.ts');
  const flags = { dataDir: data, host, port: numberOf(port), natsPort: numberOf(natsPort), profile };
  return loadConfiguration(devSchema, { file, flags }).config;
}

/** Text that is no number stays text, so that the configuration says what is wrong with it. */
const numberOf = (text: string | undefined): number | string | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : text;

/** The first signal asks to stop, the second to stop at once. Until there is something to kill, the second just ends us. */
class Signals {
  readonly #first = new AbortController();
  onSecond: () => void = () => process.exit(FORCED_EXIT_CODE);

  constructor() {
    const onSignal = (): void => {
      if (this.#first.signal.aborted) this.onSecond();
      this.#first.abort();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  }

  get first(): AbortSignal {
    return this.#first.signal;
  }
}

/** Short status lines; the whole story is in the logs of the processes. */
const terminalLog: Log = {
  info: ({ what, pid }: LogLine) => {
    if (what.endsWith(' is back')) console.log(`${what} (pid ${String(pid)})`);
  },
  warn: ({ what, how, restartMs, logFile }: LogLine) => {
    if (what.startsWith('nats ')) return;
    const again = restartMs === undefined ? '' : `; starting again in ${String(restartMs)} ms`;
    console.log(`${what} (${String(how)})${again}${logFile ? `   ${String(logFile)}` : ''}`);
  },
  error: ({ what, reason }: LogLine) => console.error(`${what}: ${String(reason)}`),
};

async function announce(running: Dev, config: DevConfig, natsServer: string): Promise<void> {
  const { signDevToken } = await import('../adapters/jwt/tokens.ts');
  const { address, secretFile, apiKeyFile, operatorFile } = running;
  const socket = `${address.replace('http', 'ws')}/v1/ws`;
  const pids = Object.entries(running.pids()).map(([name, pid]) => `${name} ${pid}`);
  console.log(`\nRookery is running.\n`);
  console.log(`  open       ${address}   in two windows of a browser, and be two people`);
  console.log(`  WebSocket  ${socket}`);
  console.log(
    `  data       ${resolve(config.dataDir)}   (profile ${config.profile}; logs in ${join(config.dataDir, 'logs')})`,
  );
  console.log(`  processes  ${pids.join(', ')}   (nats-server ${natsServer})`);
  for (const user of DEMO_USERS) {
    console.log(`  token of ${user.padEnd(6)} ${await signDevToken(secretFile, user, DEMO_TOKEN_LIFETIME_MS)}`);
  }
  console.log(`  API key    in ${apiKeyFile}: with it a backend may do everything; rookery key makes others`);
  console.log(`  operator   ./bin/rookery stats --config ${operatorFile}   (so tail, show, verify, replay, token …)`);
  if (!LOOPBACK.test(config.host)) {
    console.log(
      `\n  ${config.host} is not this machine alone: whoever reaches it gets a token for any user. For development only.`,
    );
  }
  const other = config.port === DEFAULT_PORT ? '' : ` --url ${socket}`;
  console.log(`\nOr type in two other terminals:\n\n  ./bin/rookery chat --as alice --to bob${other}`);
  console.log(
    `  ./bin/rookery chat --as bob --to alice${other}\n\nCtrl-C stops everything. kill -9 what you like: it comes back.`,
  );
}
