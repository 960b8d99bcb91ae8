/** One INBOX stream as a gateway reads it. */
import { JetStreamApiError } from '@nats-io/jetstream';
import type { InboxMessage, InboxReader, InboxStreamInfo, Tail } from '../../ports/inbox-reader.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { inboxStreamName, inboxSubjectOfToken, tailedSubject } from '../../protocol/subjects.ts';
import { type InboxReaderParts, StreamTail, toInboxMessage } from './stream-tail.ts';

/** `err_code` of the server's "stream not found". */
const STREAM_NOT_FOUND = 10_059;

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
    const tail = new StreamTail(this.#parts, { epoch, fromSeq, onMessages, onLost, info: () => this.info() });
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
