/** Where the log ends. Asked for by many devices at once after an outage: one look serves all that wait for it. */
import type { LogReader } from '../../ports/conversation-log.ts';

export interface LogEnds {
  /** Milliseconds since 1970, by this gateway's clock: what the log had stored before is up to `positions`. */
  readonly at: number;
  /** Of the newest event in each CONV stream, in their order. */
  readonly positions: readonly number[];
}

export class LogEndReader {
  readonly #logs: readonly Pick<LogReader, 'lastPos'>[];
  #looking: Promise<LogEnds> | undefined;
  #next: Promise<LogEnds> | undefined;

  constructor(logs: readonly Pick<LogReader, 'lastPos'>[]) {
    this.#logs = logs;
  }

  /** A look that begins after the call: what stood in the log before it is in. @throws RookeryError LOG_UNAVAILABLE */
  look(): Promise<LogEnds> {
    // One that is under way may have asked some of the logs already.
    if (this.#looking) return (this.#next ??= this.#lookAfter(this.#looking));
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookAfter(other: Promise<LogEnds>): Promise<LogEnds> {
    await other.catch(() => undefined);
    this.#next = undefined;
    return this.look();
  }

  async #look(): Promise<LogEnds> {
    const at = Date.now();
    return { at, positions: await Promise.all(this.#logs.map((log) => log.lastPos())) };
  }
}
