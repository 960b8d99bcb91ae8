/**
 * What stands in an INBOX stream: 20 bytes of origin, then a body.
 *
 * ```
 *  0  u8   version of the record and of the plan rule (projections/fan-out-plan.ts)
 *  1  u8   kind: 1 copy · 2 pack · 3 pointer · 4 checkpoint · 5 marker
 *  2  u16  lane
 *  4  u32  term
 *  8  u48  window: its first position in the log
 * 14  u16  window: its last position − first
 * 16  u32  offset: place of this record in the window's plan for this INBOX stream
 * 20       copy, pack: a `deliver` frame in MessagePack, ready to be sent
 *          pointer: u32 offset of its pack in the same window's plan, then MessagePack [conversation, n, [pos, Δpos…]]
 *          checkpoint, marker: nothing
 * ```
 * Big-endian. The body of a pointer, like that of a copy, is the same for all its recipients: only the offset differs.
 * A checkpoint says: all of the plans up to the end of its window is stored and valid.
 */
import { RookeryError } from './error-codes.ts';

export const INBOX_RECORD_VERSION = 1;
export const INBOX_HEADER_BYTES = 20;
/** A window spans at most this many positions (u16). */
export const MAX_WINDOW_SPAN = 65_535;

export const RecordKind = { copy: 1, pack: 2, pointer: 3, checkpoint: 4, marker: 5 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

export interface Origin {
  readonly kind: RecordKind;
  readonly lane: number;
  readonly term: number;
  /** First and last position in the log of the window it came from; of a marker a number of chance, twice (projections/lineage.ts). */
  readonly from: number;
  readonly to: number;
  readonly offset: number;
}

export function encodeInboxRecord(origin: Origin, body: Uint8Array): Uint8Array {
  const record = new Uint8Array(INBOX_HEADER_BYTES + body.length);
  const view = new DataView(record.buffer);
  view.setUint8(0, INBOX_RECORD_VERSION);
  view.setUint8(1, origin.kind);
  view.setUint16(2, origin.lane);
  view.setUint32(4, origin.term);
  view.setUint16(8, Math.floor(origin.from / 0x1_0000_0000));
  view.setUint32(10, origin.from >>> 0);
  view.setUint16(14, origin.to - origin.from);
  view.setUint32(16, origin.offset);
  record.set(body, INBOX_HEADER_BYTES);
  return record;
}

/** The same record for the next recipient: a copy with another offset. */
export function withOffset(record: Uint8Array, offset: number): Uint8Array {
  const copy = record.slice();
  new DataView(copy.buffer).setUint32(16, offset);
  return copy;
}

/** @throws RookeryError EVENT_UNREADABLE for what is not a record of a known version */
export function decodeOrigin(record: Uint8Array): Origin {
  if (record.length < INBOX_HEADER_BYTES || record[0] !== INBOX_RECORD_VERSION) {
    throw new RookeryError('EVENT_UNREADABLE', 'not an inbox record of a known version');
  }
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const from = view.getUint16(8) * 0x1_0000_0000 + view.getUint32(10);
  return {
    kind: view.getUint8(1) as RecordKind,
    lane: view.getUint16(2),
    term: view.getUint32(4),
    from,
    to: from + view.getUint16(14),
    offset: view.getUint32(16),
  };
}

export const bodyOf = (record: Uint8Array): Uint8Array => record.subarray(INBOX_HEADER_BYTES);
/** Offset of a pointer's pack within the plan of the same window. */
export const packOffsetOf = (pointer: Uint8Array): number =>
  new DataView(pointer.buffer, pointer.byteOffset, pointer.byteLength).getUint32(INBOX_HEADER_BYTES);
/** The MessagePack part of a pointer: `[conversation, first n, [first pos, Δpos…]]`. */
export const pointerBodyOf = (pointer: Uint8Array): Uint8Array => pointer.subarray(INBOX_HEADER_BYTES + 4);

/** One key for a pack and its pointers, whichever term wrote them: a window's plan is the same in every term. */
export const packKey = (origin: Origin, packOffset: number): string =>
  `${origin.lane}:${origin.from}:${origin.to}:${packOffset}`;
