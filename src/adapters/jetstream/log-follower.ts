/** A CONV stream as it grows, for a worker that keeps its own position. */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { LogFollower, LogRecord } from '../../ports/conversation-log.ts';
import type { InboxStreamInfo, Tail } from '../../ports/inbox-reader.ts';
import type { Log } from '../../ports/log.ts';
import { convStreamName } from '../../protocol/subjects.ts';
import { answered } from './answered.ts';
import { storedAtMs } from './delivery-subject.ts';
import { logRecordOf } from './log-record.ts';
import { StreamTail } from './stream-tail.ts';

export interface LogFollowerParts {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly convStream: number;
  readonly log: Log;
}

export class JetstreamLogFollower implements LogFollower {
  readonly #parts: LogFollowerParts;
  readonly #stream: string;

  constructor(parts: LogFollowerParts) {
    this.#parts = parts;
    this.#stream = convStreamName(parts.convStream);
  }

  async follow(
    fromSeq: number,
    onMessages: (records: readonly LogRecord[]) => void,
    onLost: (reason: string) => void,
  ): Promise<Tail> {
    const { js, jsm, log } = this.#parts;
    const { epoch } = await this.#info();
    const tail = new StreamTail<LogRecord>({
      ...{ js, jsm, log, name: this.#stream, epoch, fromSeq, onMessages, onLost },
      read: (message) => logRecordOf(message.subject, message.seq, storedAtMs(message), message.data),
      info: () => this.#info(),
    });
    await tail.open();
    return tail;
  }

  async #info(): Promise<InboxStreamInfo> {
    const { created, state } = await answered(this.#stream, this.#parts.jsm.streams.info(this.#stream));
    return { epoch: String(created), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
  }
}
