/**
 * A record as bytes, always the same ones: what digests are made of. Little-endian:
 * length of all that follows u32 · seq f64 · at f64 · subject u32 + UTF-8 · Nats-Msg-Id u32 + UTF-8 · headers u32 + `name: value` lines
 * in UTF-8 · data, the rest.
 */
import type { StoredRecord } from '../../ports/archive.ts';

const FIXED_BYTES = 4 + 8 + 8 + 4 + 4 + 4;
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

/** All records from `start` on. Their data are views. @throws RangeError where it is none */
export function readRecords(from: Buffer, start: number): StoredRecord[] {
  const records: StoredRecord[] = [];
  for (let at = start; at < from.length; ) {
    const end = at + 4 + from.readUInt32LE(at);
    if (end > from.length) throw new RangeError('a record reaches beyond its block');
    const seq = from.readDoubleLE(at + 4);
    const time = from.readDoubleLE(at + 12);
    at += 20;
    const text = (): string => {
      const bytes = from.readUInt32LE(at);
      at += 4 + bytes;
      if (at > end) throw new RangeError('a text reaches beyond its record');
      return from.toString('utf8', at - bytes, at);
    };
    const [subject, messageId, lines] = [text(), text(), text()];
    records.push({ seq, at: time, subject, messageId, headers: headersOf(lines), data: from.subarray(at, end) });
    at = end;
  }
  return records;
}

const NONE: StoredRecord['headers'] = [];

function headersOf(lines: string): StoredRecord['headers'] {
  if (lines === '') return NONE;
  return lines.split('\n').map((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}
