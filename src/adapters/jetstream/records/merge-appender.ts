/**
 * Adds events of another log behind what is there, while a lease is held: into each stream in batches (record-batches.ts). So one that a stream
 * does not take has none of those behind it stored: whoever runs the merge again goes on there, and no event comes to stand behind others of
 * its conversation that it was before.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import type { MergeAppender, StoredRecord } from '../../../ports/archive.ts';
import { asRookeryError, type RookeryError } from '../../../protocol/error-codes.ts';
import { LeasedPublishing } from './leased-publishing.ts';
import type { MergeLease } from './merge-lease.ts';
import { RecordBatches } from './record-batches.ts';
import { recordHeaders } from './record-headers.ts';

/** Of each stream. People write meanwhile, and a server queues 10,000 for a stream. */
const MAX_UNCONFIRMED = 1_000;
/** A batch to which nothing came for so long is ended, and for twice as long at most: the server forgets one after some seconds. */
const QUIET_MS = 1_000;

export interface MergeAppenderParts {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly inboxPrefix: string;
  readonly lease: Pick<MergeLease, 'isFresh' | 'assured'>;
  /** The stream that a subject of the log goes to, and the subject it has there. */
  readonly placeOf: (subject: string) => { readonly stream: string; readonly subject: string };
}

export class JetstreamMergeAppender implements MergeAppender {
  readonly #parts: MergeAppenderParts;
  readonly #streams = new Map<string, StreamOfMerge>();
  readonly #rest: NodeJS.Timeout;

  constructor(parts: MergeAppenderParts) {
    this.#parts = parts;
    this.#rest = setInterval(() => {
      for (const stream of this.#streams.values()) stream.rest();
    }, QUIET_MS);
  }

  add({ subject: original, messageId, headers, data, at }: StoredRecord): Promise<void> | undefined {
    const { stream, subject } = this.#parts.placeOf(original);
    const written = recordHeaders([...headers, ['Nats-Msg-Id', messageId]], at);
    return this.#of(stream).add(subject, data, written);
  }

  async settled(): Promise<void> {
    for (const stream of this.#streams.values()) await stream.settled();
  }

  stop(): void {
    clearInterval(this.#rest);
    for (const stream of this.#streams.values()) stream.stop();
  }

  #of(name: string): StreamOfMerge {
    const known = this.#streams.get(name);
    if (known) return known;
    const made = new StreamOfMerge(this.#parts, name);
    this.#streams.set(name, made);
    return made;
  }
}

class StreamOfMerge {
  readonly #name: string;
  readonly #outgoing: LeasedPublishing;
  readonly #batches: RecordBatches;
  /** Since it was looked at last nothing was added. */
  #isQuiet = true;
  /** Room that is waited for, or the end of a batch: nothing else goes on meanwhile. */
  #busy: Promise<void> | undefined;
  #broken: RookeryError | undefined;

  constructor({ nc, jsm, inboxPrefix, lease }: MergeAppenderParts, name: string) {
    this.#name = name;
    this.#outgoing = new LeasedPublishing(nc, lease, (reason) => this.#break(reason));
    this.#batches = new RecordBatches({
      ...{ nc, jsm, outgoing: this.#outgoing, maxUnconfirmed: MAX_UNCONFIRMED },
      inbox: `${inboxPrefix}.merge.${name}`,
    });
  }

  add(subject: string, data: Uint8Array, headers: MsgHdrs): Promise<void> | undefined {
    this.#isQuiet = false;
    if (this.#broken) throw this.#broken;
    if (this.#busy) return this.#busy.then(() => this.add(subject, data, headers));
    const room = this.#batches.add(this.#name, 0, subject, data, headers);
    return room && this.#until(room);
  }

  /** Ends the batch that nobody adds to. */
  rest(): void {
    if (this.#isQuiet && !this.#busy) void this.#until(this.#batches.end()).catch(() => undefined);
    this.#isQuiet = true;
  }

  async settled(): Promise<void> {
    await this.#busy;
    if (this.#broken) throw this.#broken;
    await this.#until(this.#batches.end());
  }

  stop(): void {
    this.#outgoing.stop();
    this.#batches.stop();
  }

  #until(work: Promise<void>): Promise<void> {
    const busy = work
      .catch((thrown: unknown) => {
        this.#break(thrown);
        throw this.#broken;
      })
      .finally(() => {
        if (this.#busy === busy) this.#busy = undefined;
      });
    this.#busy = busy;
    return busy;
  }

  #break(thrown: unknown): void {
    this.#broken ??= asRookeryError(thrown);
    this.stop();
  }
}
