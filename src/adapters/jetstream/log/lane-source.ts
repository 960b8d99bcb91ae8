/**
 * A lane's events through its durable pull consumer, with explicit ack. Own pull requests instead of nats.js's `consume`:
 * the buffer must be bounded in messages and bytes while the fold works, and every sign that somebody else reads the same
 * consumer must be seen.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import type { LogRecord } from '../../../ports/conversation-log.ts';
import type { LaneSource, TakeBound } from '../../../ports/lane-source.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { convStreamName } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { parseDelivery } from '../messages/delivery-subject.ts';
import { unfulfilled } from '../messages/pull-status.ts';
import type { DerivedStreams } from '../streams/derived-streams.ts';
import { infoOf } from '../streams/stream-info.ts';
import { logRecordOf } from './log-record.ts';
import { happenedAtMs } from './original-time.ts';

export const FAN_OUT_DURABLE = 'fan-out';

/** One pull asks for so much; the next is sent when less than half of it is still to come. */
const PULL_MESSAGES = 1_000;
const PULL_BYTES = 4 * 1_024 * 1_024;
/** Records waiting for the fold; at the bound no further pull is sent. */
const MAX_BUFFERED = 2_000;
const PULL_EXPIRES_MS = 20_000;
const HEARTBEAT_MS = 2_000;
/** Without a message or a heartbeat for so long the consumer is in doubt. */
const SILENCE_MS = 2.5 * HEARTBEAT_MS;

interface Buffered {
  readonly record: LogRecord;
  readonly reply: string;
  readonly bytes: number;
}

export interface LaneSourceParts {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly derived: DerivedStreams;
  readonly convStream: number;
  /** A subject below the connection's inbox prefix that is this source's alone. */
  readonly inbox: string;
}

export class JetstreamLaneSource implements LaneSource {
  readonly #parts: LaneSourceParts;
  readonly #stream: string;
  #subscription: Subscription | undefined;
  #opened = 0;
  #buffer: Buffered[] = [];
  #unacked: Buffered[] = [];
  #awaited = 0;
  #lastPos = 0;
  #lastDelivery = 0;
  #heardAt = 0;
  #broken: RookeryError | undefined;
  #wake: (() => void) | undefined;

  constructor(parts: LaneSourceParts) {
    this.#parts = parts;
    this.#stream = convStreamName(parts.convStream);
    void this.#followConnection();
  }

  async lastPos(known: number): Promise<number> {
    return (await infoOf(this.#parts.jsm, this.#stream, known)).state.last_seq;
  }

  async open(pos: number): Promise<void> {
    await this.close();
    this.#opened += 1;
    this.#lastDelivery = await answered(`${FAN_OUT_DURABLE} on ${this.#stream}`, this.#reset(pos));
    this.#lastPos = pos - 1;
    this.#heardAt = Date.now();
    this.#broken = undefined;
    this.#subscription = this.#parts.nc.subscribe(`${this.#parts.inbox}.${this.#opened}`, {
      callback: (error, message) => {
        if (error) this.#break('the pull failed', error);
        else this.#received(message);
        this.#wake?.();
      },
    });
    this.#pull();
  }

