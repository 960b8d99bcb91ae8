/** Where the next page of an answer begins, as clients carry it: opaque to them, checked when it comes back. */
import { type ConversationId, parseConversationId } from '../domain/ids.ts';
import { RookeryError } from './error-codes.ts';

/** A direct conversation's id of 776 bytes in base64, or a position in each of 256 lanes. */
export const MAX_CURSOR_CHARS = 4_096;

interface ListPlace {
  readonly lastAt: number;
  readonly conversation: ConversationId;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function encodeListCursor({ lastAt, conversation }: ListPlace): string {
  let binary = '';
  for (const byte of utf8.encode(`${lastAt} ${conversation}`)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** @throws RookeryError BAD_REQUEST */
export function decodeListCursor(cursor: string): ListPlace {
  try {
    const data = Uint8Array.from(atob(cursor), (char) => char.charCodeAt(0));
    const [, lastAt, id] = /^(\d{1,16}) (.*)$/s.exec(strictUtf8.decode(data)) ?? [];
    const conversation = parseConversationId(id);
    if (conversation) return { lastAt: Number(lastAt), conversation };
  } catch {
    // Whatever it is, it is not ours.
  }
  throw new RookeryError('BAD_REQUEST', '`cursor` is none that a list of conversations has given');
}

/** How far each lane has been searched, from its end down: positions, by lane. */
export const encodeSearchCursor = (positions: readonly number[]): string =>
  positions.map((pos) => pos.toString(36)).join('.');

/** @throws RookeryError BAD_REQUEST */
export function decodeSearchCursor(cursor: string, lanes: number): number[] {
  const positions = cursor.split('.').map((text) => (/^[0-9a-z]{1,11}$/.test(text) ? Number.parseInt(text, 36) : -1));
  if (positions.length === lanes && positions.every((pos) => Number.isSafeInteger(pos) && pos >= 0)) return positions;
  throw new RookeryError('BAD_REQUEST', '`cursor` is none that a search has given');
}
