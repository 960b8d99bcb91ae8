/**
 * One lane's writer to one INBOX stream: terms, fenced checkpoints, read-back (docs/adr/0001).
 *
 * A window is one fast-ingest batch, its checkpoint the commit. The next batch begins only after the server has confirmed
 * the last, so what the stream holds of a term is whole windows and at most one window's prefix.
 */
import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { headers, type Msg } from '@nats-io/nats-core';
import type { Failpoints } from '../../../ports/failpoints.ts';
import type { InboxWriter, PlannedRecord, ResumePoint, Span } from '../../../ports/inbox-writer.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import {
  decodeOrigin,
  encodeInboxRecord,
  type Origin,
  RecordKind,
  withOffset,
} from '../../../protocol/inbox-record.ts';
import { checkpointSubject, inboxStreamName, termSubject } from '../../../protocol/subjects.ts';
import { answered, isWrongLastSequence } from '../answered.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type Batch, FastIngest } from '../messages/fast-ingest.ts';
import { type PulledSpanParts, readSpan } from '../messages/pulled-span.ts';
import type { DerivedStreams } from '../streams/derived-streams.ts';
import { type StreamRoom, watchStreamRoom } from './stream-room.ts';

/** Silence after which a batch, and the term with it, is given up. */
const SERVER_SILENCE_MS = 5_000;

/** Leaves room for the terms to come: a term is an unsigned 32-bit number. */
const MAX_FIRST_TERM = 2 ** 30;
/** Of a marker, so that no two are alike. */
const MAX_NONCE = 2 ** 32 - 1;

const NOTHING: ResumePoint = { window: { from: 0, to: 0 }, records: Number.POSITIVE_INFINITY };
const NO_BODY = new Uint8Array(0);

interface Stored {
  readonly seq: number;
  readonly origin: Origin;
}

export interface InboxWriterParts extends PulledSpanParts {
  readonly js: JetStreamClient;
  readonly derived: DerivedStreams;
  readonly lane: number;
  readonly inboxStream: number;
  readonly failpoints: Failpoints<string>;
}

export class JetstreamInboxWriter implements InboxWriter {
  readonly #parts: InboxWriterParts;
  readonly #stream: string;
  readonly #ingest: FastIngest;
  readonly #room: StreamRoom;
  #term = 0;
  #markerSeq = 0;
  #begunAt = 0;

  constructor(parts: InboxWriterParts) {
    this.#parts = parts;
    this.#stream = inboxStreamName(parts.inboxStream);
    const inbox = `${parts.inboxPrefix}.ingest.${crypto.randomUUID()}`;
    this.#ingest = new FastIngest(parts.nc, { inbox, timeoutMs: SERVER_SILENCE_MS });
    this.#room = watchStreamRoom(parts.nc, parts.jsm, parts.inboxStream);
  }

  async begin(): Promise<ResumePoint> {
    const { lane, inboxStream, derived } = this.#parts;
    try {
      return await this.#beginTerm();
    } catch (error) {
      if (!isStreamMissing(error)) throw error;
      await derived.createInbox(inboxStream, lane);
      return this.#beginTerm();
    }
  }

