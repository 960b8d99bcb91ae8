/** One INBOX stream as a gateway reads it. */
import { JetStreamApiError, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { InboxMessage, InboxReader, InboxStreamInfo, Tail } from '../../ports/inbox-reader.ts';
import type { Log } from '../../ports/log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { inboxStreamName, inboxSubjectOfToken, tailedSubject } from '../../protocol/subjects.ts';
import { StreamTail } from './stream-tail.ts';

/** `err_code` of the server's "stream not found". */
const STREAM_NOT_FOUND = 10_059;

export interface InboxReaderParts {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly stream: number;
  readonly log: Log;
}

export class JetstreamInboxReader implements InboxReader {
  readonly stream: number;
  readonly #parts: InboxReaderParts;
  readonly #name: string;

  constructor(parts: InboxReaderParts) {
    this.#parts = parts;
    this.stream = parts.stream;
    this.#name = inboxStreamName(parts.stream);
  }

  /** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
  async info(): Promise<InboxStreamInfo> {
    try {
      const { created, state } = await this.#parts.jsm.streams.info(this.#name);
      const createdMs = new Date(created as unknown as string).getTime();
      return { epoch: createdMs.toString(36), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
    } catch (cause) {
      const isMissing = cause instanceof JetStreamApiError && cause.code === STREAM_NOT_FOUND;
      throw isMissing
        ? new RookeryError('STREAM_MISSING', `there is no stream ${this.#name}`, { cause })
        : new RookeryError('LOG_UNAVAILABLE', `no answer about ${this.#name}`, { cause });
    }
  }

  async markers(): Promise<readonly InboxMessage[]> {
    const subject = `term.${this.stream}.*`;
    const found: InboxMessage[] = [];
    for (let seq = 1; ; ) {
      const message = await this.#next(subject, seq);
      if (!message) return found;
      found.push(message);
      seq = message.seq + 1;
    }
  }

  async nextFor(userToken: string, fromSeq: number): Promise<InboxMessage | undefined> {
    return this.#next(inboxSubjectOfToken(userToken), fromSeq);
  }

  reportTailed(gateway: string, seq: number): void {
    const { nc } = this.#parts;
    if (!nc.isClosed() && !nc.isDraining()) nc.publish(tailedSubject(this.stream), JSON.stringify({ gateway, seq }));
  }

  async tail(
    fromSeq: number,
    onMessages: (messages: readonly InboxMessage[]) => void,
    onLost: (reason: string) => void,
  ): Promise<Tail> {
    const { epoch } = await this.info();
    const { js, jsm, log } = this.#parts;
    const tail = new StreamTail({
      ...{ js, jsm, log, name: this.#name, epoch, fromSeq, onMessages, onLost },
      read: ({ subject, seq, data }) => toInboxMessage(subject, seq, data),
      info: () => this.info(),
    });
    await tail.open();
    return tail;
  }

  async #next(subject: string, fromSeq: number): Promise<InboxMessage | undefined> {
    try {
      const query = { next_by_subj: subject, seq: fromSeq };
      const message = await this.#parts.jsm.direct.getMessage(this.#name, query);
      return message ? toInboxMessage(message.subject, message.seq, message.data) : undefined;
    } catch (cause) {
      throw new RookeryError('LOG_UNAVAILABLE', `cannot read ${this.#name}`, { cause });
    }
  }
}

/** Subjects are `inbox.<p>.<token>`, `pack.<k>.<lane>`, `term.<k>.<lane>`, `cp.<k>.<lane>`. */
function toInboxMessage(subject: string, seq: number, data: Uint8Array): InboxMessage {
  const key = subject.slice(subject.lastIndexOf('.') + 1);
  switch (subject.charCodeAt(0)) {
    case 0x69: // i
      return { seq, kind: 'inbox', key, data };
    case 0x70: // p
      return { seq, kind: 'pack', key, data };
    case 0x74: // t
      return { seq, kind: 'term', key, data };
    default:
      return { seq, kind: 'cp', key, data };
  }
}
