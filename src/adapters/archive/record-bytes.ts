/**
 * A record as bytes, always the same ones: what digests are made of. Little-endian:
 * length of all that follows u32 · seq f64 · at f64 · subject u32 + UTF-8 · Nats-Msg-Id u32 + UTF-8 · headers u32 + `name: value` lines
 * in UTF-8 · data, the rest.
 */
import type { RecordInPlace, StoredRecord } from '../../ports/archive.ts';
import { copyBytes } from '../../protocol/copy-bytes.ts';

/** Position and time. */
export const TIMES_BYTES = 8 + 8;
const FIXED_BYTES = 4 + TIMES_BYTES + 4 + 4 + 4;
/** UTF-8 of a UTF-16 code unit at most. */
const MAX_BYTES_PER_CHAR = 3;

const headerText = ({ headers }: StoredRecord): string =>
  headers.length === 0 ? '' : headers.map(([name, value]) => `${name}: ${value}`).join('\n');

/** Bytes it takes at most. */
export const roomFor = (record: StoredRecord): number => {
  const { subject, messageId, data } = record;
  const chars = subject.length + messageId.length + headerText(record).length;
  return FIXED_BYTES + MAX_BYTES_PER_CHAR * chars + data.length;
};

/** @returns where it ends; `into` has room for it */
export function writeRecord(into: Buffer, start: number, record: StoredRecord): number {
  let at = into.writeDoubleLE(record.seq, start + 4);
  at = into.writeDoubleLE(record.at, at);
  for (const text of [record.subject, record.messageId, headerText(record)]) {
    const bytes = text === '' ? 0 : into.write(text, at + 4);
    at = into.writeUInt32LE(bytes, at) + bytes;
  }
  into.set(record.data, at);
  at += record.data.length;
  into.writeUInt32LE(at - start - 4, start);
  return at;
}

/** As `writeRecord`. */
export function writeInPlace(into: Buffer, start: number, record: RecordInPlace): number {
  let at = into.writeDoubleLE(record.seq, start + 4);
  at = into.writeDoubleLE(record.at, at);
  at = writePart(into, at, record.bytes, record.subjectStart, record.subjectEnd);
  at = writePart(into, at, record.bytes, record.idStart, record.idEnd);
  at = writePart(into, at, record.bytes, record.headersStart, record.headersEnd);
  at = copyBytes(into, at, record.bytes, record.dataStart, record.dataEnd);
  into.writeUInt32LE(at - start - 4, start);
  return at;
}

/** Bytes it takes. */
export const bytesOf = (record: RecordInPlace): number =>
  FIXED_BYTES +
  (record.subjectEnd - record.subjectStart) +
  (record.idEnd - record.idStart) +
  (record.headersEnd - record.headersStart) +
  (record.dataEnd - record.dataStart);

function writePart(into: Buffer, at: number, from: Uint8Array, start: number, end: number): number {
  return copyBytes(into, into.writeUInt32LE(end - start, at), from, start, end);
}

const NONE: StoredRecord['headers'] = [];

export function headersIn(lines: string): StoredRecord['headers'] {
  if (lines === '') return NONE;
  return lines.split('\n').map((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}
