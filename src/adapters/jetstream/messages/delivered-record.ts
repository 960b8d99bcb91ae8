/**
 * A delivery of a pull consumer where the socket's bytes hold it, read without an object or a text of it: the line of the protocol, what the
 * reply subject says (delivery-subject.ts), and the headers of nearly all (record-reader.ts). Whatever is unusual about one is not read.
 */
import type { RecordInPlace, StoredRecord } from '../../../ports/archive.ts';
import { ORIGINAL_TIME, ORIGINAL_TIME_DIGITS } from '../log/original-time.ts';

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const OPERATION = text('HMSG ');
const FIRST_LINE = text('NATS/1.0\r\n');
const IDS = [text('Rookery-Msg-Id: '), text('Nats-Msg-Id: ')] as const;
const EXPECTED = text('Nats-Expected-Last-Sequence: ');
const TIME = text(`${ORIGINAL_TIME}: `);
const LINE_END = text('\r\n');
/** Digits of the server's time that are below a millisecond. */
const DIGITS_BELOW_MS = 6;
/** More than these are no exact number any more, or none of the protocol. */
const MAX_DIGITS = 15;
const [SPACE, DELETE, DOT, ZERO, NINE] = [0x20, 0x7f, 0x2e, 0x30, 0x39];

export class DeliveredRecord implements RecordInPlace {
  readonly #sid: number;
  readonly #replyHead: Buffer;
  bytes: Buffer = Buffer.alloc(0);
  /** Position in the stream. */
  seq = 0;
  at = 0;
  consumerSeq = 0;
  /** What matches and is still to come, as the server knew then. */
  pending = 0;
  subjectStart = 0;
  subjectEnd = 0;
  idStart = 0;
  idEnd = 0;
  readonly headersStart = 0;
  readonly headersEnd = 0;
  dataStart = 0;
  dataEnd = 0;
  /** Where reading has come to. */
  #to = 0;

  /** @param sid the subscription's number on its connection */
  constructor(sid: number, stream: string, consumer: string) {
    this.#sid = sid;
    this.#replyHead = text(`$JS.ACK.${stream}.${consumer}.`);
  }

  /**
   * Whether such a one stands in `bytes` from `start` on, all of it before `end`; then this is it.
   * @returns where it ends, or 0
   */
  read(bytes: Buffer, start: number, end: number): number {
    this.bytes = bytes;
    this.#to = start;
    if (!this.#passes(OPERATION)) return 0;
    this.subjectStart = this.#to;
    this.subjectEnd = this.#visible(end);
    this.#to += 1;
    if (this.#number(SPACE, 0) !== this.#sid || !this.#passes(this.#replyHead)) return 0;
    if (this.#number(DOT, 0) < 0) return 0;
    this.seq = this.#number(DOT, 0);
    this.consumerSeq = this.#number(DOT, 0);
    this.at = this.#number(DOT, DIGITS_BELOW_MS);
    this.pending = this.#number(SPACE, 0);
    const headerBytes = this.#number(SPACE, 0);
    const totalBytes = this.#number(LINE_END[0] as number, 0);
    if (this.seq < 0 || this.consumerSeq < 0 || this.at < 0 || this.pending < 0 || headerBytes < 0) return 0;
    const headersStart = this.#to + 1;
    this.dataStart = headersStart + headerBytes;
    this.dataEnd = headersStart + totalBytes;
    const recordEnd = this.dataEnd + LINE_END.length;
    if (totalBytes < headerBytes || recordEnd > end) return 0;
    this.#to = headersStart;
    return this.#headers() ? recordEnd : 0;
  }

  /** Up to where the data begin, as a gateway or an import writes them. */
  #headers(): boolean {
    if (!this.#passes(FIRST_LINE) || !(this.#passes(IDS[0]) || this.#passes(IDS[1]))) return false;
    this.idStart = this.#to;
    this.idEnd = this.#visible(this.dataStart);
    if (this.idEnd === this.idStart || !this.#passes(LINE_END)) return false;
    if (this.#passes(EXPECTED) && (this.#number(LINE_END[0] as number, 0) < 0 || this.#to++ < 0)) return false;
    if (this.#passes(TIME)) {
      const start = this.#to;
      this.at = this.#number(LINE_END[0] as number, 0);
      this.#to += 1;
      if (this.at < 0 || this.#to - start !== ORIGINAL_TIME_DIGITS + LINE_END.length) return false;
    }
    return this.#passes(LINE_END) && this.#to === this.dataStart;
  }

  whole(): StoredRecord {
    const { bytes, seq, at, dataStart, dataEnd } = this;
    return {
      ...{ seq, at, subject: bytes.toString('latin1', this.subjectStart, this.subjectEnd) },
      ...{ messageId: bytes.toString('latin1', this.idStart, this.idEnd), headers: [] },
      data: bytes.subarray(dataStart, dataEnd),
    };
  }

  #passes(expected: Buffer): boolean {
    const { bytes } = this;
    const at = this.#to;
    for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
    this.#to = at + expected.length;
    return true;
  }

  /** Goes behind visible ASCII. */
  #visible(end: number): number {
    const { bytes } = this;
    let at = this.#to;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte <= SPACE || byte >= DELETE) break;
    }
    return (this.#to = at);
  }

  /** The number up to `delimiter`, without its last `cut` digits; goes behind it. Below 0: none stands here. */
  #number(delimiter: number, cut: number): number {
    const { bytes } = this;
    const start = this.#to;
    let at = start;
    while ((bytes[at] as number) >= ZERO && (bytes[at] as number) <= NINE) at += 1;
    const end = at - cut;
    if (bytes[at] !== delimiter || end <= start || end - start > MAX_DIGITS) return -1;
    this.#to = at + 1;
    let value = 0;
    for (let i = start; i < end; i++) value = 10 * value + (bytes[i] as number) - ZERO;
    return value;
  }
}
