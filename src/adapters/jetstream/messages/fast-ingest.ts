/**
 * JetStream's fast ingest (nats-server ≥ 2.14, `allow_batched`), gap mode `fail`: each message is stored at once and in
 * order, the batch ends at the first gap or refusal, so what is stored is always a prefix of what was sent.
 *
 * The server is told all in the reply subject: `<inbox>.<batch>.<ack every>.fail.<sequence>.<operation>.$FI`. It answers
 * `{"type":"ack","seq":n}` (all up to n is stored) every so many messages, and at the commit a PubAck with the count.
 * nats.js has it only as an internal export that promises each message; here a promise is made per batch.
 */
import { randomBytes } from 'node:crypto';
import type { MsgHdrs, NatsConnection, PublishOptions, Subscription } from '@nats-io/nats-core';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { onDisconnect } from '../disconnects.ts';

/** `end` stores nothing: it ends the batch behind what was sent. */
const Operation = { start: 0, append: 1, commit: 2, end: 3 } as const;

/** The server confirms every so many messages, fewer when they are large; and fewer when several batches share a stream. */
const MAX_ACK_EVERY = 100;
const BYTES_PER_ACK = 2 * 1_024 * 1_024;
/** So much may be on its way; at either bound `room` waits. The server queues 10,000 messages and 128 MB for a stream, and drops what is more. */
const MAX_UNCONFIRMED = 800;
const MAX_UNCONFIRMED_BYTES = 8 * BYTES_PER_ACK;

/** What messages leave by: the connection, or one that packs them. */
export interface Outgoing {
  publish(subject: string, data: Uint8Array, options: PublishOptions): void;
  /** Whoever waits for an answer says so first. A connection sends by itself. (Its `flush` is something else: it waits for the server.) */
  sendAll?(): void;
}

/** Of chance: no two ever have the same. It is a part of each message. */
const INSTANCE_BYTES = 12;

export interface FastIngestOptions {
  /** The connection itself unless it is told. */
  readonly outgoing?: Outgoing;
  /** A subject below the connection's inbox prefix that is this writer's alone. */
  readonly inbox: string;
  /** How long the server may leave a batch without any sign of life. */
  readonly timeoutMs: number;
  /** Messages on their way; 800 unless it is told. */
  readonly maxUnconfirmed?: number;
}

/** Batches on one stream, one after the other: the next may begin once the last is committed. */
export class FastIngest {
  readonly #nc: NatsConnection;
  readonly #options: FastIngestOptions;
  readonly #subscription: Subscription;
  readonly #leaveConnection: () => void;
  /** The server knows a batch by its id alone, whoever sends it: no two writers may ever use the same. */
  readonly #instance = randomBytes(INSTANCE_BYTES).toString('base64url');
  #batches = 0;
  #current: Batch | undefined;

  constructor(nc: NatsConnection, options: FastIngestOptions) {
    this.#nc = nc;
    this.#options = options;
    this.#subscription = nc.subscribe(`${options.inbox}.>`, {
      callback: (error, message) => this.#current?.answered(error, message.subject, message.data),
    });
    // What was on its way may have been stored or not: the batch is over, without waiting.
    this.#leaveConnection = onDisconnect(nc, () => this.#current?.abandon('the connection was lost'));
  }

  /** @param largestBytes of the messages to come: by it the server is told how often to confirm */
  begin(largestBytes: number): Batch {
    this.#current?.abandon('a new batch began');
    this.#batches += 1;
    const prefix = `${this.#options.inbox}.${this.#instance}-${this.#batches}`;
    const { outgoing = this.#nc, timeoutMs, maxUnconfirmed = MAX_UNCONFIRMED } = this.#options;
    const ackEvery = atMost(MAX_ACK_EVERY, BYTES_PER_ACK, largestBytes);
    const most = atMost(maxUnconfirmed, MAX_UNCONFIRMED_BYTES, largestBytes);
    this.#current = new Batch(outgoing, `${prefix}.${ackEvery}`, most, timeoutMs);
    return this.#current;
  }

  stop(): void {
    this.#leaveConnection();
    this.#current?.abandon('the writer stopped');
    this.#subscription.unsubscribe();
  }
}

/** Messages, of so large ones as many as these bytes are; one at least. */
const atMost = (messages: number, bytes: number, largestBytes: number): number =>
  Math.max(1, Math.min(messages, Math.floor(bytes / Math.max(1, largestBytes))));

export class Batch {
  readonly #outgoing: Outgoing;
  readonly #prefix: string;
  readonly #maxUnconfirmed: number;
  readonly #timeoutMs: number;
  #sent = 0;
  /** Of what was sent, messages that are to be stored. */
  #messages = 0;
  #confirmed = 0;
  #ended: RookeryError | undefined;
  #committed = false;
  #refused = 0;
  #wake: (() => void) | undefined;
  #deadline: NodeJS.Timeout | undefined;