  async take(bound: TakeBound, waitMs: number): Promise<readonly LogRecord[]> {
    if (this.#buffer.length === 0) await this.#arrival(waitMs);
    // Only an empty buffer: a full one is asked for nothing, so it hears nothing.
    if (this.#buffer.length === 0 && Date.now() - this.#heardAt > SILENCE_MS) this.#break('the consumer is silent');
    if (this.#broken) throw this.#broken;
    const taken = this.#buffer.splice(0, this.#countWithin(bound));
    this.#unacked.push(...taken);
    this.#pullIfLow();
    return taken.map(({ record }) => record);
  }

  ack(pos: number): void {
    let count = 0;
    for (const { record, reply } of this.#unacked) {
      if (record.pos > pos) break;
      this.#parts.nc.publish(reply);
      count += 1;
    }
    this.#unacked.splice(0, count);
  }

  async close(): Promise<void> {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#buffer = [];
    this.#unacked = [];
    this.#awaited = 0;
  }

  /** @returns how many deliveries the durable has made so far, by its own count */
  async #reset(pos: number): Promise<number> {
    const { jsm, derived, convStream } = this.#parts;
    const reset = async (): Promise<number> =>
      (await jsm.consumers.reset(this.#stream, FAN_OUT_DURABLE, pos)).delivered.consumer_seq;
    try {
      return await reset();
    } catch (error) {
      // The consumer itself answers a reset: one that is not there is silent.
      if (!(await derived.lacksDurable(convStream, FAN_OUT_DURABLE))) throw error;
      await derived.createDurable(convStream, FAN_OUT_DURABLE);
      return reset();
    }
  }

  #countWithin({ maxRecords, maxBytes, limit }: TakeBound): number {
    const [first] = this.#buffer;
    if (!first) return 0;
    const upTo = limit(first.record.pos);
    let bytes = 0;
    let count = 0;
    for (const { record, bytes: size } of this.#buffer) {
      bytes += size;
      if (count >= maxRecords || record.pos > upTo || (count > 0 && bytes > maxBytes)) break;
      count += 1;
    }
    return count;
  }

  #received(message: Msg): void {
    this.#heardAt = Date.now();
    const delivery = message.reply ? parseDelivery(message.reply) : undefined;
    if (!delivery) {
      this.#status(message);
      return;
    }
    this.#awaited = Math.max(0, this.#awaited - 1);
    // Deliveries of a consumer are numbered, from the reset on: one that is missing went to somebody else, who may have been
    // asking before us (a worker that was paused).
    if (delivery.consumerSeq !== this.#lastDelivery + 1) this.#break('a delivery is missing');
    this.#lastDelivery = delivery.consumerSeq;
    // A redelivery of what is in work: its ack is still to come.
    if (delivery.streamSeq <= this.#lastPos) return;
    this.#lastPos = delivery.streamSeq;
    const at = happenedAtMs(message.data, delivery.atMs);
    const record = logRecordOf(message.subject, delivery.streamSeq, at, message.data);
    this.#buffer.push({ record, reply: message.reply as string, bytes: message.data.length });
    this.#pullIfLow();
  }

  /** A message without data that speaks of the pull itself: heartbeat, expiry, or trouble. */
  #status(message: Msg): void {
    const missing = unfulfilled(message);
    if (missing === undefined) {
      const { code, description } = message.headers ?? {};
      this.#break(`the consumer answered ${code} ${description ?? ''}`);
      return;
    }
    if (missing === 0) return;
    this.#awaited = Math.max(0, this.#awaited - missing);
    this.#pullIfLow();
  }

  #pullIfLow(): void {
    if (this.#awaited <= PULL_MESSAGES / 2 && this.#buffer.length + this.#awaited <= MAX_BUFFERED - PULL_MESSAGES)
      this.#pull();
  }

  #pull(): void {
    if (!this.#subscription || this.#broken) return;
    this.#awaited += PULL_MESSAGES;
    const request = {
      batch: PULL_MESSAGES,
      max_bytes: PULL_BYTES,
      expires: PULL_EXPIRES_MS * 1e6,
      idle_heartbeat: HEARTBEAT_MS * 1e6,
    };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${FAN_OUT_DURABLE}`;
    this.#parts.nc.publish(subject, JSON.stringify(request), { reply: this.#subscription.getSubject() });
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.#parts.nc.status()) {
      if (type !== 'disconnect') continue;
      this.#break('the connection was lost');
      this.#wake?.();
    }
  }

  #break(reason: string, cause?: unknown): void {
    this.#broken ??= new RookeryError('LOG_UNAVAILABLE', `${this.#stream}: ${reason}`, { cause });
  }

  #arrival(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.#wake = () => {
        if (this.#buffer.length > 0 || this.#broken) done();
      };
      this.#wake();
    });
  }
}
