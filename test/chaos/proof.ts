/** The workload of one run and the checker's verdict on it, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Deployment, settled } from './deployment/deployment.ts';
import { HEALED_WITHIN_MS } from './schedule.ts';

export interface Verdict {
  /** In words, with what one reads first. */
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

export interface ProofOptions {
  readonly seed: number;
  /** Folder of the history. */
  readonly dir: string;
}

/** The workload stops when it is told to; were it never, after this time. */
const MAX_SECONDS = 4 * 3_600;

interface Judged {
  readonly total: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly violations: readonly { property: number; what: string; excerpt: readonly string[] }[];
}

export class Proof {
  readonly #deployment: Deployment;
  readonly #dir: string;
  readonly #workload: ChildProcess;
  readonly #gone: Promise<unknown>;

  static begin(deployment: Deployment, { seed, dir }: ProofOptions): Proof {
    return new Proof(deployment, seed, dir);
  }

  private constructor(deployment: Deployment, seed: number, dir: string) {
    this.#deployment = deployment;
    this.#dir = dir;
    const { gateways, secretFile, apiKey } = deployment;
    const urls = gateways.map(({ url }) => url);
    const http = urls.map((url) => url.replace('ws:', 'http:').replace('/v1/ws', ''));
    const settings = { seed, seconds: MAX_SECONDS, gateways: urls, http, secretFile, apiKey };
    this.#workload = this.#start('workload', { ...settings, historyFile: this.#historyFile });
    this.#gone = once(this.#workload, 'exit');
  }

  get #historyFile(): string {
    return join(this.#dir, 'history.jsonl');
  }

  /** Lets what is under way arrive, and judges. */
  async end(): Promise<Verdict> {
    this.#workload.kill('SIGTERM');
    const [code] = (await this.#gone) as [number | null];
    if (code !== 0)
      return { violations: [`the workload ended with ${code}: see ${this.#dir}/workload.log`], counts: {} };
    try {
      await settled(this.#deployment, HEALED_WITHIN_MS);
    } catch (error) {
      return { violations: [(error as Error).message], counts: {} };
    }
    return this.#judge();
  }

  /** Something is stuck: that is the verdict. */
  async abandon(violation: string): Promise<Verdict> {
    this.#workload.kill('SIGKILL');
    await this.#gone;
    return { violations: [violation], counts: {} };
  }

  async #judge(): Promise<Verdict> {
    const { nats, topology } = this.#deployment;
    const checker = this.#start('checker', { historyFile: this.#historyFile, nats, topology }, true);
    let text = '';
    checker.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(checker, 'close');
    if (text === '') return { violations: [`the checker has failed: see ${this.#dir}/checker.log`], counts: {} };
    const { counts, violations, total } = JSON.parse(text) as Judged;
    const told = violations.map(({ property, what, excerpt }) => `(${property}) ${what}\n  ${excerpt.join('\n  ')}`);
    const more = total > told.length ? [`… and ${total - told.length} more of these`] : [];
    return { violations: [...told, ...more], counts };
  }

  #start(program: string, settings: object, isRead = false): ChildProcess {
    const file = join(this.#dir, `${program}.json`);
    writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
    const log = openSync(join(this.#dir, `${program}.log`), 'a');
    const args = ['--max-old-space-size=6144', join(import.meta.dirname, `${program}.ts`), file];
    return spawn(process.execPath, args, { stdio: ['ignore', isRead ? 'pipe' : log, log], detached: true });
  }
}
