/**
 * nats-server as a child process of `rookery dev` and of tests. It is started again when it dies, and ends with its parent.
 * Where even its watchdog was killed, the pid file tells the next start whom to stop first: two servers on one store would
 * destroy it.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '../../ports/log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Topology } from '../../protocol/subjects.ts';
import { type DurabilityProfile, prepareNats } from './nats-configuration.ts';
import { checkPort } from './ports.ts';
import { SupervisedProcess } from './supervised-process.ts';

/** A store of some GB recovers in seconds (5 s/GB after a kill); longer than this something is wrong. */
const READY_WITHIN_MS = 60_000;
/** Its collector lets the heap double, but works harder from here on; ids of the duplicate window are most of what it keeps. */
const COLLECTS_ABOVE = '896MiB';
const POLL_MS = 25;
const LOOPBACK = '127.0.0.1';
/** How long a server without a parent may take to end before it is killed. */
const ORPHAN_ENDS_WITHIN_MS = 15_000;
const PROBE_TIMEOUT_MS = 1_000;

export interface NatsServerOptions {
  readonly binary: string;
  readonly dataDir: string;
  readonly port: number;
  readonly profile: DurabilityProfile;
  readonly topology: Topology;
  readonly log: Log;
  /** Whether a server that dies is started again. */
  readonly restart?: boolean;
}

export class NatsServer {
  readonly url: string;
  readonly credentialsFile: string;
  readonly #options: NatsServerOptions;
  readonly #process: SupervisedProcess;
  #wasReady = false;

  /** @throws RookeryError PORT_IN_USE, NATS_SERVER_FAILED when the server does not get ready */
  static async start(options: NatsServerOptions): Promise<NatsServer> {
    const { dataDir, port, profile, topology } = options;
    const { configFile, credentialsFile } = prepareNats({ dataDir, port, profile, topology });
    await stopOrphan(pidFileIn(dataDir), configFile);
    await checkPort(port, LOOPBACK, `port ${port}, for nats-server`, '--nats-port gives another');
    const server = new NatsServer(options, configFile, credentialsFile);
    server.#process.start();
    try {
      await server.ready();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  private constructor(options: NatsServerOptions, configFile: string, credentialsFile: string) {
    const { binary, dataDir, log, restart = false } = options;
    this.#options = options;
    this.credentialsFile = credentialsFile;
    this.url = `nats://127.0.0.1:${options.port}`;
    this.#process = new SupervisedProcess({
      name: 'nats-server',
      command: 'env',
      args: [`GOMEMLIMIT=${COLLECTS_ABOVE}`, binary, '-c', configFile],
      logFile: join(dataDir, 'logs', 'nats-server.log'),
      log,
      restart,
      endsWithInput: false,
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Resolves when the server takes connections, after a start or a restart: it does so once its streams are recovered. */
  async ready(): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (!(await answers(this.#options.port))) {
      const isGone = !this.#process.isRunning && !(this.#options.restart && this.#wasReady);
      if (isGone || Date.now() > deadline) {
        throw new RookeryError('NATS_SERVER_FAILED', `nats-server did not start:\n${this.#process.tail()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.#wasReady = true;
  }

  /** For tests: what an operator's mishap does. */
  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal);
  }

  /** For tests: starts again after `signal`, where it does not do so by itself. */
  async respawn(): Promise<void> {
    await this.#process.gone();
    this.#process.start();
    await this.ready();
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    rmSync(pidFileIn(this.#options.dataDir), { force: true });
  }

  /** At once: the log is as after a kill -9. */
  kill(): void {
    this.#process.kill();
  }
}

/** Written by the server itself, as its configuration says. */
const pidFileIn = (dataDir: string): string => join(dataDir, 'nats-server.pid');

async function stopOrphan(pidFile: string, configFile: string): Promise<void> {
  const pid = pidIn(pidFile);
  const deadline = Date.now() + ORPHAN_ENDS_WITHIN_MS;
  let signal: NodeJS.Signals = 'SIGTERM';
  // The number may be another's by now: only a process that was started with our configuration is stopped.
  while (pid !== undefined && (await commandLineOf(pid)).includes(configFile)) {
    if (Date.now() > deadline) signal = 'SIGKILL';
    try {
      process.kill(pid, signal);
    } catch {
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 4 * POLL_MS));
  }
  rmSync(pidFile, { force: true });
}

function pidIn(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Empty where there is no such process. */
async function commandLineOf(pid: number): Promise<string> {
  try {
    // Linux; a small container may have no `ps`.
    if (existsSync('/proc/self/cmdline')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return (await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).stdout;
  } catch {
    return '';
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTcp({ host: '127.0.0.1', port });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    // The server speaks first: a listening port alone may belong to anybody.
    socket.once('data', (data) => done(data.toString().startsWith('INFO')));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
    socket.setTimeout(PROBE_TIMEOUT_MS, () => done(false));
  });