  async write(window: Span, plan: readonly PlannedRecord[], skip: number): Promise<void> {
    await endsTermIfMissing(this.#room.wait());
    const batch = this.#ingest.begin(plan.reduce((largest, { body }) => Math.max(largest, body.length), 0));
    await this.#emit(batch, window, plan, skip);
  }

  async checkpointed(): Promise<number> {
    const { lane, inboxStream } = this.#parts;
    return (await this.#last(checkpointSubject(lane, inboxStream)))?.origin.to ?? 0;
  }

  needsNewTerm(): Promise<boolean> {
    return endsTermIfMissing(this.#room.isOld(this.#markerSeq, this.#begunAt));
  }

  stop(): void {
    this.#ingest.stop();
    this.#room.stop();
  }

  async #beginTerm(): Promise<ResumePoint> {
    const { lane, inboxStream } = this.#parts;
    const checkpoint = await this.#last(checkpointSubject(lane, inboxStream));
    const marker = await this.#last(termSubject(lane, inboxStream));
    // A marker may have been evicted: its checkpoints still tell of the term.
    const last = Math.max(marker?.origin.term ?? 0, checkpoint?.origin.term ?? 0);
    const term = last > 0 ? last + 1 : firstTerm();
    this.#markerSeq = await this.#mark(term, marker?.seq ?? 0);
    this.#term = term;
    this.#begunAt = Date.now();
    const point = await this.#readBack(checkpoint, this.#markerSeq);
    if (point === NOTHING) return (await this.#room.hasDropped()) ? { ...NOTHING, evicted: true } : NOTHING;
    // Behind the new marker once more: of a lane with nothing to do it would be evicted, and nobody know how far it was.
    if (point.records === Number.POSITIVE_INFINITY) await this.#commit(this.#ingest.begin(0), point.window, 0);
    return point;
  }

  /** The last message of a batch: a checkpoint, stored only while this term is the newest. So a stored one is always true. */
  async #commit(batch: Batch, window: Span, offset: number): Promise<void> {
    const { lane, inboxStream } = this.#parts;
    const checkpoint = encodeInboxRecord(this.#origin(RecordKind.checkpoint, window, offset), NO_BODY);
    const fence = headers();
    fence.set('Nats-Expected-Last-Subject-Sequence', String(this.#markerSeq));
    fence.set('Nats-Expected-Last-Subject-Sequence-Subject', termSubject(lane, inboxStream));
    await batch.commit(checkpointSubject(lane, inboxStream), checkpoint, fence);
  }

  /** The records and, in the turn of the last one, the checkpoint: a small window leaves in one write. */
  async #emit(batch: Batch, window: Span, plan: readonly PlannedRecord[], skip: number): Promise<void> {
    let encoded: Uint8Array | undefined;
    let encodedBody: Uint8Array | undefined;
    for (let offset = skip; offset < plan.length; offset++) {
      const record = plan[offset] as PlannedRecord;
      if (encoded && record.body === encodedBody) {
        encoded = withOffset(encoded, offset);
      } else {
        encoded = encodeInboxRecord(this.#origin(RecordKind[record.kind], window, offset), record.body);
        encodedBody = record.body;
      }
      batch.add(record.subject, encoded);
      if (batch.isFull) await batch.room();
      if (this.#parts.failpoints.armed === 'halfEmitted' && offset === plan.length >> 1) await this.#dieHalfway();
    }
    await this.#commit(batch, window, plan.length);
  }

  /** What was sent so far must have left the process, or nothing of it would be stored. */
  async #dieHalfway(): Promise<void> {
    await this.#parts.nc.flush();
    this.#parts.failpoints.hit('halfEmitted');
  }

  #origin(kind: RecordKind, { from, to }: Span, offset: number): Origin {
    return { kind, lane: this.#parts.lane, term: this.#term, from, to, offset };
  }

  async #last(subject: string): Promise<Stored | undefined> {
    // Not a direct get: with replicas that may be answered by a follower that is behind.
    const message = await answered(
      this.#stream,
      this.#parts.jsm.streams.getMessage(this.#stream, { last_by_subj: subject }),
    );
    return message ? { seq: message.seq, origin: decodeOrigin(message.data) } : undefined;
  }

  /** Compare-and-set on the marker: of two writers that begin the same term, one gets TERM_LOST. */
  async #mark(term: number, lastMarkerSeq: number): Promise<number> {
    const { js, lane, inboxStream } = this.#parts;
    const nonce = 1 + Math.floor(Math.random() * MAX_NONCE);
    const marker = encodeInboxRecord(
      { kind: RecordKind.marker, lane, term, from: nonce, to: nonce, offset: 0 },
      NO_BODY,
    );
    try {
      const { seq } = await js.publish(termSubject(lane, inboxStream), marker, {
        expect: { lastSubjectSequence: lastMarkerSeq },
      });
      return seq;
    } catch (cause) {
      if (cause instanceof JetStreamApiError && isWrongLastSequence(cause.code)) {
        throw new RookeryError('TERM_LOST', `another writer of lane ${lane} began term ${term}`, { cause });
      }
      throw new RookeryError('LOG_UNAVAILABLE', `no answer from ${this.#stream}`, { cause });
    }
  }

  /**
   * The last valid record of this lane between its last checkpoint and the new marker. Another checkpoint may lie there: where the
   * stream has replicas, a leader that was deposed may have told an older one.
   */
  async #readBack(checkpoint: Stored | undefined, markerSeq: number): Promise<ResumePoint> {
    let last = checkpoint?.origin;
    let term = last?.term;
    // The marker ends it: where the stream has dropped what was before, it is the first message that comes.
    const span = { stream: this.#stream, from: (checkpoint?.seq ?? 0) + 1, to: markerSeq };
    const read = ({ data }: Msg, { streamSeq }: Delivery) => (streamSeq < markerSeq ? decodeOrigin(data) : undefined);
    for await (const origin of readSpan(this.#parts, span, read)) {
      if (origin.lane !== this.#parts.lane) continue;
      if (origin.kind === RecordKind.marker) term = origin.term;
      else if (origin.term === term) last = origin;
    }
    if (!last) return NOTHING;
    const { kind, from, to, offset } = last;
    return { window: { from, to }, records: kind === RecordKind.checkpoint ? Number.POSITIVE_INFINITY : offset + 1 };
  }
}

/**
 * The first term of a stream: any number, so that a writer that still holds a term of the stream that was lost does not by
 * chance hold the one of the stream that took its place.
 */
const firstTerm = (): number => 1 + Math.floor(Math.random() * MAX_FIRST_TERM);

const isStreamMissing = (thrown: unknown): boolean =>
  thrown instanceof RookeryError && thrown.code === 'STREAM_MISSING';

/** The stream was lost: the next term makes it anew. */
async function endsTermIfMissing<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (!isStreamMissing(cause)) throw cause;
    throw new RookeryError('TERM_LOST', (cause as Error).message, { cause });
  }
}
