/**
 * The protocol as the generator speaks it. All members of a group are sent the same bytes, so a frame is decoded once: a
 * frame that was met before is recognised by comparing bytes, which costs a fiftieth of decoding.
 */
import { Packr } from 'msgpackr';
import { NO_MESSAGE, type Run } from './timeline.ts';

export const BODY_BYTES = 200;
const WORD_BYTES = 4;
/** Frames kept to compare with, in bytes: what members may be apart in reading the same conversation. */
const MAX_KEPT_BYTES = 64 * 1_048_576;

const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

export const encode = (frame: object): Uint8Array => packr.pack(frame);
// biome-ignore lint/suspicious/noExplicitAny: what a server says is checked where it is used
export const decode = (payload: Uint8Array): any => packr.unpack(payload);

/** 200 bytes that repeat the message's number, so that any part of it that was mixed up is seen. */
export function bodyOf(number: number): Buffer {
  const body = Buffer.allocUnsafe(BODY_BYTES);
  for (let at = 0; at < BODY_BYTES; at += WORD_BYTES) body.writeUInt32BE(number, at);
  return body;
}

/** The number a body repeats; of a body that is not whole a number that nobody has sent. */
export function numberIn(body: Uint8Array): number {
  if (body.length !== BODY_BYTES) return Number.MAX_SAFE_INTEGER;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const number = view.getUint32(0);
  for (let at = WORD_BYTES; at < BODY_BYTES; at += WORD_BYTES) {
    if (view.getUint32(at) !== number) return Number.MAX_SAFE_INTEGER;
  }
  return number;
}

/** A `deliver` frame. */
export interface Delivered {
  readonly bytes: Buffer;
  readonly conversation: string;
  readonly runs: readonly Run[];
}

interface ReceivedEntry {
  readonly type: string;
  readonly n?: number;
  readonly pos: number;
  readonly body: Uint8Array;
}

export class DeliveredFrames {
  /** By the last bytes of a frame: of a message's body, so they differ from frame to frame. Oldest first. */
  readonly #kept = new Map<number, Delivered>();
  #keptBytes = 0;

  /** Hot path. */
  known(payload: Buffer): Delivered | undefined {
    const frame = this.#kept.get(keyOf(payload));
    return frame?.bytes.length === payload.length && frame.bytes.equals(payload) ? frame : undefined;
  }

  add(payload: Buffer, { conversation, entries }: { conversation: string; entries: ReceivedEntry[] }): Delivered {
    const frame: Delivered = { bytes: Buffer.from(payload), conversation, runs: runsOf(entries) };
    const key = keyOf(payload);
    this.#forget(key);
    this.#kept.set(key, frame);
    this.#keptBytes += payload.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= MAX_KEPT_BYTES) break;
      this.#forget(oldest);
    }
    return frame;
  }

  #forget(key: number): void {
    this.#keptBytes -= this.#kept.get(key)?.bytes.length ?? 0;
    this.#kept.delete(key);
  }
}

const keyOf = (payload: Buffer): number =>
  payload.length < WORD_BYTES ? payload.length : payload.readUInt32BE(payload.length - WORD_BYTES);

/** Entries without an index (receipts, refusals) are for one member alone and no part of the timeline. */
export function runsOf(entries: readonly ReceivedEntry[]): Run[] {
  const runs: { firstN: number; numbers: number[]; positions: number[] }[] = [];
  for (const { type, n, pos, body } of entries) {
    if (n === undefined) continue;
    let run = runs.at(-1);
    if (!run || n !== run.firstN + run.numbers.length) {
      run = { firstN: n, numbers: [], positions: [] };
      runs.push(run);
    }
    run.numbers.push(type === 'message' ? numberIn(body) : NO_MESSAGE);
    run.positions.push(pos);
  }
  return runs;
}
