/** A CONV stream as it grows, for a worker that keeps its own position. */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { LogFollower, LogRecord } from '../../../ports/conversation-log.ts';
import type { InboxStreamInfo, Tail } from '../../../ports/inbox-reader.ts';
import type { Log } from '../../../ports/log.ts';
import { convStreamName } from '../../../protocol/subjects.ts';
import { storedAtMs } from '../messages/delivery-subject.ts';
import { StreamTail } from '../messages/stream-tail.ts';
import { infoOf } from '../streams/stream-info.ts';
import { logRecordOf } from './log-record.ts';
import { happenedAtMs } from './original-time.ts';

export interface LogFollowerParts {
  readonly nc: NatsConnection;
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
    const { nc, js, jsm, log } = this.#parts;
    const { epoch } = await this.#info();
    const tail = new StreamTail<LogRecord>({
      ...{ nc, js, jsm, log, name: this.#stream, epoch, fromSeq, onMessages, onLost },
      // A command line comes and goes, and each time its consumer would stay for minutes.
      endsConsumer: true,
      read: (message) =>
        logRecordOf(message.subject, message.seq, happenedAtMs(message.data, storedAtMs(message)), message.data),
      info: (known) => this.#info(known),
    });
    await tail.open();
    return tail;
  }

  async #info(known = 0): Promise<InboxStreamInfo> {
    const { created, state } = await infoOf(this.#parts.jsm, this.#stream, known);
    return { epoch: String(created), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
  }
}