  /** @param prefix `<inbox>.<batch>.<ack every>` */
  constructor(outgoing: Outgoing, prefix: string, maxUnconfirmed: number, timeoutMs: number) {
    this.#outgoing = outgoing;
    this.#prefix = prefix;
    this.#maxUnconfirmed = maxUnconfirmed;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether so much is unconfirmed that the caller must await `room` before it adds more. */
  get isFull(): boolean {
    return this.#sent - this.#confirmed >= this.#maxUnconfirmed;
  }

  /** How many of its messages are stored, all from the first on. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Why nothing more is taken, of a batch that was not ended by its writer; its cause is the server's error, if there was one. */
  get failure(): RookeryError | undefined {
    return this.#ended;
  }

  /** Number of the message at which the server ended the batch, the first one where it does not say. 0: it did not end it. */
  get refused(): number {
    return this.#refused;
  }

  /** Sends one message. What it did is known only from `room`, `commit` and `end`. */
  add(subject: string, data: Uint8Array, headers?: MsgHdrs): void {
    this.#publish(this.#sent === 0 ? Operation.start : Operation.append, subject, data, headers);
  }

  /** @throws RookeryError TERM_LOST when the server ended the batch, LOG_UNAVAILABLE when it is silent */
  async room(): Promise<void> {
    await this.#until(() => !this.isFull);
  }

  /** Sends the last message; resolves when the server has stored all of the batch. @throws as `room` */
  async commit(subject: string, data: Uint8Array, headers?: MsgHdrs): Promise<void> {
    this.#publish(Operation.commit, subject, data, headers);
    await this.#until(() => this.#committed);
  }

  /** Behind the last message, of which there is one at least; resolves as `commit` does. @throws as `room` */
  async end(subject: string): Promise<void> {
    this.#publish(Operation.end, subject, EMPTY);
    await this.#until(() => this.#committed);
  }

  abandon(reason: string): void {
    if (!this.#committed) this.#end(new RookeryError('TERM_LOST', reason));
  }

  answered(error: Error | null, subject: string, data: Uint8Array): void {
    if (!subject.startsWith(`${this.#prefix}.`)) return;
    if (error) {
      this.#end(new RookeryError('LOG_UNAVAILABLE', 'the inbox stream gave no answer', { cause: error }));
      return;
    }
    this.#read(data);
    this.#wake?.();
  }

  /** What the reply subject of each message begins with: its number and operation follow. */
  get replyHead(): string {
    return `${this.#prefix}.fail.`;
  }

  /** Counts one that the caller sends by itself, the first of a batch with operation 0, others with 1. @returns its number; 0: it is over */
  next(): number {
    if (this.#ended) return 0;
    this.#messages += 1;
    return ++this.#sent;
  }

  #publish(operation: number, subject: string, data: Uint8Array, headers?: MsgHdrs): void {
    if (this.#ended) return;
    this.#sent += 1;
    if (operation !== Operation.end) this.#messages += 1;
    const reply = `${this.#prefix}.fail.${this.#sent}.${operation}.$FI`;
    this.#outgoing.publish(subject, data, headers ? { reply, headers } : { reply });
  }

  #read(data: Uint8Array): void {
    const text = data.length === 0 ? '' : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
    const answer = parseAnswer(text);
    if (answer?.type === 'ack' && typeof answer.seq === 'number') {
      this.#confirmed = Math.max(this.#confirmed, answer.seq);
    } else if (answer?.error === undefined && answer?.batch !== undefined && answer.count === this.#messages) {
      this.#confirmed = this.#sent;
      this.#committed = true;
    } else {
      // A gap, a refusal, a batch the server no longer knows, or a commit of fewer than were sent.
      this.#refused = answer?.seq || 1;
      const why =
        answer?.type === 'gap' ? 'messages of it were lost' : (answer?.error?.description ?? text.slice(0, 256));
      this.#end(new RookeryError('TERM_LOST', `the server ended the batch: ${why}`, { cause: answer?.error }));
    }
  }

  #end(reason: RookeryError): void {
    this.#ended ??= reason;
    this.#wake?.();
  }

  /** Each answer prolongs the wait: the deadline is for silence, not for the whole. */
  #until(done: () => boolean): Promise<void> {
    this.#outgoing.sendAll?.();
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#ended || done()) {
          this.#wake = undefined;
          clearTimeout(this.#deadline);
          if (this.#ended) reject(this.#ended);
          else resolve();
          return;
        }
        clearTimeout(this.#deadline);
        this.#deadline = setTimeout(() => {
          this.#end(new RookeryError('LOG_UNAVAILABLE', `the inbox stream was silent for ${this.#timeoutMs} ms`));
        }, this.#timeoutMs);
      };
      this.#wake = check;
      check();
    });
  }
}

const EMPTY = new Uint8Array(0);

interface Answer {
  readonly type?: string;
  readonly seq?: number;
  readonly error?: { readonly description?: string };
  readonly batch?: string;
  readonly count?: number;
}

function parseAnswer(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}
