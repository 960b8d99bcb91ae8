/**
 * nats-server as a child process. It is restarted when it dies; it does not outlive its parent: on Linux and macOS alike a
 * parent killed with -9 can do nothing, so its pid file tells the next start whom to stop first.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import type { Log } from '../../ports/log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { type DurabilityProfile, prepareNats } from './nats-configuration.ts';

/** A store of some GB recovers in seconds (5 s/GB after a kill); longer than this something is wrong. */
const READY_WITHIN_MS = 60_000;
const POLL_MS = 25;
/** After SIGTERM the server writes what is in memory; then it is killed. */
const STOP_WITHIN_MS = 15_000;
const FIRST_RESTART_MS = 200;
const MAX_RESTART_MS = 5_000;

export interface NatsServerOptions {
  readonly binary: string;
  readonly dataDir: string;
  readonly port: number;
  readonly profile: DurabilityProfile;
  readonly log: Log;
  /** Whether a server that dies is started again. */
  readonly restart?: boolean;
}

export class NatsServer {
  readonly url: string;
  readonly credentialsFile: string;
  readonly #options: NatsServerOptions;
  readonly #configFile: string;
  #child: ChildProcess | undefined;
  #stopping = false;
  #wasReady = false;
  #restartMs = FIRST_RESTART_MS;

  /** @throws RookeryError NATS_SERVER_FAILED when the port is taken or the server does not get ready */
  static async start(options: NatsServerOptions): Promise<NatsServer> {
    const { configFile, credentialsFile } = prepareNats(options.dataDir, options.port, options.profile);
    const server = new NatsServer(options, configFile, credentialsFile);
    await stopOrphan(server.#pidFile);
    if (await answers(options.port)) {
      throw new RookeryError('NATS_SERVER_FAILED', `port ${options.port} is taken by another process`);
    }
    server.#spawn();
    await server.ready();
    return server;
  }

  private constructor(options: NatsServerOptions, configFile: string, credentialsFile: string) {
    this.#options = options;
    this.#configFile = configFile;
    this.credentialsFile = credentialsFile;
    this.url = `nats://127.0.0.1:${options.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get #pidFile(): string {
    return join(this.#options.dataDir, 'nats-server.pid');
  }

  /** Resolves when the server takes connections, after a start or a restart. */
  async ready(): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (!(await answers(this.#options.port))) {
      const died = this.#child?.exitCode !== null && !(this.#options.restart && this.#wasReady);
      if (died || Date.now() > deadline) {
        throw new RookeryError('NATS_SERVER_FAILED', `nats-server did not start; see ${this.#logFile}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.#wasReady = true;
  }

  /** For tests: what an operator's mishap does. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      await exited;
      clearTimeout(killer);
    }
    rmSync(this.#pidFile, { force: true });
  }

  get #logFile(): string {
    return join(this.#options.dataDir, 'logs', 'nats-server.log');
  }

  #spawn(): void {
    const { binary, log, restart } = this.#options;
    mkdirSync(join(this.#options.dataDir, 'logs'), { recursive: true });
    // A process group of its own: Ctrl-C in the terminal must not reach it before its clients have drained.
    const child = spawn(binary, ['-c', this.#configFile], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const output = createWriteStream(this.#logFile, { flags: 'w' });
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    child.once('close', () => output.end());
    this.#child = child;
    if (child.pid) writeFileSync(this.#pidFile, String(child.pid));
    const startedAt = Date.now();
    child.once('error', (error) => log.error({ what: 'nats-server not started', reason: String(error) }));
    child.once('exit', (code, signal) => {
      if (this.#stopping) return;
      log.warn({ what: 'nats-server died', code, signal });
      if (!restart) return;
      if (Date.now() - startedAt > READY_WITHIN_MS) this.#restartMs = FIRST_RESTART_MS;
      setTimeout(() => this.#stopping || this.#spawn(), this.#restartMs);
      this.#restartMs = Math.min(2 * this.#restartMs, MAX_RESTART_MS);
    });
  }

  /** For tests: starts again after `signal`. */
  async respawn(): Promise<void> {
    this.#spawn();
    await this.ready();
  }
}

/** A server whose parent was killed still holds the store: it is stopped before a new one opens it. */
async function stopOrphan(pidFile: string): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const isOurs = (): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('nats-server');
    } catch {
      return process.platform === 'darwin' && isAlive(pid);
    }
  };
  const deadline = Date.now() + STOP_WITHIN_MS;
  for (let signal: NodeJS.Signals = 'SIGTERM'; pid > 1 && isAlive(pid) && isOurs(); ) {
    process.kill(pid, signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (Date.now() > deadline) signal = 'SIGKILL';
  }
  rmSync(pidFile, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTcp({ host: '127.0.0.1', port });
    // The server speaks first: a listening port alone may belong to anybody.
    socket.once('data', (data) => done(data.toString().startsWith('INFO')));
    socket.once('error', () => done(false));
    socket.setTimeout(1_000, () => done(false));
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
  });
