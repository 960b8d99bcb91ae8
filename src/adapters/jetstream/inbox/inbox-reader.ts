/** One INBOX stream as a gateway reads it. */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { InboxMessage, InboxReader, InboxStreamInfo, Tail } from '../../../ports/inbox-reader.ts';
import type { Log } from '../../../ports/log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { checkpointSubject, inboxStreamName, inboxSubjectOfToken, tailedSubject } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { pulledSpan } from '../messages/pulled-span.ts';
import { StreamTail } from '../messages/stream-tail.ts';
import { infoOf, isReplicated } from '../streams/stream-info.ts';

export interface InboxReaderParts {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Subjects below it are this connection's alone. */
  readonly inboxPrefix: string;
  readonly stream: number;
  readonly log: Log;
}

export class JetstreamInboxReader implements InboxReader {
  readonly stream: number;
  readonly #parts: InboxReaderParts;
  readonly #name: string;
  /** The newest position that the stream was seen to hold. */
  #newest = 0;
  /** Until it says otherwise. */
  #isReplicated = true;

  constructor(parts: InboxReaderParts) {
    this.#parts = parts;
    this.stream = parts.stream;
    this.#name = inboxStreamName(parts.stream);
  }

  /** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
  async info(known = 0): Promise<InboxStreamInfo> {
    const info = await infoOf(this.#parts.jsm, this.#name, known);
    const { created, state } = info;
    this.#isReplicated = isReplicated(info);
    const createdMs = new Date(created as unknown as string).getTime();
    return { epoch: createdMs.toString(36), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
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

  async checkpoint(lane: number): Promise<InboxMessage | undefined> {
    const { jsm, stream } = this.#parts;
    // Not a direct get: with replicas that may be answered by a follower that is behind.
    const asked = jsm.streams.getMessage(this.#name, { last_by_subj: checkpointSubject(lane, stream) });
    const message = await answered(this.#name, asked);
    return message ? toInboxMessage(message.subject, message.seq, message.data) : undefined;
  }

  async nextFor(userToken: string, fromSeq: number): Promise<InboxMessage | undefined> {
    return this.#next(inboxSubjectOfToken(userToken), fromSeq);
  }

  read(fromSeq: number, toSeq: number): AsyncIterable<readonly InboxMessage[]> {
    const span = { stream: this.#name, from: fromSeq, to: toSeq };
    return pulledSpan(this.#parts, span, ({ subject, data }, { streamSeq }) =>
      toInboxMessage(subject, streamSeq, data),
    );
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
    this.#newest = 0;
    const { nc, js, jsm, log } = this.#parts;
    const tail = new StreamTail({
      ...{ nc, js, jsm, log, name: this.#name, epoch, fromSeq, onLost },
      onMessages: (messages: readonly InboxMessage[]) => {
        this.#newest = Math.max(this.#newest, messages.at(-1)?.seq ?? 0);
        onMessages(messages);
      },
      read: ({ subject, seq, data }) => toInboxMessage(subject, seq, data),
      info: (known) => this.info(known),
    });
    await tail.open();
    return tail;
  }

  /**
   * Of any replica: one that is behind holds a beginning of the stream, so what it has is right. That it has nothing may only
   * mean that it is behind.
   */
  async #next(subject: string, fromSeq: number): Promise<InboxMessage | undefined> {
    const { jsm } = this.#parts;
    const query = { next_by_subj: subject, seq: fromSeq };
    try {
      let message = await jsm.direct.getMessage(this.#name, query);
      if (!message && this.#isReplicated) {
        await this.info(this.#newest);
        message = await jsm.streams.getMessage(this.#name, query);
      }
      return message ? toInboxMessage(message.subject, message.seq, message.data) : undefined;
    } catch (cause) {
      throw new RookeryError('LOG_UNAVAILABLE', `cannot read ${this.#name}`, { cause });
    }
  }
}

/** Subjects are `inbox.<p>.<token>`, `pack.<k>.<lane>`, `term.<k>.<lane>`, `cp.<k>.<lane>`. */
export function toInboxMessage(subject: string, seq: number, data: Uint8Array): InboxMessage {
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
