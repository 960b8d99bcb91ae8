/**
 * Nearly all records of a log are plain: an event of a conversation, under an id, without further headers, all in ASCII. Whether one is, and
 * can be read, is asked of its bytes where they stand; of the subjects, which come again and again, the last ones are known. Whatever else
 * there is, is for who looks at whole records.
 */
import type { RecordInPlace } from '../../ports/archive.ts';
import { decodeLogEvent } from '../../protocol/log-event.ts';

/** A power of two. */
const KNOWN_SUBJECTS = 8_192;
/** That of a direct conversation is the longest. */
const MAX_SUBJECT_BYTES = 1_024;
const DELETE = 0x7f;

export class PlainRecords {
  readonly #isConversation: (subject: string) => boolean;
  readonly #known: string[] = Array(KNOWN_SUBJECTS);

  /** @param isConversation whether a subject is one of the log's, and names a conversation */
  constructor(isConversation: (subject: string) => boolean) {
    this.#isConversation = isConversation;
  }

  /** False: it is not plain, or cannot be read. */
  has(record: RecordInPlace): boolean {
    const { bytes, idStart, idEnd, dataStart, dataEnd } = record;
    if (record.headersStart !== record.headersEnd) return false;
    for (let i = idStart; i < idEnd; i++) {
      const byte = bytes[i] as number;
      if (byte <= 0x20 || byte >= DELETE) return false;
    }
    if (!this.#isOfConversation(bytes, record.subjectStart, record.subjectEnd)) return false;
    try {
      decodeLogEvent(bytes, dataStart, dataEnd);
      return true;
    } catch {
      return false;
    }
  }

  #isOfConversation(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > MAX_SUBJECT_BYTES) return false;
    let hash = end - start;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte <= 0x20 || byte >= DELETE) return false;
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
    const slot = (hash ^ (hash >>> 15)) & (KNOWN_SUBJECTS - 1);
    const known = this.#known[slot];
    if (known !== undefined && isAt(known, bytes, start, end)) return true;
    const subject = String.fromCharCode(...bytes.subarray(start, end));
    if (!this.#isConversation(subject)) return false;
    this.#known[slot] = subject;
    return true;
  }
}

function isAt(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
