/**
 * What came of the log, cut into windows that are written one by one. While a window is written nobody is answered, so it is
 * bounded, and between two of them questions have their turn.
 */
import { isUnreadable, type LogRecord } from '../../ports/conversation-log.ts';

/** Events folded and written together: some 20 ms. */
const WINDOW_EVENTS = 1_000;
/** Their bodies; the last may be over it. Words cost more than events: of Chinese, at worst, some 3 µs a character. */
export const WINDOW_BYTES = 131_072;
/**
 * A window is up to a quarter of what waits, where that is more, and never more than this. An event costs a third less in a large
 * one, and who is so far behind has nothing fresh to answer with: then an answer may wait for 0.2 s, of long Chinese texts 0.5.
 */
const SHARE_OF_WAITING = 1 / 4;
export const MAX_WINDOW_EVENTS = 8_000;
export const MAX_WINDOW_BYTES = 524_288;
/** Bodies that wait. Beyond it windows are written with no pause, and nothing more is read of the log meanwhile. */
const MAX_AHEAD_BYTES = 32 * 1_024 * 1_024;

export class Windows {
  readonly #write: (records: readonly LogRecord[]) => void;
  readonly #onBroken: (error: unknown) => void;
  #ahead: LogRecord[] = [];
  #aheadBytes = 0;
  #isWriting = false;
  #isClosed = false;

  /** @param onBroken told once what writing threw; nothing more is written then */
  constructor(write: (records: readonly LogRecord[]) => void, onBroken: (error: unknown) => void) {
    this.#write = write;
    this.#onBroken = onBroken;
  }

  /** The first window is written at once, unless others are before it. */
  add(records: readonly LogRecord[]): void {
    if (this.#isClosed) return;
    for (const record of records) {
      this.#ahead.push(record);
      this.#aheadBytes += bodyBytesOf(record);
    }
    while (this.#aheadBytes > MAX_AHEAD_BYTES) this.#writeOne();
    if (!this.#isWriting) void this.#writeAll();
  }

  /** What waits is forgotten: it stands in the log. */
  close(): void {
    this.#isClosed = true;
    this.#ahead = [];
    this.#aheadBytes = 0;
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#ahead.length > 0) {
      this.#writeOne();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#isWriting = false;
  }

  #writeOne(): void {
    let [count, bytes] = [0, 0];
    const maxEvents = between(WINDOW_EVENTS, this.#ahead.length * SHARE_OF_WAITING, MAX_WINDOW_EVENTS);
    const maxBytes = between(WINDOW_BYTES, this.#aheadBytes * SHARE_OF_WAITING, MAX_WINDOW_BYTES);
    for (const record of this.#ahead) {
      if (count >= maxEvents || bytes >= maxBytes) break;
      count += 1;
      bytes += bodyBytesOf(record);
    }
    const window = this.#ahead.splice(0, count);
    this.#aheadBytes -= bytes;
    try {
      this.#write(window);
    } catch (error) {
      this.close();
      this.#onBroken(error);
    }
  }
}

const between = (least: number, wanted: number, most: number): number => Math.max(least, Math.min(wanted, most));

export function bodyBytesOf(record: LogRecord): number {
  if (isUnreadable(record)) return record.data.length;
  return 'body' in record.event ? record.event.body.length : 0;
}
