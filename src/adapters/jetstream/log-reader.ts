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
    return (await this.#parts.jsm.streams.info(this.#stream)).state.last_seq;
  }

  async *read(from: number, to: number): AsyncIterable<LogRecord> {
    if (from > to) return;
    const consumer = await this.#parts.js.consumers.get(this.#stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
    });
    try {
      for await (const message of await consumer.consume({ max_messages: MAX_READ_AHEAD_MESSAGES })) {
        if (message.seq > to) return;
        yield logRecordOf(message.subject, message.seq, message.time.getTime(), message.data);
        if (message.seq >= to) return;
      }
    } catch (cause) {
      throw new RookeryError('LOG_UNAVAILABLE', `cannot read ${this.#stream}`, { cause });
    } finally {
      await consumer.delete().catch(() => undefined);
    }
  }

  async at(pos: number): Promise<LogRecord | undefined> {
    const message = await this.#parts.jsm.direct.getMessage(this.#stream, { seq: pos });
    return message ? logRecordOf(message.subject, message.seq, message.time.getTime(), message.data) : undefined;
  }
}
