/**
 * The tail of a stream: every message once and in order, across reconnects and restarts of the server.
 *
 * Sequences of our streams have no holes but the dropped beginning. So a message that is not the one expected says that
 * something is wrong, whatever the consumer believes: the tail stops, asks the stream, and goes on behind the last message
 * it has passed on, or says that this is not possible any more.
 */
import {
  type Consumer,
  type ConsumerMessages,
  type ConsumerNotification,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { InboxStreamInfo, Tail } from '../../../ports/inbox-reader.ts';
import type { Log } from '../../../ports/log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { storedAtMs } from './delivery-subject.ts';

/** Messages the server may send ahead; nats.js asks for more when a quarter is used up. It has no useful bound in bytes. */
const TAIL_MESSAGES = 8_192;
/** The server says it is alive this often while there is nothing; twice missed, the tail makes sure. */
const HEARTBEAT_MS = 1_000;
/** After a failed attempt to go on with a tail. */
const RETRY_MS = 200;
/** Whoever stops waits no longer for the server to take the consumer away. */
const DELETED_WITHIN_MS = 1_000;

/** After these nats.js would go on in its own time, or on a stream that may be another one. */
const TROUBLE: ReadonlySet<ConsumerNotification['type']> = new Set([
  'consumer_deleted',
  'consumer_not_found',
  'heartbeats_missed',
  'ordered_consumer_recreated',
  'stream_not_found',
  'no_responders',
]);

interface TailParts<Message> {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly log: Log;
  /** The stream's name. */
  readonly name: string;
  /** What is passed on of a message. Its data is a view into a shared buffer. */
  readonly read: (message: JsMsg) => Message;
  readonly epoch: string;
  readonly fromSeq: number;
  /** What is changed leaves a hole, so that sequences only grow: what was missed of it is not missed. */
  readonly hasHoles?: boolean;
  /** Its consumer goes with it; else the server takes it away by itself, five minutes after it was last asked for more. */
  readonly endsConsumer?: boolean;
  readonly onMessages: (messages: readonly Message[]) => void;
  readonly onLost: (reason: string) => void;
  readonly info: (known: number) => Promise<InboxStreamInfo>;
}

export class StreamTail<Message> implements Tail {
  readonly #parts: TailParts<Message>;
  readonly #connection: ReturnType<NatsConnection['status']> & { stop(): void };
  /** The sequence expected next. */
  #next: number;
  /** The message before it, once there was one. */
  #last: JsMsg | undefined;
  #turn: Message[] = [];
  #consumer: Consumer | undefined;
  #messages: ConsumerMessages | undefined;
  #stopped = false;
  /** While it finds out how to go on. */
  #recovery: Promise<void> | undefined;

  constructor(parts: TailParts<Message>) {
    this.#parts = parts;
    this.#next = parts.fromSeq;
    this.#connection = parts.nc.status() as ReturnType<NatsConnection['status']> & { stop(): void };
    void this.#followConnection();
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async open(): Promise<void> {
    try {
      const consumer = await this.#parts.js.consumers.get(this.#parts.name, {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#next,
      });
      this.#consumer = consumer;
      if (this.#stopped) return;
      // Not `this.#messages`: what an older consumer of ours still brings must be told from the new one's.
      const messages: ConsumerMessages = await consumer.consume({
        max_messages: TAIL_MESSAGES,
        idle_heartbeat: HEARTBEAT_MS,
        callback: (message) => {
          if (messages === this.#messages) this.#received(message);
        },
      });
      this.#messages = messages;
      void this.#follow(messages);
    } catch (cause) {
      throw new RookeryError('LOG_UNAVAILABLE', `cannot tail ${this.#parts.name}`, { cause });
    }
  }

  /** Never an error: a consumer that cannot be deleted now ends by itself. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#connection.stop();
    this.#close();
    await this.#recovery;
    if (this.#parts.endsConsumer && this.#consumer) await deleted(this.#consumer);
  }

  /** Hot path. All that one read of the socket brought is passed on together, right behind it. */
  #received(message: JsMsg): void {
    const { seq } = message;
    if (seq !== this.#next) {
      if (seq < this.#next) return;
      if (!this.#parts.hasHoles) return this.#recover(seq);
    }
    this.#next = seq + 1;
    this.#last = message;
    if (this.#turn.push(this.#parts.read(message)) === 1) setImmediate(() => this.#passOn());
  }

  #passOn(): void {
    const turn = this.#turn;
    this.#turn = [];
    if (!this.#stopped) this.#parts.onMessages(turn);
  }

  async #follow(messages: ConsumerMessages): Promise<void> {
    for await (const { type } of messages.status()) {
      if (messages === this.#messages && TROUBLE.has(type)) this.#recover();
    }
    if (messages === this.#messages) this.#recover();
  }

  /**
   * Left to itself nats.js asks for the consumer after a reconnect, and where that fails for a passing reason (no leader yet) it
   * waits for half a minute, with its heartbeats off.
   */
  async #followConnection(): Promise<void> {
    for await (const { type } of this.#connection) if (type === 'reconnect') this.#recover();
  }

  /** @param sawSeq the message that came instead of the expected one */
  #recover(sawSeq?: number): void {
    if (this.#stopped || this.#recovery) return;
    this.#close();
    this.#recovery = this.#goOn(sawSeq).finally(() => (this.#recovery = undefined));
  }

  async #goOn(sawSeq: number | undefined): Promise<void> {
    while (!this.#stopped) {
      try {
        const lost = await this.#loss();
        if (this.#stopped) return;
        if (lost !== undefined) {
          this.#stopped = true;
          this.#connection.stop();
          this.#parts.onLost(lost);
          return;
        }
        // Nothing was dropped, so there was a hole: deleted by hand. Nobody can bring it back.
        if (sawSeq !== undefined) this.#next = Math.max(this.#next, sawSeq);
        return await this.open();
      } catch (error) {
        this.#parts.log.warn({ what: 'tail interrupted', stream: this.#parts.name, reason: String(error) });
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** Why the tail cannot go on from where it is, if so. @throws RookeryError LOG_UNAVAILABLE when it cannot be told now */
  async #loss(): Promise<string | undefined> {
    try {
      const { epoch, firstSeq, lastSeq } = await this.#parts.info(this.#next - 1);
      if (epoch !== this.#parts.epoch) return 'the stream is another one';
      if (firstSeq > this.#next && !this.#parts.hasHoles) return 'the stream has dropped what was not read';
      if (lastSeq < this.#next - 1 || !(await this.#isStillThere())) return 'the stream has lost its end';
      return undefined;
    } catch (error) {
      if (error instanceof RookeryError && error.code === 'STREAM_MISSING') return 'the stream is gone';
      throw error;
    }
  }

  /**
   * Whether the message that came last is the one that stands at its place. A stream that has lost its end is written on, and
   * may be longer than before by the time it is looked at.
   */
  async #isStillThere(): Promise<boolean> {
    const last = this.#last;
    if (!last) return true;
    try {
      const stored = await this.#parts.jsm.direct.getMessage(this.#parts.name, { seq: last.seq });
      return stored === null || stored.time.getTime() === storedAtMs(last);
    } catch (cause) {
      throw new RookeryError('LOG_UNAVAILABLE', `no answer about ${this.#parts.name}`, { cause });
    }
  }

  #close(): void {
    const messages = this.#messages;
    this.#messages = undefined;
    messages?.stop();
  }
}

async function deleted(consumer: Consumer): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, DELETED_WITHIN_MS);
  await Promise.race([consumer.delete().catch(() => false), late]);
  clearTimeout(timer);
}
