/** At most so many at a time; the others wait in line, up to a bound. */
import { RookeryError } from '../../protocol/error-codes.ts';

const RETRY_AFTER_MS = 1_000;

export class Turns {
  readonly #max: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(max: number, maxWaiting: number) {
    this.#max = max;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws RookeryError OVERLOADED when the line is full; else what `work` throws */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max && this.#waiting.length >= this.#maxWaiting) {
      throw new RookeryError('OVERLOADED', 'too many wait for the same', { retryAfterMs: RETRY_AFTER_MS });
    }
    await this.#begin();
    try {
      return await work();
    } finally {
      this.#end();
    }
  }

  /** Within `work`: gives the turn up while `wait` lasts, and lines up again. */
  async without<T>(wait: () => Promise<T>): Promise<T> {
    this.#end();
    try {
      return await wait();
    } finally {
      await this.#begin();
    }
  }

  async #begin(): Promise<void> {
    if (this.#running < this.#max) this.#running += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #end(): void {
    // The turn is handed on, so that nobody slips in between.
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}
