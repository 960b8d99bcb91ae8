/** Reading a CONV stream from outside the lane: a standby, a gateway's resync, the command line. */
import type { Msg } from '@nats-io/nats-core';
import type { LogReader, LogRecord } from '../../../ports/conversation-log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { convStreamName } from '../../../protocol/subjects.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type PulledSpanParts, pulledSpan } from '../messages/pulled-span.ts';
import { infoOf } from '../streams/stream-info.ts';
import { logRecordOf } from './log-record.ts';
import { happenedAtMs, happenedAtMsIn } from './original-time.ts';

export interface LogReaderParts extends PulledSpanParts {
  readonly convStream: number;
}

/** An event as it stands in the log, not yet decoded. */
export interface StoredEvent {
  readonly subject: string;
  readonly pos: number;
  /** When it happened, by original-time.ts. */
  readonly at: number;
  /** A view into a buffer that is shared. */
  readonly data: Uint8Array;
}

export class JetstreamLogReader implements LogReader {
  readonly #parts: LogReaderParts;
  readonly #stream: string;
  /** The newest position it was told of: whoever tells of an older one may have been deposed. */
  #newest = 0;

  constructor(parts: LogReaderParts) {
    this.#parts = parts;
    this.#stream = convStreamName(parts.convStream);
  }

  async lastPos(known = 0): Promise<number> {
    return (await this.#bounds(known)).last;
  }

  async *read(from: number, to: number): AsyncIterable<LogRecord> {
    for await (const records of this.readParts(from, to)) yield* records;
  }

  async *readParts(from: number, to: number): AsyncIterable<readonly LogRecord[]> {
    yield* this.#portions(from, to, recordOf);
  }

  /** As `readParts`, for another thread to decode. */
  async *readStored(from: number, to: number): AsyncIterable<readonly StoredEvent[]> {
    yield* this.#portions(from, to, storedEventOf);
  }

  async *#portions<Read extends { readonly pos: number }>(
    from: number,
    to: number,
    read: (message: Msg, delivery: Delivery) => Read,
  ): AsyncGenerator<readonly Read[]> {
    const { first, last } = await this.#bounds(to);
    const end = Math.min(to, last);
    if (from > end || first > end) return;
    let reached = from - 1;
    for await (const portion of pulledSpan(this.#parts, { stream: this.#stream, from, to: end }, read)) {
      reached = portion.at(-1)?.pos ?? reached;
      yield portion;
    }
    // Nothing is ever taken out of the log: where there is less of it, whoever answered was behind.
    if (reached < end)
      throw new RookeryError('LOG_UNAVAILABLE', `${this.#stream} was read to ${reached}, and reaches to ${end}`);
  }

  async at(pos: number): Promise<LogRecord | undefined> {
    const { jsm } = this.#parts;
    try {
      // Of any replica; one that is behind may lack it.
      const found = await jsm.direct.getMessage(this.#stream, { seq: pos });
      const message = found ?? (await jsm.streams.getMessage(this.#stream, { seq: pos }));
      if (!message) return undefined;
      const at = happenedAtMsIn(message.header, message.time.getTime());
      return logRecordOf(message.subject, message.seq, at, message.data);
    } catch (cause) {
      throw this.#unavailable(cause);
    }
  }

  /** @param known a position that should be stored */
  async #bounds(known: number): Promise<{ readonly first: number; readonly last: number }> {
    try {
      const { state } = await infoOf(this.#parts.jsm, this.#stream, Math.max(known, this.#newest));
      this.#newest = state.last_seq;
      return { first: state.first_seq, last: state.last_seq };
    } catch (cause) {
      throw this.#unavailable(cause);
    }
  }

  #unavailable(cause: unknown): RookeryError {
    return new RookeryError('LOG_UNAVAILABLE', `cannot read ${this.#stream}`, { cause });
  }
}

const storedEventOf = ({ subject, data }: Msg, { streamSeq: pos, atMs }: Delivery): StoredEvent => ({
  ...{ subject, pos, data },
  at: happenedAtMs(data, atMs),
});

export const recordOf = ({ subject, data }: Msg, { streamSeq, atMs }: Delivery): LogRecord =>
  logRecordOf(subject, streamSeq, happenedAtMs(data, atMs), data);
