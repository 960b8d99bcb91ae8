/** Inbox records as a lane's worker writes them, one by one, so that a test can write any history. */
import { Packr } from 'msgpackr';
import { timelineEntry } from '../../src/projections/entry.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';
import type { Entry } from '../../src/protocol/frames.ts';
import { encodeInboxRecord, type Origin, RecordKind } from '../../src/protocol/inbox-record.ts';
import { bytes, conversation, msgId, user } from './given.ts';

const packr = new Packr({ useRecords: false });

export const GROUP = conversation('group');
const [alice] = [user('alice')];

/** The message at `pos` of the log of `GROUP`; its index is its position. */
export const message = (pos: number) =>
  ({
    pos,
    at: 1_000 + pos,
    conversation: GROUP,
    event: {
      type: 'messageSent',
      by: alice,
      id: msgId(`id-${pos}`),
      contentType: 'text/plain',
      body: bytes(`body ${pos}`),
    },
  }) as const;

export const entry = (pos: number): Entry => timelineEntry(message(pos), pos);

type Place = Partial<Omit<Origin, 'kind'>>;

const record = (kind: Origin['kind'], place: Place, body: Uint8Array): Uint8Array =>
  encodeInboxRecord({ kind, lane: 0, term: 1, from: 1, to: 1, offset: 0, ...place }, body);

const NOTHING = new Uint8Array(0);
export const marker = (place: Place = {}): Uint8Array => record(RecordKind.marker, place, NOTHING);
export const checkpoint = (place: Place = {}): Uint8Array => record(RecordKind.checkpoint, place, NOTHING);

const deliver = (positions: readonly number[]): Uint8Array =>
  msgpackCodec.encode({ t: 'deliver', conversation: GROUP, entries: positions.map(entry) });

export const copy = (positions: readonly number[], place: Place = {}): Uint8Array =>
  record(RecordKind.copy, place, deliver(positions));

export const pack = (positions: readonly number[], place: Place = {}): Uint8Array =>
  record(RecordKind.pack, place, deliver(positions));

/**
 * @param packOffset where the pack stands in the same window's plan
 * @param first index of the first entry; 0 for entries beside the timeline
 */
export function pointer(
  positions: readonly number[],
  packOffset: number,
  place: Place = {},
  first = positions[0],
): Uint8Array {
  const steps = positions.map((pos, i) => pos - (positions[i - 1] ?? 0));
  const packed = packr.pack([GROUP, first, steps]);
  const body = new Uint8Array(4 + packed.length);
  new DataView(body.buffer).setUint32(0, packOffset);
  body.set(packed, 4);
  return record(RecordKind.pointer, place, body);
}
