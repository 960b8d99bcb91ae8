/** Reading a CONV stream from outside the lane: a standby, a gateway's resync, the command line. */
import type { JetStreamManager, JsMsg } from '@nats-io/jetstream';
import type { LogReader, LogRecord } from '../../ports/conversation-log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { convStreamName } from '../../protocol/subjects.ts';
import { storedAtMs } from './delivery-subject.ts';
import { logRecordOf } from './log-record.ts';
import { happenedAtMs, happenedAtMsIn } from './original-time.ts';
import { readSpan, readSpanParts, type SpanReaderParts } from './span-reader.ts';
import { packed, type StoredBatch, type StoredEvent } from './stored-batch.ts';

export interface LogReaderParts extends SpanReaderParts {
  readonly jsm: JetStreamManager;
  readonly convStream: number;
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
    const end = await this.#endOf(from, to);
    if (end !== undefined) yield* readSpan(this.#parts, this.#stream, from, end, recordOf);
  }

  async *readParts(from: number, to: number): AsyncIterable<readonly LogRecord[]> {
    const end = await this.#endOf(from, to);
    if (end !== undefined) yield* readSpanParts(this.#parts, this.#stream, from, end, recordOf);
  }

  /** As `readParts`, packed for a thread that decodes them. */
  async *readStored(from: number, to: number): AsyncIterable<StoredBatch> {
    const end = await this.#endOf(from, to);
    if (end === undefined) return;
    for await (const part of readSpanParts(this.#parts, this.#stream, from, end, storedEventOf)) yield packed(part);
  }

  /** Undefined of a span that holds nothing: no message would ever come. */
  async #endOf(from: number, to: number): Promise<number | undefined> {
    const { first, last } = await this.#bounds();
    const end = Math.min(to, last);
    return from > end || first > end ? undefined : end;
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

const storedEventOf = (message: JsMsg): StoredEvent => ({
  subject: message.subject,
  pos: message.seq,
  at: happenedAtMs(message.data, storedAtMs(message)),
  data: message.data,
});

const recordOf = (message: JsMsg): LogRecord =>
  logRecordOf(message.subject, message.seq, happenedAtMs(message.data, storedAtMs(message)), message.data);
