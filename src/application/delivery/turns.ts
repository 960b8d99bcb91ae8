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
    if (this.#running < this.#max) this.#running += 1;
    else if (this.#waiting.length < this.#maxWaiting) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else throw new RookeryError('OVERLOADED', 'too many wait for the same', { retryAfterMs: RETRY_AFTER_MS });
    try {
      return await work();
    } finally {
      // The turn is handed on, so that nobody slips in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
