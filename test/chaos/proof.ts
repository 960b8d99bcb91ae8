/** The traffic of one run, and the verdict on it. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { type Deployment, settled } from './deployment/deployment.ts';
import { HEALED_WITHIN_MS } from './schedule.ts';
import type { FromTraffic, ToTraffic } from './traffic.ts';
import { judge, type Verdict } from './verdict.ts';

export interface ProofOptions {
  readonly seed: number;
  /** Folder of the history. */
  readonly dir: string;
}

export class Proof {
  readonly #deployment: Deployment;
  readonly #historyFile: string;
  readonly #traffic: ChildProcess = fork(join(import.meta.dirname, 'traffic.ts'), { detached: true });
  readonly #gone: Promise<never>;

  /** Resolves when all devices are there and the traffic flows. */
  static async begin(deployment: Deployment, { seed, dir }: ProofOptions): Promise<Proof> {
    const historyFile = join(dir, 'history.jsonl');
    const proof = new Proof(deployment, historyFile);
    const urls = deployment.gateways.map(({ url }) => url);
    await proof.#ask({ begin: { seed, urls, secretFile: deployment.secretFile, historyFile } }, 'begun');
    return proof;
  }

  private constructor(deployment: Deployment, historyFile: string) {
    this.#deployment = deployment;
    this.#historyFile = historyFile;
    this.#gone = new Promise((_, reject) => {
      this.#traffic.once('exit', (code, signal) => reject(new Error(`the traffic ended: ${signal ?? code}`)));
    });
    this.#gone.catch(() => undefined);
  }

  /** Lets what is under way arrive, and judges. */
  async end(): Promise<Verdict> {
    await this.#ask({ end: true }, 'ended');
    this.#traffic.disconnect();
    try {
      await settled(this.#deployment, HEALED_WITHIN_MS);
    } catch (error) {
      return { violations: [(error as Error).message], counts: {} };
    }
    return judge(this.#deployment, this.#historyFile);
  }

  /** Something is stuck: that is the verdict. */
  async abandon(violation: string): Promise<Verdict> {
    this.#traffic.disconnect();
    return { violations: [violation], counts: {} };
  }

  /** @throws Error what the traffic threw, or its end */
  async #ask(message: ToTraffic, answer: 'begun' | 'ended'): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#traffic.on('message', (said: FromTraffic) => {
        if ('error' in said) reject(new Error(said.error));
        else if (answer in said) resolve();
      });
    });
    this.#traffic.send(message);
    await Promise.race([answered, this.#gone]);
  }
}
