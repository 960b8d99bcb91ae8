/**
 * Restores what was recorded elsewhere, many at a time. Each message says when it happened (original-time.ts), and which position it must get,
 * so that whatever is lost or comes between, nothing ever stands at a wrong one: the server refuses all behind it.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection, Subscription } from '@nats-io/nats-core';
import { PositionTaken, type RecordAppender, type RecordInPlace, type StoredRecord } from '../../../ports/archive.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { isWrongLastSequence } from '../answered.ts';
import { onDisconnect } from '../disconnects.ts';
import { parseAck } from '../log/publish-ack.ts';
import { PackedPublishing } from '../messages/packed-publishing.ts';
import { RecordBatches } from './record-batches.ts';
import { type About, recordHeaders } from './record-headers.ts';
import { KEPT_MESSAGE_ID, VOID } from './record-reader.ts';
import { isPlain } from './restored-message.ts';

/** Unanswered messages and their bytes; at either bound who appends waits. */
const MAX_IN_FLIGHT = 4_096;
const MAX_IN_FLIGHT_BYTES = 16 * 1_024 * 1_024;
/** Room again: the server always has something to do, and who waits is not woken for each message. */
const RESUME_BELOW = MAX_IN_FLIGHT / 2;
/** So many of a batch on their way keep the server at work however late this process is woken; a fifth fewer of the time than with 800. */
const MAX_UNCONFIRMED = 4_000;
/** After interruptions half as many each time, down to these: the server may queue fewer. */
const MIN_UNCONFIRMED = 250;
/** Without any answer for so long the log is not available. */
const SILENCE_MS = 10_000;
/** Positions that one gap may have; a log whose beginning was dropped has more. */
export const MAX_HOLE = 100_000;

export interface RecordAppenderParts {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly inboxPrefix: string;
  /** The streams' last positions as they are now. */
  readonly ends: ReadonlyMap<string, number>;
  /** Streams that take batches: restoring into these is half as much work again for everybody. */
  readonly batched: ReadonlySet<string>;
  /** So many before it broke off; none unless it is told. */
  readonly interruptions?: number;
}

export class JetstreamRecordAppender implements RecordAppender {
  readonly #nc: NatsConnection;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #leaveConnection: () => void;
  /** Where each stream that is restored ends, once all is stored. */
  readonly #ends: Map<string, number>;
  /** How many bytes each has, in the order of sending, which is that of the answers. */
  #inFlight: number[] = [];
  #answered = 0;
  #bytes = 0;
  #broken: RookeryError | undefined;
  #wake: (() => void) | undefined;
  #silence: NodeJS.Timeout | undefined;
  readonly #batched: ReadonlySet<string>;
  readonly #batches: RecordBatches;

