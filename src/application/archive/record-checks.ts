/**
 * What is asked of each record before anything of its file is written: whether a log holds such a one, at this place, and whether the log it
 * is for can hold it and gives it back as it is. So what is wrong with a file is told while nothing has been done.
 */
import type { RecordInPlace, RecordLimits, StoredRecord } from '../../ports/archive.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import { logStreamOf, PARTITIONS } from '../../protocol/subjects.ts';
import { PlainRecords } from './plain-records.ts';
import { checkReadable, namesConversation } from './readable.ts';

export interface RecordRules {
  /** Events that nobody here can read are let pass. */
  readonly keepUnreadable: boolean;
  /** Of the log the records are of: by it each subject has its stream. */
  readonly convStreams: number;
  readonly limits: RecordLimits;
}

/** Where the first record of a block stands behind. */
export interface Before {
  /** The record before it in its stream; 0: it is the first one. */
  readonly seq: number;
  /** Up to which position all stands in the log already; no hole before it is to be filled. */
  readonly there: number;
}

/** As the streams of the log have them. What is published under any other name is not stored there, and may be an order to the server. */
const SUBJECT = /^(conv|user)\.(0|[1-9]\d{0,2})\.([!-)+,/-=?-~\u00a1-\uffff-]+)\.([!-)+,/-=?-~\u00a1-\uffff-]+)$/;
/** Twice the longest of ours, that of a direct conversation; nats-server takes some 4,000 with what else stands in a message's first line. */
const MAX_SUBJECT_BYTES = 2_048;
/** Others than those by which the server, or who restores, is told what to do. */
const HEADER_NAME = /^(?!Nats-|Rookery-(?:At|Msg-Id|Void)$)[!-9;-~]+$/i;
const BREAKS_LINE = /[\r\n\0]/;
/** The time goes through a header of fifteen digits (`Rookery-At`). */
const LATEST_MS = 10 ** 15 - 1;

const utf8 = new TextEncoder();

export class RecordChecks {
  readonly #rules: RecordRules;
  #stream = '';
  /** Of this stream. */
  #plain = new PlainRecords(() => false);

  constructor(rules: RecordRules) {
    this.#rules = rules;
  }

