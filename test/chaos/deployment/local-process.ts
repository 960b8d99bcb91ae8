/** A process on this machine that is started again whenever it ends, unless the suite itself has killed it. */
import { SupervisedProcess } from '../../../src/adapters/system/supervised-process.ts';
import type { Log } from '../../../src/ports/log.ts';
import { stopped } from '../../support/processes.ts';
import type { DeployedProcess, Incident, ProcessRole } from './deployment.ts';

const FIRST_RESTART_MS = 100;
const MAX_RESTART_MS = 2_000;
/** Whoever ran for so long has started well. */
const HEALTHY_AFTER_MS = 10_000;
const STOP_WITHIN_MS = 15_000;

export interface LocalProcessParts {
  readonly name: string;
  readonly role: ProcessRole;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly log: Log;
  /** Whether it ends with its standard input, as ours do with `--with-parent`. */
  readonly endsWithInput: boolean;
  readonly isReady: () => Promise<boolean>;
  readonly onIncident: (incident: Incident) => void;
}

export class LocalProcess implements DeployedProcess {
  readonly name: string;
  readonly role: ProcessRole;
  readonly logFile: string;
  readonly #parts: LocalProcessParts;
  readonly #process: SupervisedProcess;
  #isWanted = false;
  #isPaused = false;
  #restartMs = FIRST_RESTART_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: LocalProcessParts) {
    const { name, role, logFile, command, args, log, endsWithInput } = parts;
    this.name = name;
    this.role = role;
    this.logFile = logFile;
    this.#parts = parts;
    this.#process = new SupervisedProcess({ name, command, args, logFile, log, restart: false, endsWithInput });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  start(): void {
    this.#isWanted = true;
    if (!this.#process.isRunning) this.#launch();
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.#process.signal(signal);
    if (signal === 'SIGTERM') this.resume();
    const killer = setTimeout(() => this.#process.signal('SIGKILL'), STOP_WITHIN_MS);
    await this.#process.gone();
    clearTimeout(killer);
    this.#isPaused = false;
  }

  async pause(): Promise<void> {
    if (!this.#process.isRunning) return;
    this.#isPaused = true;
    this.#process.signal('SIGSTOP');
    // It may have died of something else just now.
    await stopped(this.pid).catch(() => undefined);
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#process.signal('SIGCONT');
  }

  async isReady(): Promise<boolean> {
    return this.#process.isRunning && !this.#isPaused && (await this.#parts.isReady());
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.resume();
    await this.#process.stop();
  }

  #launch(): void {
    clearTimeout(this.#timer);
    const startedAt = performance.now();
    this.#process.start();
    void this.#process.gone().then(() => this.#ended(startedAt));
  }

  #ended(startedAt: number): void {
    if (!this.#isWanted) return;
    this.#parts.onIncident({ atMs: Date.now(), process: this.name, lastWords: this.#process.tail() });
    if (performance.now() - startedAt > HEALTHY_AFTER_MS) this.#restartMs = FIRST_RESTART_MS;
    this.#timer = setTimeout(() => this.#launch(), this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, MAX_RESTART_MS);
  }
}
