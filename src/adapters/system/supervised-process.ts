/**
 * A child process that is started again when it dies, stopped within a bound, and never outlives its parent, however that
 * one ends: a parent killed with -9 can do nothing any more, but its end of a pipe is closed by the kernel. A child of ours
 * reads that on its standard input (`rookery … --with-parent`); for a child of another make a tiny shell beside it does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Log } from '../../ports/log.ts';
import { BoundedLog } from './bounded-log.ts';

/** After SIGTERM a child drains within this time, or is killed. */
const STOP_WITHIN_MS = 15_000;
const FIRST_RESTART_MS = 100;
const MAX_RESTART_MS = 5_000;
/** A child that ran for so long has started well: its next restart is as quick as the first. */
const HEALTHY_AFTER_MS = 30_000;

/** Waits for the end of its standard input, then ends process $1: gently, and by force if it is still there after 15 s. */
const WATCHDOG = `
read -r _
kill -TERM "$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 1; kill -0 "$1" 2>/dev/null || exit 0; done
kill -KILL "$1"`;

export interface SupervisedOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly log: Log;
  /** Whether it is started again when it dies. */
  readonly restart: boolean;
  /** Whether it ends by itself when its standard input does; else a watchdog sees to it. */
  readonly endsWithInput: boolean;
}

export class SupervisedProcess {
  readonly #options: SupervisedOptions;
  readonly #output: BoundedLog;
  #child: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #restartTimer: NodeJS.Timeout | undefined;
  #restartMs = FIRST_RESTART_MS;
  #stopping = false;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.#output = new BoundedLog(options.logFile);
  }

  get pid(): number | undefined {
    return this.isRunning ? this.#child?.pid : undefined;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** What it wrote last. */
  tail(): string {
    return this.#output.tail();
  }

  /** Resolves when the one that was started last is gone. */
  gone(): Promise<void> {
    return this.#gone;
  }

  start(): void {
    const { command, args, endsWithInput, name, log } = this.#options;
    // A process group of its own: Ctrl-C in the terminal reaches the parent alone, which stops its children in their order.
    const child = spawn(command, args, { stdio: [endsWithInput ? 'pipe' : 'ignore', 'pipe', 'pipe'], detached: true });
    const watchdog = endsWithInput || child.pid === undefined ? undefined : this.#watchdogFor(child.pid);
    const startedAt = performance.now();
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => this.#output.write(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.#output.write(chunk));
    child.stdin?.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      const died = (how: string): void => {
        // Its process is gone, and the number may soon be another's.
        watchdog?.kill('SIGKILL');
        resolve();
        this.#died(startedAt, how);
      };
      child.once('exit', (code, signal) => died(signal ?? `exit code ${code}`));
      child.once('error', (error) => {
        log.error({ what: `${name} failed`, reason: String(error) });
        // What could not be started has no exit either.
        if (child.pid === undefined) died('not started');
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Resolves when it is gone: drained, or killed at the bound. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    this.signal('SIGTERM');
    const killer = setTimeout(() => this.signal('SIGKILL'), STOP_WITHIN_MS);
    await this.#gone;
    clearTimeout(killer);
    this.#output.close();
  }

  /** For who has no time left: nothing is drained. */
  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    this.signal('SIGKILL');
  }

  #died(startedAt: number, how: string): void {
    const { name, log, restart, logFile } = this.#options;
    if (this.#stopping) return;
    if (!restart) {
      log.warn({ what: `${name} died`, how, logFile });
      return;
    }
    if (performance.now() - startedAt > HEALTHY_AFTER_MS) this.#restartMs = FIRST_RESTART_MS;
    log.warn({ what: `${name} died`, how, logFile, restartMs: this.#restartMs });
    this.#restartTimer = setTimeout(() => {
      this.start();
      log.info({ what: `${name} is back`, pid: this.pid });
    }, this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, MAX_RESTART_MS);
  }

  #watchdogFor(pid: number): ChildProcess {
    const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'rookery-watchdog', String(pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    const { name, log } = this.#options;
    watchdog.once('error', (error) => log.warn({ what: `no watchdog for ${name}`, reason: String(error) }));
    watchdog.stdin?.on('error', () => undefined);
    return watchdog;
  }
}
