/**
 * A span of a stream in portions, for who reads all of it: a portion is what one pull asked for, and the next one is on its way
 * meanwhile. Several times as fast as an iterator that is woken for each message, and as strict: deliveries are numbered, and
 * where one is missing the read is over.
 */
import { randomBytes } from 'node:crypto';
import { AckPolicy, DeliverPolicy, type JetStreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { answered } from '../answered.ts';
import { onDisconnect } from '../disconnects.ts';
import { hasNothingIn } from '../streams/stream-info.ts';
import { DeliveredRecord } from './delivered-record.ts';
import { DeliveriesInPlace } from './deliveries-in-place.ts';
import { type Delivery, parseDelivery } from './delivery-subject.ts';
import { unfulfilled } from './pull-status.ts';

/** One pull. Two of them are in memory at most: what is worked on, and what comes meanwhile. */
const PULL_MESSAGES = 2_000;
const PULL_BYTES = 4 * 1_024 * 1_024;
/** One pull for who keeps nothing: between two of them the server and the reader wait for one another. */
const PASSING_MESSAGES = 25_000;
const PASSING_BYTES = 16 * 1_024 * 1_024;
const PULL_EXPIRES_MS = 10_000;
/** The server says it is alive this often; without a sign for twice as long and some, the read is over. */
const HEARTBEAT_MS = 1_000;
const SILENCE_MS = 2_500;
/** The server takes the consumer away by itself where nobody can say that it is done. */
const INACTIVE_NS = 30e9;
/** Of chance: no two readers ever have the same consumer. */
const NAME_BYTES = 9;

export interface PulledSpanParts {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  /** Subjects below it are this connection's alone. */
  readonly inboxPrefix: string;
}

export interface PulledSpan {
  readonly stream: string;
  /** Positions, both included. */
  readonly from: number;
  readonly to: number;
  /** Only what matches one of these; none: all. */
  readonly subjects?: readonly string[] | undefined;
  /** Without data. */
  readonly headersOnly?: boolean;
}

/**
 * What is there of the span, as what `read` makes of each message, at once when it comes: what nats.js has made of it need not be kept,
 * which costs more than to make it. It ends with the span's last position, or where the stream's leader has nothing more up to there.
 * @param read undefined: nothing for whoever iterates. The message's data is a view into a buffer that is shared
 * @throws RookeryError LOG_UNAVAILABLE when it was interrupted: begin again behind the last message
 */
export async function* pulledSpan<Read>(
  parts: PulledSpanParts,
  span: PulledSpan,
  read: (message: Msg, delivery: Delivery) => Read | undefined,
): AsyncGenerator<readonly Read[]> {
  let arrived: Read[] = [];
  const take = (message: Msg, delivery: Delivery): void => {
    const one = read(message, delivery);
    if (one !== undefined) arrived.push(one);
  };
  for await (const _ of pulls(parts, span, take)) {
    const portion = arrived;
    arrived = [];
    if (portion.length > 0) yield portion;
  }
}

/** The same, one by one. @throws as `pulledSpan` */
export async function* readSpan<Read>(
  parts: PulledSpanParts,
  span: PulledSpan,
  read: (message: Msg, delivery: Delivery) => Read | undefined,
): AsyncGenerator<Read> {
  for await (const portion of pulledSpan(parts, span, read)) yield* portion;
}

/**
 * One turn for each pull, when all it brought was taken; the next one is on its way then.
 * @param takeInPlace takes the usual ones, where the socket's bytes hold them; who gives it keeps nothing of what comes
 * @throws as `pulledSpan`
 */
export async function* pulls(
  { nc, jsm, inboxPrefix }: PulledSpanParts,
  { stream, from, to, subjects, headersOnly = false }: PulledSpan,
  take: (message: Msg, delivery: Delivery) => void,
  takeInPlace?: (record: DeliveredRecord) => void,
): AsyncGenerator<void> {
  if (from > to) return;
  const config = {
    // A gateway may create those with a name alone: their stream stands in the subject then. It comes with each message.
    name: `span-${randomBytes(NAME_BYTES).toString('base64url')}`,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
    inactive_threshold: INACTIVE_NS,
    mem_storage: true,
    num_replicas: 1,
    headers_only: headersOnly,
    ...(subjects && { filter_subjects: [...subjects] }),
  };
  const made = await answered(stream, jsm.consumers.add(stream, config));
  const { name, num_pending: pending } = made;
  const usual = takeInPlace ? PASSING_MESSAGES : PULL_MESSAGES;
  // The server says so where it allows only so many in one pull (`max_request_batch`).
  const most = Math.min(usual, made.config.max_batch || usual);
  const inbox = `${inboxPrefix}.span.${crypto.randomUUID()}`;
  const reading = new Reading(nc, {
    ...{ inbox, stream, consumer: name, from, to, pending, most, take, takeInPlace },
  });
  const isWhole = (): Promise<boolean> => hasNothingIn(jsm, stream, { from: reading.lastSeq + 1, to, subjects });
  try {
    for (;;) {
      await reading.pulled(isWhole);
      // What comes from here on is the next turn's, also where it is the last.
      const { isDone } = reading;
      yield;
      if (isDone) return;
    }
  } finally {
    reading.stop();
    void jsm.consumers.delete(stream, name).catch(() => false);
  }
}

interface ReadingParts {
  readonly inbox: string;
  readonly stream: string;
  readonly consumer: string;
  readonly from: number;
  readonly to: number;
  readonly pending: number;
  /** Messages of one pull. */
  readonly most: number;
  readonly take: (message: Msg, delivery: Delivery) => void;
  readonly takeInPlace: ((record: DeliveredRecord) => void) | undefined;
}

class Reading {
  readonly #nc: NatsConnection;
  readonly #parts: ReadingParts;
  readonly #subject: string;
  readonly #subscription: Subscription;
  readonly #leaveToNats: () => void;
  readonly #leaveConnection: () => void;
  /** Of the pull that is on its way: what it asked for, and what of that is still to come. */
  #asked = 0;
  #awaited = 0;
  #lastDelivery = 0;
  #lastSeq: number;
  #isDone = false;
  /** Whoever serves the consumer has nothing more that matches: all of it, or a replica that is behind. */
  #isAtEnd: boolean;
  #broken: RookeryError | undefined;
  #heardAt = 0;
  #wake: (() => void) | undefined;

  constructor(nc: NatsConnection, parts: ReadingParts) {
    this.#nc = nc;
    this.#parts = parts;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${parts.stream}.${parts.consumer}`;
    this.#lastSeq = parts.from - 1;
    this.#isAtEnd = parts.pending === 0;
    this.#leaveConnection = onDisconnect(nc, () => this.#break('the connection was lost'));
    this.#subscription = nc.subscribe(parts.inbox, {
      callback: (error, message) => {
        if (error) this.#break('the pull failed', error);
        else this.#received(message);
      },
    });
    this.#leaveToNats = parts.takeInPlace ? this.#takeInPlace(parts, parts.takeInPlace) : () => undefined;
    this.#pull();
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Sequence of the last message that came; the one before the span at first. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /**
   * A pull has brought all it asked for, or all there is; the next one is asked for.
   * @param isWhole whether the stream's leader has nothing more that belongs to the span
   */
  async pulled(isWhole: () => Promise<boolean>): Promise<void> {
    if (this.#awaited > 0 && !this.#isDone && !this.#isAtEnd) await this.#brought();
    const isAtEnd = this.#isAtEnd;
    // More may come while the leader is asked.
    this.#isAtEnd = false;
    if (isAtEnd && !this.#isDone && (await isWhole())) this.#isDone = true;
    if (this.#broken) throw this.#broken;
    if (!this.#isDone && this.#awaited === 0) this.#pull();
  }

  stop(): void {
    this.#leaveToNats();
    this.#subscription.unsubscribe();
    this.#leaveConnection();
  }

  #received(message: Msg): void {
    this.#heardAt = performance.now();
    const delivery = message.reply ? parseDelivery(message.reply) : undefined;
    if (!delivery) return this.#status(message);
    if (!this.#isNext(delivery.consumerSeq)) return;
    if (delivery.streamSeq <= this.#parts.to) this.#parts.take(message, delivery);
    this.#taken(delivery.streamSeq, delivery.pending);
  }

  #takeInPlace({ stream, consumer, to }: ReadingParts, take: (record: DeliveredRecord) => void): () => void {
    const delivery = new DeliveredRecord(this.#subscription.getID(), stream, consumer);
    return DeliveriesInPlace.take(this.#nc, {
      delivery,
      take: () => {
        if (!this.#isNext(delivery.consumerSeq)) return;
        if (delivery.seq <= to) take(delivery);
        this.#taken(delivery.seq, delivery.pending);
      },
      heard: () => (this.#heardAt = performance.now()),
    });
  }

  #isNext(consumerSeq: number): boolean {
    if (this.#isDone) return false;
    if (consumerSeq === this.#lastDelivery + 1) return true;
    this.#break('a delivery is missing');
    return false;
  }

  #taken(streamSeq: number, pending: number): void {
    this.#lastDelivery += 1;
    this.#lastSeq = streamSeq;
    this.#awaited -= 1;
    if (streamSeq >= this.#parts.to) this.#isDone = true;
    this.#isAtEnd = pending === 0;
    if (this.#awaited === 0 || this.#isDone || this.#isAtEnd) this.#wake?.();
  }

  /** A message without data that speaks of the pull itself. */
  #status(message: Msg): void {
    const missing = unfulfilled(message);
    if (missing === 0) return;
    if (missing === undefined) {
      const { code, description } = message.headers ?? {};
      return this.#break(`the consumer answered ${code} ${description ?? ''}`);
    }
    // Something is there, for the leader says so, and the replica that serves us has not got it in all this time.
    if (this.#awaited === this.#asked && !this.#isDone) return this.#break('a replica is behind');
    this.#awaited = 0;
    this.#wake?.();
  }

  #pull(): void {
    // No more than can belong to the span: one that is filled further has more behind it.
    this.#asked = Math.min(this.#parts.most, this.#parts.to - this.#lastSeq);
    this.#awaited = this.#asked;
    const request = {
      batch: this.#asked,
      max_bytes: this.#parts.takeInPlace ? PASSING_BYTES : PULL_BYTES,
      expires: PULL_EXPIRES_MS * 1e6,
      idle_heartbeat: HEARTBEAT_MS * 1e6,
    };
    this.#nc.publish(this.#subject, JSON.stringify(request), { reply: this.#parts.inbox });
  }

  /** The pull has brought what it asked for, or is over. */
  async #brought(): Promise<void> {
    this.#heardAt = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = () => {
      if (this.#awaited === 0 || this.#isDone || this.#isAtEnd || this.#broken) resolve();
    };
    const watch = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENCE_MS) this.#break('the consumer is silent');
    }, HEARTBEAT_MS);
    this.#wake();
    await promise;
    clearInterval(watch);
    this.#wake = undefined;
  }

  #break(reason: string, cause?: unknown): void {
    this.#broken ??= new RookeryError('LOG_UNAVAILABLE', `reading ${this.#parts.stream}: ${reason}`, { cause });
    this.#wake?.();
  }
}
