/** The log read on and on from one place, by as much as is asked for. */
import type { LogReader, LogRecord } from '../../ports/conversation-log.ts';
import { readOn } from './followed-log.ts';

export class LogCursor {
  readonly #reader: LogReader;
  readonly #stop: AbortSignal;
  /** The next position that was not read. */
  #next = 1;
  #end = 0;
  #records: AsyncIterator<LogRecord> | undefined;
  /** Read, and behind what was asked for. */
  #ahead: LogRecord | undefined;

  constructor(reader: LogReader, stop: AbortSignal) {
    this.#reader = reader;
    this.#stop = stop;
  }

  /**
   * What stands behind what was taken before, up to `to`: at most `max` records, fewer only where there are no more.
   * @throws RookeryError LOG_UNAVAILABLE
   */
  async take(to: number, max = Number.POSITIVE_INFINITY): Promise<LogRecord[]> {
    const taken: LogRecord[] = [];
    while (taken.length < max) {
      const record = this.#ahead ?? (await this.#read(to));
      this.#ahead = record;
      if (!record || record.pos > to) return taken;
      taken.push(record);
      this.#ahead = undefined;
    }
    return taken;
  }

  async close(): Promise<void> {
    await this.#records?.return?.();
    this.#records = undefined;
  }

  async #read(to: number): Promise<LogRecord | undefined> {
    if (this.#next > to) return undefined;
    for (;;) {
      if (!this.#records) {
        this.#end = await this.#reader.lastPos();
        if (this.#next > this.#end) return undefined;
        this.#records = readOn(this.#reader, this.#next, this.#end, this.#stop)[Symbol.asyncIterator]();
      }
      const { done, value } = await this.#records.next();
      if (!done) {
        this.#next = value.pos + 1;
        return value;
      }
      this.#records = undefined;
      if (this.#end >= to || this.#stop.aborted) return undefined;
      this.#next = Math.max(this.#next, this.#end + 1);
    }
  }
}
