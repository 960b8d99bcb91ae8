/** Records of several streams as they happened: one after the other in time, at a pace. */
import type { StoredRecord } from '../../ports/archive.ts';

/** A record, and the stream it stood in. */
export interface Placed {
  readonly stream: string;
  readonly record: StoredRecord;
}

/** Of each stream in its own order, of all together in that of their times. */
export async function* mergedByTime(
  streams: readonly { readonly stream: string; readonly records: AsyncIterable<readonly StoredRecord[]> }[],
): AsyncGenerator<Placed> {
  const heads: Head[] = [];
  for (const { stream, records } of streams) {
    const head = new Head(stream, records[Symbol.asyncIterator]());
    if (await head.advance()) heads.push(head);
  }
  while (heads.length > 0) {
    let first = heads[0] as Head;
    for (const head of heads) if (head.at < first.at) first = head;
    yield { stream: first.stream, record: first.record };
    if (!first.next() && !(await first.advance())) heads.splice(heads.indexOf(first), 1);
  }
}

class Head {
  readonly stream: string;
  readonly #portions: AsyncIterator<readonly StoredRecord[]>;
  #portion: readonly StoredRecord[] = [];
  #i = 0;

  constructor(stream: string, portions: AsyncIterator<readonly StoredRecord[]>) {
    this.stream = stream;
    this.#portions = portions;
  }

  get record(): StoredRecord {
    return this.#portion[this.#i] as StoredRecord;
  }

  get at(): number {
    return this.record.at;
  }

  /** Whether the portion has another one. */
  next(): boolean {
    this.#i += 1;
    return this.#i < this.#portion.length;
  }

  /** The next portion; false at the end. */
  async advance(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#portions.next();
      if (done) return false;
      this.#portion = value;
      this.#i = 0;
      if (value.length > 0) return true;
    }
  }
}

/** When a record is due, at a pace: `speed` times as fast as it happened. */
export class Pace {
  readonly #speed: number;
  readonly #startedMs: number;
  #firstAt: number | undefined;

  /** @param nowMs the time now; Infinity as `speed`: as fast as it goes */
  constructor(speed: number, nowMs: number) {
    this.#speed = speed;
    this.#startedMs = nowMs;
  }

  /** Milliseconds from `nowMs` on; 0 where it is due. */
  waitMs(at: number, nowMs: number): number {
    this.#firstAt ??= at;
    const dueMs = this.#startedMs + (at - this.#firstAt) / this.#speed;
    return Math.max(0, dueMs - nowMs);
  }
}