  /**
   * @returns how many are unreadable
   * @throws RookeryError ARCHIVE_DAMAGED: no log holds it · EVENT_UNREADABLE · IMPORT_MISMATCH: this log cannot hold it
   */
  check(stream: string, next: () => RecordInPlace | undefined, { seq, there }: Before): number {
    if (stream !== this.#stream) this.#begin(stream);
    const { keepUnreadable, limits } = this.#rules;
    let [last, unreadable] = [seq, 0];
    for (let record = next(); record; record = next()) {
      // Nearly all stand right behind the one before.
      if (record.seq !== last + 1) checkPlace(stream, record.seq, last, there, limits);
      if (!isTime(record.at)) throw noRecord(stream, record.seq, `${record.at} is no time`);
      last = record.seq;
      if (isSmall(record, limits) && this.#plain.has(record)) continue;
      const reason = this.#unreadableReason(record);
      if (reason === undefined) continue;
      unreadable += 1;
      const cure = '`--keep-unreadable` takes such along as they are';
      if (!keepUnreadable) throw new RookeryError('EVENT_UNREADABLE', `${stream}@${record.seq}: ${reason}. ${cure}`);
    }
    return unreadable;
  }

  #begin(stream: string): void {
    this.#stream = stream;
    this.#plain = new PlainRecords((subject) => this.#isOfStream(subject) && namesConversation(subject));
  }

  #isOfStream(subject: string): boolean {
    const [, log, digits] = SUBJECT.exec(subject) ?? [];
    const partition = Number(digits);
    if (log === undefined || partition >= PARTITIONS) return false;
    return logStreamOf(subject, this.#rules.convStreams) === this.#stream;
  }

  /** @throws RookeryError ARCHIVE_DAMAGED, IMPORT_MISMATCH; whatever is let pass: it is written with the rights of an operator */
  #unreadableReason(inPlace: RecordInPlace): string | undefined {
    const record = inPlace.whole();
    const fault = this.#faultIn(record, inPlace);
    if (fault !== undefined) throw noRecord(this.#stream, record.seq, fault);
    this.#checkSize(record, inPlace);
    try {
      checkReadable(record);
      return undefined;
    } catch (thrown) {
      const { code, message } = asRookeryError(thrown);
      if (code !== 'EVENT_UNREADABLE') throw thrown;
      return message;
    }
  }

  #faultIn(record: StoredRecord, inPlace: RecordInPlace): string | undefined {
    const { subject, messageId, headers } = record;
    if (inPlace.subjectEnd - inPlace.subjectStart > MAX_SUBJECT_BYTES) return 'its subject is too long';
    if (!this.#isOfStream(subject)) return 'its subject is none of this stream';
    if (!isLine(messageId)) return 'its id is no line of text';
    if (!headers.every(([name, value]) => HEADER_NAME.test(name) && isLine(value)))
      return 'its headers are none of an event';
    // Of several the first is what everybody reads.
    if (headers.length > 1 && new Set(headers.map(([name]) => name)).size < headers.length)
      return 'a header stands there twice';
    const { subjectStart, subjectEnd, idStart, idEnd, headersStart, headersEnd } = inPlace;
    const lines = headers.map(([name, value]) => `${name}: ${value}`).join('\n');
    const isText =
      stands(subject, inPlace, subjectStart, subjectEnd) &&
      stands(messageId, inPlace, idStart, idEnd) &&
      stands(lines, inPlace, headersStart, headersEnd);
    return isText ? undefined : 'its texts are no UTF-8, or no headers';
  }

  #checkSize({ headers, data, seq }: StoredRecord, { idStart, idEnd, headersStart, headersEnd }: RecordInPlace): void {
    const { limits } = this.#rules;
    // A line end is two bytes in a message and one here, of which the last line has none.
    const otherBytes = headers.length === 0 ? 0 : headersEnd - headersStart + headers.length + 1;
    const headerBytes = idEnd - idStart + otherBytes;
    if (headerBytes > limits.headerBytes) {
      throw tooLarge(this.#stream, seq, `${headerBytes} bytes of headers`, limits.headerBytes);
    }
    const all = headerBytes + data.length;
    if (all > limits.bytes) throw tooLarge(this.#stream, seq, `${all} bytes`, limits.bytes);
  }
}

/** @throws RookeryError ARCHIVE_DAMAGED, IMPORT_MISMATCH */
function checkPlace(stream: string, seq: number, last: number, there: number, { holePositions }: RecordLimits): void {
  if (!(seq > last && Number.isSafeInteger(seq))) throw noRecord(stream, seq, `it stands behind ${last}`);
  if (seq - Math.max(last, there) <= holePositions) return;
  const reason = `${stream}@${seq} comes behind ${last}: the exported log was cut there, or at its beginning`;
  throw new RookeryError('IMPORT_MISMATCH', `${reason}. \`--merge\` adds what is in the file`);
}

/** Neither a fraction nor below 0, nor -0. */
const isTime = (at: number): boolean => (at > 0 ? at <= LATEST_MS && Math.floor(at) === at : at === 0 && 1 / at > 0);

/** Without measuring it closely. */
const isSmall = ({ idStart, idEnd, dataEnd }: RecordInPlace, { bytes, headerBytes }: RecordLimits): boolean =>
  dataEnd - idStart <= bytes && idEnd - idStart <= headerBytes;

/** As a header's value comes back: nothing around it. */
const isLine = (text: string): boolean => !BREAKS_LINE.test(text) && text.trim() === text;

/** Whether the text is all that the bytes say: what is no UTF-8 was read as something else. */
function stands(text: string, { bytes }: RecordInPlace, start: number, end: number): boolean {
  // Of ASCII, as nearly all is: a character a byte, none of them for what could not be read.
  if (text.length === end - start && !text.includes('\ufffd')) return true;
  const expected = utf8.encode(text);
  return expected.length === end - start && expected.every((byte, i) => bytes[start + i] === byte);
}

export const noRecord = (stream: string, seq: number, reason: string): RookeryError =>
  new RookeryError('ARCHIVE_DAMAGED', `${stream}@${seq} is no record of a log: ${reason}`);

const tooLarge = (stream: string, seq: number, what: string, most: number): RookeryError =>
  new RookeryError('IMPORT_MISMATCH', `${stream}@${seq} has ${what}, of which the log takes ${most}`);
