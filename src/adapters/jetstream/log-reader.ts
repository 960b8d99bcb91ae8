/** Reading a CONV stream from outside the lane: a standby, a gateway's resync, the command line. */
import { DeliverPolicy, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import type { LogReader, LogRecord } from '../../ports/conversation-log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { convStreamName } from '../../protocol/subjects.ts';
import { logRecordOf } from './log-record.ts';

/** Read ahead of whoever iterates. */
const MAX_READ_AHEAD_MESSAGES = 1_000;

export interface LogReaderParts {
  readonly js: JetStreamClient;
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
    const { first, last } = await this.#bounds();
    const end = Math.min(to, last);
    // Of a span that holds nothing no message would ever come.
    if (from > end || first > end) return;
    const consumer = await this.#parts.js.consumers
      .get(this.#stream, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from })
      .catch((cause: unknown) => {
        throw this.#unavailable(cause);
      });
    try {
      for await (const message of await consumer.consume({ max_messages: MAX_READ_AHEAD_MESSAGES })) {
        if (message.seq > end) return;
        yield logRecordOf(message.subject, message.seq, message.time.getTime(), message.data);
        if (message.seq >= end) return;
      }
    } catch (cause) {
      throw this.#unavailable(cause);
    } finally {
      await consumer.delete().catch(() => undefined);
    }
  }

  async at(pos: number): Promise<LogRecord | undefined> {
    try {
      const message = await this.#parts.jsm.direct.getMessage(this.#stream, { seq: pos });
      return message ? logRecordOf(message.subject, message.seq, message.time.getTime(), message.data) : undefined;
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
