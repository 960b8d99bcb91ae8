/**
 * A record as the message that restores it, written from where it stands in a file to where it leaves from, without an object or a text in
 * between. The same bytes as of any other that is restored, headers in the same order: id, position before it, time.
 */
import type { RecordInPlace } from '../../../ports/archive.ts';
import { copyBytes } from '../../../protocol/copy-bytes.ts';
import { ORIGINAL_TIME, ORIGINAL_TIME_DIGITS } from '../log/original-time.ts';
import type { SelfWritten } from '../messages/packed-publishing.ts';
import { KEPT_MESSAGE_ID } from './record-reader.ts';

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const PUBLISH = text('HPUB ');
const FIRST_LINE = text('NATS/1.0\r\n');
const ID = text(`${KEPT_MESSAGE_ID}: `);
const EXPECTED = text('Nats-Expected-Last-Sequence: ');
const TIME = text(`${ORIGINAL_TIME}: `);
const LINE_END = text('\r\n');
const HEADERS_END = text('\r\n\r\n');
/** Of a batch's first message, and of all others. */
const [STARTS, APPENDS] = [text('.0.$FI'), text('.1.$FI')];
/** All but the parts that are measured, with numbers of as many digits as there are. */
const MOST_FIXED_BYTES = 256;
const LATEST = 10 ** ORIGINAL_TIME_DIGITS - 1;
const [SPACE, DELETE, ZERO] = [0x20, 0x7f, 0x30];

export class RestoredMessage implements SelfWritten {
  #record: RecordInPlace | undefined;
  #reply: Buffer = Buffer.alloc(0);
  #replyHead = '';
  #number = 0;

  /** @param record a plain one; @param replyHead what its reply subject begins with, before its number in the batch */
  set(record: RecordInPlace, replyHead: string, number: number): void {
    this.#record = record;
    this.#number = number;
    if (replyHead === this.#replyHead) return;
    this.#replyHead = replyHead;
    this.#reply = text(replyHead);
  }

  get mostBytes(): number {
    const { subjectStart, subjectEnd, idStart, idEnd, dataStart, dataEnd } = this.#record as RecordInPlace;
    return MOST_FIXED_BYTES + this.#reply.length + subjectEnd - subjectStart + idEnd - idStart + dataEnd - dataStart;
  }

  write(into: Buffer, start: number): number {
    const { bytes, seq, at, subjectStart, subjectEnd, idStart, idEnd, dataStart, dataEnd } = this
      .#record as RecordInPlace;
    const idBytes = idEnd === idStart ? 0 : ID.length + idEnd - idStart + LINE_END.length;
    const headerBytes =
      FIRST_LINE.length +
      idBytes +
      (EXPECTED.length + digitsOf(seq - 1) + LINE_END.length) +
      (TIME.length + ORIGINAL_TIME_DIGITS + HEADERS_END.length);
    let to = all(into, start, PUBLISH);
    to = copyBytes(into, to, bytes, subjectStart, subjectEnd);
    into[to++] = SPACE;
    to = all(into, to, this.#reply);
    to = number(into, to, this.#number, digitsOf(this.#number));
    to = all(into, to, this.#number === 1 ? STARTS : APPENDS);
    into[to++] = SPACE;
    to = number(into, to, headerBytes, digitsOf(headerBytes));
    into[to++] = SPACE;
    const totalBytes = headerBytes + dataEnd - dataStart;
    to = number(into, to, totalBytes, digitsOf(totalBytes));
    to = all(into, to, LINE_END);
    to = all(into, to, FIRST_LINE);
    if (idBytes > 0) {
      to = all(into, to, ID);
      to = copyBytes(into, to, bytes, idStart, idEnd);
      to = all(into, to, LINE_END);
    }
    to = all(into, to, EXPECTED);
    to = number(into, to, seq - 1, digitsOf(seq - 1));
    to = all(into, to, LINE_END);
    to = all(into, to, TIME);
    to = number(into, to, at, ORIGINAL_TIME_DIGITS);
    to = all(into, to, HEADERS_END);
    to = copyBytes(into, to, bytes, dataStart, dataEnd);
    return all(into, to, LINE_END);
  }
}

/** Whether it is written here: under an id or none, without other headers, its texts in visible ASCII. */
export function isPlain(record: RecordInPlace): boolean {
  const { bytes, seq, at, subjectStart, subjectEnd, idStart, idEnd } = record;
  return (
    record.headersStart === record.headersEnd &&
    Number.isSafeInteger(seq) &&
    seq > 0 &&
    Number.isSafeInteger(at) &&
    at >= 0 &&
    at <= LATEST &&
    subjectStart < subjectEnd &&
    isVisible(bytes, subjectStart, subjectEnd) &&
    isVisible(bytes, idStart, idEnd)
  );
}

function isVisible(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte <= SPACE || byte >= DELETE) return false;
  }
  return true;
}

const all = (into: Buffer, at: number, bytes: Buffer): number => copyBytes(into, at, bytes, 0, bytes.length);

function digitsOf(value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits += 1;
  return digits;
}

/** With zeros before it. */
function number(into: Buffer, at: number, value: number, digits: number): number {
  let left = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const tens = Math.floor(left / 10);
    into[i] = ZERO + (left - 10 * tens);
    left = tens;
  }
  return at + digits;
}
