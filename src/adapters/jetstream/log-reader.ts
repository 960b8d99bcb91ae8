/** Reading a CONV stream from outside the lane: a standby, a gateway's resync, the command line. */
import type { Msg } from '@nats-io/nats-core';
import type { LogReader, LogRecord } from '../../ports/conversation-log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { convStreamName } from '../../protocol/subjects.ts';
import type { Delivery } from './delivery-subject.ts';
import { logRecordOf } from './log-record.ts';
import { happenedAtMs, happenedAtMsIn } from './original-time.ts';
import { type PulledSpan, type PulledSpanParts, pulledSpan, readSpan } from './pulled-span.ts';

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

  constructor(parts: LogReaderParts) {
    this.#parts = parts;
    this.#stream = convStreamName(parts.convStream);
  }

  async lastPos(): Promise<number> {
    return (await this.#bounds()).last;
  }

  async *read(from: number, to: number): AsyncIterable<LogRecord> {
    const span = await this.#spanOf(from, to);
    if (span) yield* readSpan(this.#parts, span, recordOf);
  }

  async *readParts(from: number, to: number): AsyncIterable<readonly LogRecord[]> {
    const span = await this.#spanOf(from, to);
    if (span) yield* pulledSpan(this.#parts, span, recordOf);
  }

  /** As `readParts`, for another thread to decode. */
  async *readStored(from: number, to: number): AsyncIterable<readonly StoredEvent[]> {
    const span = await this.#spanOf(from, to);
    if (span) yield* pulledSpan(this.#parts, span, storedEventOf);
  }

  /** Undefined of one that holds nothing. */
  async #spanOf(from: number, to: number): Promise<PulledSpan | undefined> {
    const { first, last } = await this.#bounds();
    const end = Math.min(to, last);
    return from > end || first > end ? undefined : { stream: this.#stream, from, to: end };
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

  async #bounds(): Promise<{ readonly first: number; readonly last: number }> {
    try {
      const { state } = await this.#parts.jsm.streams.info(this.#stream);
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
