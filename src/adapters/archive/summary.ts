/** What a file holds of one stream, counted as it goes by. */
import { createHash } from 'node:crypto';
import type { RecordCount, RecordInPlace, StoredRecord, StreamSummary } from '../../ports/archive.ts';
import { bytesOf, roomFor, writeInPlace, writeRecord } from './record-bytes.ts';

/** What is digested at a time. */
const PORTION_BYTES = 262_144;

export class Summary implements RecordCount {
  readonly #name: string;
  readonly #hash = createHash('sha256');
  #events = 0;
  #firstSeq = 0;
  #lastSeq = 0;
  /** Of records whose bytes are still to be digested. */
  #buffer = Buffer.alloc(0);
  #used = 0;

  constructor(name: string) {
    this.#name = name;
  }

  add(records: readonly StoredRecord[]): void {
    for (const record of records) this.addOne(record);
  }

  /** Nothing of it is kept. */
  addOne(record: StoredRecord): void {
    const end = this.#used + roomFor(record);
    if (end > this.#buffer.length) this.#makeRoom(end - this.#used);
    this.#used = writeRecord(this.#buffer, this.#used, record);
    this.#count(1, record.seq, record.seq);
  }

  /** The same, of one that nobody has made an object of. */
  addInPlace(record: RecordInPlace): void {
    const end = this.#used + bytesOf(record);
    if (end > this.#buffer.length) this.#makeRoom(end - this.#used);
    this.#used = writeInPlace(this.#buffer, this.#used, record);
    this.#count(1, record.seq, record.seq);
  }

  /** Of records whose bytes are at hand: the records themselves need not be kept until these are written. */
  addBytes(bytes: Uint8Array, events: number, firstSeq: number, lastSeq: number): void {
    this.#digest();
    this.#hash.update(bytes);
    this.#count(events, firstSeq, lastSeq);
  }

  /** As it is now; more may be added. */
  get now(): StreamSummary {
    this.#digest();
    const digest = this.#hash.copy().digest('hex');
    return { name: this.#name, events: this.#events, digest, firstSeq: this.#firstSeq, lastSeq: this.#lastSeq };
  }

  #count(events: number, firstSeq: number, lastSeq: number): void {
    if (this.#events === 0) this.#firstSeq = firstSeq;
    this.#lastSeq = lastSeq;
    this.#events += events;
  }

  #makeRoom(bytes: number): void {
    this.#digest();
    if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(Math.max(PORTION_BYTES, 2 * bytes));
  }

  #digest(): void {
    if (this.#used > 0) this.#hash.update(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}
