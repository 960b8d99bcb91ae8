/** The records of a block, one after the other where they stand; what a record is as bytes, record-bytes.ts says. */
import type { RecordInPlace, StoredRecord } from '../../ports/archive.ts';
import { headersIn, TIMES_BYTES } from './record-bytes.ts';

export class RecordsInPlace implements RecordInPlace {
  readonly bytes: Buffer;
  readonly #view: DataView;
  seq = 0;
  at = 0;
  subjectStart = 0;
  subjectEnd = 0;
  idStart = 0;
  idEnd = 0;
  headersStart = 0;
  headersEnd = 0;
  dataStart = 0;
  dataEnd = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Goes on to the next one; undefined behind the last. @throws RangeError where none stands */
  next(): this | undefined {
    const start = this.dataEnd;
    if (start === this.bytes.length) return undefined;
    const view = this.#view;
    const end = start + 4 + view.getUint32(start, true);
    if (end > this.bytes.length) throw new RangeError('a record reaches beyond its block');
    this.seq = view.getFloat64(start + 4, true);
    this.at = view.getFloat64(start + 12, true);
    this.subjectStart = start + 4 + TIMES_BYTES + 4;
    this.subjectEnd = this.#endOf(this.subjectStart, end);
    this.idStart = this.subjectEnd + 4;
    this.idEnd = this.#endOf(this.idStart, end);
    this.headersStart = this.idEnd + 4;
    this.headersEnd = this.#endOf(this.headersStart, end);
    this.dataStart = this.headersEnd;
    this.dataEnd = end;
    return this;
  }

  /** Of the text whose length stands right before it. */
  #endOf(textStart: number, recordEnd: number): number {
    const textEnd = textStart + this.#view.getUint32(textStart - 4, true);
    if (textEnd > recordEnd) throw new RangeError('a text reaches beyond its record');
    return textEnd;
  }

  whole(): StoredRecord {
    const { bytes, seq, at } = this;
    return {
      ...{ seq, at, subject: bytes.toString('utf8', this.subjectStart, this.subjectEnd) },
      messageId: bytes.toString('utf8', this.idStart, this.idEnd),
      headers: headersIn(bytes.toString('utf8', this.headersStart, this.headersEnd)),
      data: bytes.subarray(this.dataStart, this.dataEnd),
    };
  }
}

/** How many they are, and from where to where; each was looked at. @throws RangeError where one is none, or none at all */
export function extentOf(bytes: Buffer): {
  readonly events: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
} {
  const records = new RecordsInPlace(bytes);
  let [events, firstSeq] = [0, 0];
  while (records.next()) {
    if (events === 0) firstSeq = records.seq;
    events += 1;
  }
  if (events === 0) throw new RangeError('there is no record in it');
  return { events, firstSeq, lastSeq: records.seq };
}

export function wholeRecords(bytes: Buffer): StoredRecord[] {
  const records = new RecordsInPlace(bytes);
  const whole: StoredRecord[] = [];
  while (records.next()) whole.push(records.whole());
  return whole;
}
