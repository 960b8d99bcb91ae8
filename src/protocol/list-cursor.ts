/** A place in a user's list of conversations, as clients carry it: opaque to them, checked when it comes back. */
import { type ConversationId, parseConversationId } from '../domain/ids.ts';
import { RookeryError } from './error-codes.ts';

/** A direct conversation's id of 776 bytes in base64, with room. */
export const MAX_LIST_CURSOR_CHARS = 2_048;

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
