/** What a file holds of one stream, counted as it goes by. */
import { createHash } from 'node:crypto';
import type { RecordCount, StoredRecord, StreamSummary } from '../../ports/archive.ts';
import { roomFor, writeRecord } from './record-bytes.ts';

export class Summary implements RecordCount {
  readonly #name: string;
  readonly #hash = createHash('sha256');
  #events = 0;
  #firstSeq = 0;
  #lastSeq = 0;
  #buffer = Buffer.alloc(0);

  constructor(name: string) {
    this.#name = name;
  }

  add(records: readonly StoredRecord[]): void {
    const [first] = records;
    const last = records.at(-1);
    if (first && last) this.addBytes(this.#bytesOf(records), records.length, first.seq, last.seq);
  }

  /** Of records whose bytes are at hand: the records themselves need not be kept until these are written. */
  addBytes(bytes: Uint8Array, events: number, firstSeq: number, lastSeq: number): void {
    if (this.#events === 0) this.#firstSeq = firstSeq;
    this.#lastSeq = lastSeq;
    this.#events += events;
    this.#hash.update(bytes);
  }

  /** As it is now; more may be added. */
  get now(): StreamSummary {
    const digest = this.#hash.copy().digest('hex');
    return { name: this.#name, events: this.#events, digest, firstSeq: this.#firstSeq, lastSeq: this.#lastSeq };
  }

  #bytesOf(records: readonly StoredRecord[]): Uint8Array {
    const room = records.reduce((sum, record) => sum + roomFor(record), 0);
    if (room > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(2 * room);
    let end = 0;
    for (const record of records) end = writeRecord(this.#buffer, end, record);
    return this.#buffer.subarray(0, end);
  }
}