  constructor({ nc, jsm, inboxPrefix, ends, batched, interruptions = 0 }: RecordAppenderParts) {
    this.#nc = nc;
    this.#ends = new Map(ends);
    this.#batched = batched;
    const maxUnconfirmed = Math.max(MIN_UNCONFIRMED, Math.floor(MAX_UNCONFIRMED / 2 ** interruptions));
    const outgoing = new PackedPublishing(nc);
    this.#batches = new RecordBatches({ nc, jsm, inbox: `${inboxPrefix}.restore`, outgoing, maxUnconfirmed });
    this.#inbox = `${inboxPrefix}.records.${crypto.randomUUID()}`;
    this.#subscription = nc.subscribe(this.#inbox, {
      callback: (error, { data }) => {
        if (error) this.#break(new RookeryError('LOG_UNAVAILABLE', 'the log gave no answer', { cause: error }));
        else this.#received(data);
      },
    });
    // What was on its way may be stored or not: whoever goes on looks first.
    const lost = new RookeryError('LOG_UNAVAILABLE', 'the connection was lost');
    this.#leaveConnection = onDisconnect(nc, () => this.#break(lost));
  }

  restore(stream: string, given: RecordInPlace): Promise<void> | undefined {
    const end = this.#ends.get(stream) ?? 0;
    // Nearly all.
    if (given.seq === end + 1 && this.#batches.goesOn(stream, given.dataEnd - given.dataStart) && isPlain(given)) {
      this.#ends.set(stream, given.seq);
      return this.#batches.addInPlace(given);
    }
    const record = given.whole();
    // What it was given may be gone before the connection has sent it.
    return this.#restoreWhole(stream, end, { ...record, data: new Uint8Array(record.data) });
  }

  #restoreWhole(stream: string, end: number, record: StoredRecord): Promise<void> | undefined {
    if (record.seq - end > MAX_HOLE) {
      const gap = `${stream} is at ${end} and the next event at ${record.seq}`;
      throw new RookeryError('IMPORT_MISMATCH', `${gap}: the beginning of the exported log was dropped`);
    }
    this.#ends.set(stream, record.seq);
    const id = record.messageId === '' ? [] : [[KEPT_MESSAGE_ID, record.messageId] as const];
    const about = [...id, ...record.headers, expectedLast(record.seq - 1)];
    if (record.seq > end + 1) return this.#restoreBehindHole(stream, end, record, about);
    return this.#put(stream, record, about);
  }

  async #restoreBehindHole(stream: string, end: number, record: StoredRecord, about: About): Promise<void> {
    for (let seq = end + 1; seq < record.seq; seq++) {
      const about = [[VOID, '1'] as const, expectedLast(seq - 1)];
      await this.#put(stream, { ...record, seq, subject: voidSubject(record.subject), data: EMPTY }, about);
    }
    await this.#put(stream, record, about);
  }

  #put(stream: string, { seq, at, subject, data }: StoredRecord, about: About): Promise<void> | undefined {
    if (this.#batched.has(stream)) return this.#batches.add(stream, seq, subject, data, recordHeaders(about, at));
    this.#send(subject, data, about, at);
    return this.#room();
  }

  async settled(): Promise<void> {
    await this.#batches.end();
    await this.#until(() => this.#unanswered === 0);
  }

  stop(): void {
    this.#batches.stop();
    this.#leaveConnection();
    clearTimeout(this.#silence);
    this.#subscription.unsubscribe();
  }

  get #unanswered(): number {
    return this.#inFlight.length - this.#answered;
  }

  #room(): Promise<void> | undefined {
    if (!this.#broken && this.#unanswered < MAX_IN_FLIGHT && this.#bytes < MAX_IN_FLIGHT_BYTES) return undefined;
    return this.#until(() => this.#unanswered < RESUME_BELOW && this.#bytes < MAX_IN_FLIGHT_BYTES / 2);
  }

  #send(subject: string, data: Uint8Array, about: About, atMs: number): void {
    if (this.#broken) throw this.#broken;
    this.#inFlight.push(data.length);
    this.#bytes += data.length;
    try {
      this.#nc.publish(subject, data, { reply: this.#inbox, headers: recordHeaders(about, atMs) });
    } catch (cause) {
      throw (this.#broken = new RookeryError('IMPORT_MISMATCH', `${subject}: ${String(cause)}`, { cause }));
    }
  }

  #received(data: Uint8Array): void {
    const bytes = this.#inFlight[this.#answered];
    if (bytes === undefined || this.#broken) return;
    const ack = parseAck(data);
    if (ack?.error && isWrongLastSequence(ack.error.err_code)) {
      return this.#break(new PositionTaken(ack.error.description));
    }
    if (!ack?.seq || ack.error) {
      const reason = ack?.error?.description ?? 'nobody stores it';
      return this.#break(new RookeryError('LOG_UNAVAILABLE', `the log did not take an event: ${reason}`));
    }
    this.#answered += 1;
    this.#bytes -= bytes;
    if (this.#answered === MAX_IN_FLIGHT) {
      this.#inFlight = this.#inFlight.slice(this.#answered);
      this.#answered = 0;
    }
    this.#wake?.();
  }

  /** Each answer prolongs the wait. */
  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let heardAt = this.#answered;
      const giveUp = (): void => {
        if (this.#answered === heardAt) {
          this.#break(new RookeryError('LOG_UNAVAILABLE', `the log was silent for ${SILENCE_MS} ms`));
        } else {
          heardAt = this.#answered;
          this.#silence = setTimeout(giveUp, SILENCE_MS);
        }
      };
      this.#silence = setTimeout(giveUp, SILENCE_MS);
      this.#wake = () => {
        if (!this.#broken && !done()) return;
        this.#wake = undefined;
        clearTimeout(this.#silence);
        if (this.#broken) reject(this.#broken);
        else resolve();
      };
      this.#wake();
    });
  }

  #break(reason: RookeryError): void {
    this.#broken ??= reason;
    this.#wake?.();
  }
}

const EMPTY = new Uint8Array(0);

const expectedLast = (seq: number) => ['Nats-Expected-Last-Sequence', String(seq)] as const;

/** In the same stream, whatever partitions it has. */
function voidSubject(subject: string): string {
  const [log, partition] = subject.split('.');
  return `${log}.${partition}.void.${log === 'conv' ? 'm' : 'void'}`;
}
