/** One INBOX stream as a gateway reads it. */
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { InboxMessage, InboxReader, InboxStreamInfo, Tail } from '../../ports/inbox-reader.ts';
import type { Log } from '../../ports/log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { inboxStreamName, inboxSubjectOfToken, tailedSubject } from '../../protocol/subjects.ts';

/** Messages and bytes the server may send ahead; nats.js asks for more at half. */
const TAIL_MESSAGES = 10_000;
/** After a failed attempt to go on with a tail. */
const RETRY_TAIL_MS = 200;

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

  async info(): Promise<InboxStreamInfo> {
    try {
      const { created, state } = await this.#parts.jsm.streams.info(this.#name);
      const createdMs = new Date(created as unknown as string).getTime();
      return { epoch: createdMs.toString(36), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
    } catch (cause) {
      throw new RookeryError('STREAM_MISSING', `no answer about ${this.#name}`, { cause });
    }
  }

  async markers(): Promise<readonly InboxMessage[]> {
    const { jsm } = this.#parts;
    const { state } = await jsm.streams.info(this.#name, { subjects_filter: `term.${this.stream}.*` });
    const wanted = Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
    const found: InboxMessage[] = [];
    for (let seq = 1; found.length < wanted; ) {
      const message = await this.#get({ next_by_subj: `term.${this.stream}.*`, seq });
      if (!message) break;
      found.push(message);
      seq = message.seq + 1;
    }
    return found;
  }

  async nextFor(userToken: string, fromSeq: number): Promise<InboxMessage | undefined> {
    return this.#get({ next_by_subj: inboxSubjectOfToken(userToken), seq: fromSeq });
  }

  reportTailed(gateway: string, seq: number): void {
    const { nc } = this.#parts;
    if (!nc.isClosed()) nc.publish(tailedSubject(this.stream), JSON.stringify({ gateway, seq }));
  }

  async tail(
    fromSeq: number,
    onMessages: (messages: readonly InboxMessage[]) => void,
    onLost: (reason: string) => void,
  ): Promise<Tail> {
    const { epoch } = await this.info();
    const tail = new StreamTail(this, this.#parts, this.#name, epoch, fromSeq, onMessages, onLost);
    await tail.open();
    return tail;
  }

  async #get(query: { next_by_subj: string; seq: number }): Promise<InboxMessage | undefined> {
    try {
      const message = await this.#parts.jsm.direct.getMessage(this.#name, query);
      return message ? toInboxMessage(message.subject, message.seq, new Uint8Array(message.data)) : undefined;
    } catch (error) {
      throw new RookeryError('LOG_UNAVAILABLE', `cannot read ${this.#name}`, { cause: error });
    }
  }
}

/** A tail that goes on after every interruption, from the message behind the last it has passed on. */
class StreamTail implements Tail {
  readonly #reader: JetstreamInboxReader;
  readonly #parts: InboxReaderParts;
  readonly #name: string;
  readonly #epoch: string;
  readonly #onMessages: (messages: readonly InboxMessage[]) => void;
  readonly #onLost: (reason: string) => void;
  #next: number;
  #turn: InboxMessage[] = [];
  #messages: ConsumerMessages | undefined;
  #stopped = false;

  constructor(
    reader: JetstreamInboxReader,
    parts: InboxReaderParts,
    name: string,
    epoch: string,
    fromSeq: number,
    onMessages: (messages: readonly InboxMessage[]) => void,
    onLost: (reason: string) => void,
  ) {
    this.#reader = reader;
    this.#parts = parts;
    this.#name = name;
    this.#epoch = epoch;
    this.#next = fromSeq;
    this.#onMessages = onMessages;
    this.#onLost = onLost;
  }

  async open(): Promise<void> {
    const consumer = await this.#parts.js.consumers.get(this.#name, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.#next,
    });
    this.#messages = await consumer.consume({
      max_messages: TAIL_MESSAGES,
      callback: (message) => this.#received(message),
    });
    void this.#follow(this.#messages);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#messages?.stop();
  }

  /** Hot path. All that one read of the socket brought is passed on together, in the microtask behind it. */
  #received(message: JsMsg): void {
    const { seq } = message;
    if (this.#stopped || seq < this.#next) return;
    this.#next = seq + 1;
    if (this.#turn.push(toInboxMessage(message.subject, seq, message.data)) === 1) setImmediate(() => this.#passOn());
  }

  #passOn(): void {
    const turn = this.#turn;
    this.#turn = [];
    if (!this.#stopped) this.#onMessages(turn);
  }

  /** The ordered consumer makes itself anew after trouble; what it cannot know is that the stream is another one. */
  async #follow(messages: ConsumerMessages): Promise<void> {
    for await (const status of messages.status()) {
      if (this.#stopped) return;
      if (
        status.type === 'ordered_consumer_recreated' ||
        status.type === 'stream_not_found' ||
        status.type === 'heartbeats_missed'
      ) {
        await this.#checkStream();
      }
    }
    if (!this.#stopped) await this.#reopen();
  }

  async #reopen(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#checkStream();
        if (!this.#stopped) await this.open();
        return;
      } catch (error) {
        this.#parts.log.warn({ what: 'tail interrupted', stream: this.#name, reason: String(error) });
        await new Promise((resolve) => setTimeout(resolve, RETRY_TAIL_MS));
      }
    }
  }

  async #checkStream(): Promise<void> {
    const info = await this.#reader.info().catch(() => undefined);
    if (!info || this.#stopped) return;
    const lost =
      info.epoch !== this.#epoch
        ? 'the stream is another one'
        : info.firstSeq > this.#next
          ? 'the stream has dropped what was not read'
          : info.lastSeq < this.#next - 1
            ? 'the stream has lost its end'
            : undefined;
    if (!lost) return;
    await this.stop();
    this.#onLost(lost);
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
