/**
 * A portion of a CONV stream as bytes, to be handed to another thread without a copy: one buffer, and the subjects in it that were not
 * told before. A record: position f64 · time f64 (milliseconds since 1970) · number of its subject u32 · length u32 · data.
 */
import { parseConversationId } from '../domain/ids.ts';
import type { LogRecord } from '../ports/conversation-log.ts';
import { decodeLogEvent } from '../protocol/log-event.ts';
import { idOfToken } from '../protocol/subjects.ts';

export interface PackedPortion {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Those not told before; with `isAnew` those before are forgotten. */
  readonly subjects: readonly string[];
  readonly isAnew: boolean;
}

const HEAD_BYTES = 8 + 8 + 4 + 4;
const FIRST_BYTES = 1_048_576;
/** Told and not forgotten; a log has as many as conversations. */
const MAX_SUBJECTS = 65_536;

export class LogPacker {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #used = 0;
  #numbers = new Map<string, number>();
  #subjects: string[] = [];
  #isAnew = true;

  add(pos: number, at: number, subject: string, data: Uint8Array): void {
    const end = this.#used + HEAD_BYTES + data.length;
    if (end > this.#buffer.length) this.#grow(end);
    const buffer = this.#buffer;
    let i = buffer.writeDoubleLE(pos, this.#used);
    i = buffer.writeDoubleLE(at, i);
    i = buffer.writeUInt32LE(this.#numberOf(subject), i);
    i = buffer.writeUInt32LE(data.length, i);
    buffer.set(data, i);
    this.#used = end;
  }

  /** What was added since the last time; undefined: nothing. Its buffer is the taker's. */
  take(): PackedPortion | undefined {
    if (this.#used === 0) return undefined;
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#used);
    const portion = { bytes, subjects: this.#subjects, isAnew: this.#isAnew };
    this.#buffer = Buffer.allocUnsafeSlow(this.#buffer.length);
    this.#used = 0;
    this.#subjects = [];
    this.#isAnew = this.#numbers.size > MAX_SUBJECTS;
    if (this.#isAnew) this.#numbers = new Map();
    return portion;
  }

  #numberOf(subject: string): number {
    let number = this.#numbers.get(subject);
    if (number === undefined) {
      this.#numbers.set(subject, (number = this.#numbers.size));
      this.#subjects.push(subject);
    }
    return number;
  }

  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafeSlow(2 * atLeast);
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }
}

/** A subject, and the conversation it names; a reason where it names none. */
interface Told {
  readonly subject: string;
  readonly conversation: ReturnType<typeof parseConversationId>;
  readonly reason: string;
}

export class LogUnpacker {
  #told: Told[] = [];

  /** As `logRecordOf` of the reader would have them; bodies are views into the portion. */
  records({ bytes, subjects, isAnew }: PackedPortion): LogRecord[] {
    if (isAnew) this.#told = [];
    for (const subject of subjects) this.#told.push(toldOf(subject));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const records: LogRecord[] = [];
    for (let i = 0; i < bytes.length; ) {
      const pos = view.getFloat64(i, true);
      const at = view.getFloat64(i + 8, true);
      const told = this.#told[view.getUint32(i + 16, true)] as Told;
      const start = i + HEAD_BYTES;
      i = start + view.getUint32(i + 20, true);
      records.push(recordOf(pos, at, told, bytes, start, i));
    }
    return records;
  }
}

function toldOf(subject: string): Told {
  try {
    const conversation = parseConversationId(idOfToken(subject.split('.')[2] ?? ''));
    return { subject, conversation, reason: 'the subject names no conversation' };
  } catch (thrown) {
    return { subject, conversation: undefined, reason: reasonOf(thrown) };
  }
}

function recordOf(
  pos: number,
  at: number,
  { subject, conversation, reason }: Told,
  bytes: Uint8Array,
  start: number,
  end: number,
): LogRecord {
  if (!conversation) return { pos, at, subject, reason, data: bytes.subarray(start, end) };
  try {
    return { pos, at, conversation, event: decodeLogEvent(bytes, start, end) };
  } catch (thrown) {
    return { pos, at, subject, reason: reasonOf(thrown), data: bytes.subarray(start, end) };
  }
}

const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
