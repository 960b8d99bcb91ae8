/**
 * Messages in batches of JetStream's fast ingest: the server stores none behind one that it refuses or has lost, so what a stream stores is
 * always the beginning of what it was sent, in its order. Restored ones also name the position they must get: nothing ever stands at a wrong
 * one, whoever else writes.
 */

import type { JetStreamManager } from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import { PositionTaken, type RecordInPlace } from '../../../ports/archive.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { answered, isWrongLastSequence } from '../answered.ts';
import { type Batch, FastIngest } from '../messages/fast-ingest.ts';
import type { PackedPublishing } from '../messages/packed-publishing.ts';
import { RestoredMessage } from './restored-message.ts';

/** The server is silent for so long: the log is not available. */
const SILENCE_MS = 10_000;
/** A batch of messages up to so large may have all of these on their way; one of larger ones has fewer. */
const USUAL_BYTES = 4 * 1_024;
/** So many usual ones after a large one, and the next batch is a usual one again. */
const CALM_MESSAGES = 2_000;

/** Which of these streams take batches: those of a deployment whose definitions are older do not. @throws RookeryError STREAM_MISSING */
export async function batchedStreams(jsm: JetStreamManager, names: readonly string[]): Promise<ReadonlySet<string>> {
  const infos = await Promise.all(names.map((name) => answered(name, jsm.streams.info(name))));
  return new Set(
    infos.flatMap(({ config }) => ((config as { allow_batched?: boolean }).allow_batched ? [config.name] : [])),
  );
}

export interface RecordBatchesParts {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  /** Below the connection's inbox prefix; it is a part of each message. */
  readonly inbox: string;
  readonly outgoing: PackedPublishing;
  /** Messages on their way; a server drops what is more than it queues (10,000 unless it is told, `max_buffered_msgs`). */
  readonly maxUnconfirmed: number;
}

/** One stream after the other. */
export class RecordBatches {
  readonly #ingest: FastIngest;
  readonly #outgoing: PackedPublishing;
  readonly #jsm: JetStreamManager;
  readonly #message = new RestoredMessage();
  #stream = '';
  /** Of one of the batch's messages. */
  #subject = '';
  #replyHead = '';
  /** Messages of the batches before. */
  #before = 0;
  #batch: Batch | undefined;
  /** Position of the batch's first message. */
  #firstSeq = 0;
  #largest = USUAL_BYTES;
  #usualInARow = 0;

  constructor({ nc, jsm, inbox, outgoing, maxUnconfirmed }: RecordBatchesParts) {
    this.#jsm = jsm;
    this.#outgoing = outgoing;
    this.#ingest = new FastIngest(nc, { inbox, outgoing, timeoutMs: SILENCE_MS, maxUnconfirmed });
  }

  /**
   * Resolves when there is room for more.
   * @param seq the position the message names; 0 where it names none
   * @throws PositionTaken where the stream's end is behind what the message says · RookeryError LOG_UNAVAILABLE
   */
  add(stream: string, seq: number, subject: string, data: Uint8Array, headers: MsgHdrs): Promise<void> | undefined {
    if (!this.#batch || !this.goesOn(stream, data.length)) return this.#addToNext(stream, seq, subject, data, headers);
    this.#count(data.length);
    return this.#addTo(this.#batch, subject, data, headers);
  }

  /** Whether a message with so many bytes of data goes on in the batch at hand. */
  goesOn(stream: string, bytes: number): boolean {
    const isCalm = this.#largest > USUAL_BYTES && this.#usualInARow > CALM_MESSAGES;
    return this.#batch !== undefined && stream === this.#stream && bytes <= this.#largest && !isCalm;
  }

  /** The same as `add`. @param record a plain one, of which `goesOn` says that it does. @throws as `add` */
  addInPlace(record: RecordInPlace): Promise<void> | undefined {
    const batch = this.#batch as Batch;
    if (batch.failure) return this.#failed(batch, batch.failure);
    this.#count(record.dataEnd - record.dataStart);
    this.#message.set(record, this.#replyHead, batch.next());
    this.#outgoing.publishWritten(this.#message);
    return batch.isFull ? this.#room(batch) : undefined;
  }

  /** Resolves when all that was given is stored. @throws as `add` */
  async end(): Promise<void> {
    const batch = this.#batch;
    this.#batch = undefined;
    if (!batch) return;
    await batch.end(this.#subject).catch((thrown) => this.#failed(batch, thrown));
    this.#before += batch.confirmed;
    this.#outgoing.arrived(this.#before);
  }

  stop(): void {
    this.#ingest.stop();
  }

  async #addToNext(stream: string, seq: number, subject: string, data: Uint8Array, headers: MsgHdrs): Promise<void> {
    await this.end();
    this.#stream = stream;
    this.#firstSeq = seq;
    this.#largest = data.length > USUAL_BYTES ? 2 * data.length : USUAL_BYTES;
    this.#count(data.length);
    this.#batch = this.#ingest.begin(this.#largest);
    this.#replyHead = this.#batch.replyHead;
    await this.#addTo(this.#batch, subject, data, headers);
  }

  #count(bytes: number): void {
    this.#usualInARow = bytes <= USUAL_BYTES ? this.#usualInARow + 1 : 0;
  }

  #addTo(batch: Batch, subject: string, data: Uint8Array, headers: MsgHdrs): Promise<void> | undefined {
    if (batch.failure) return this.#failed(batch, batch.failure);
    this.#subject = subject;
    batch.add(subject, data, headers);
    return batch.isFull ? this.#room(batch) : undefined;
  }

  async #room(batch: Batch): Promise<void> {
    await batch.room().catch((thrown) => this.#failed(batch, thrown));
    this.#outgoing.arrived(this.#before + batch.confirmed);
  }

  /**
   * A batch that ended is no term of anybody here. Where the stream's end is at or behind what was to be stored, somebody else wrote there;
   * where it is before, the log did not store one of ours, and says so only by refusing the next: its disk is full, most likely.
   */
  async #failed(batch: Batch, thrown: unknown): Promise<never> {
    if (!(thrown instanceof RookeryError) || thrown.code !== 'TERM_LOST') throw thrown;
    const { err_code: code = 0 } = (thrown.cause ?? {}) as { err_code?: number };
    let reason = 'the log did not take all events';
    if (isWrongLastSequence(code)) {
      const refusedSeq = this.#firstSeq + batch.refused - 1;
      const { state } = await answered(this.#stream, this.#jsm.streams.info(this.#stream));
      if (state.last_seq >= refusedSeq) {
        throw new PositionTaken(thrown.message, { cause: thrown });
      }
      reason = `${this.#stream} stores nothing behind ${state.last_seq}, and nobody else wrote there; is the disk of nats-server full? It may have to be started again once there is room`;
    }
    throw new RookeryError('LOG_UNAVAILABLE', `${reason}: ${thrown.message}`, { cause: thrown });
  }
}
