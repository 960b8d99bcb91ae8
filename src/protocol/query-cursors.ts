/** Where the next page of an answer begins, as clients carry it: opaque to them, checked when it comes back. */
import type { Role } from '../domain/conversation.ts';
import { type ConversationId, parseConversationId, parseUserId, type UserId } from '../domain/ids.ts';
import { RookeryError } from './error-codes.ts';

/** A direct conversation's id of 776 bytes in base64, or a position in each of 256 lanes. */
export const MAX_CURSOR_CHARS = 4_096;

interface ListPlace {
  readonly pinned: boolean;
  readonly lastAt: number;
  readonly conversation: ConversationId;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const encodeListCursor = ({ pinned, lastAt, conversation }: ListPlace): string =>
  base64(`${pinned ? '1' : '0'} ${lastAt} ${conversation}`);

/** @throws RookeryError BAD_REQUEST */
export function decodeListCursor(cursor: string): ListPlace {
  const [, pinned, lastAt, id] = /^([01]) (\d{1,16}) (.*)$/s.exec(fromBase64(cursor)) ?? [];
  const conversation = parseConversationId(id);
  if (!conversation) throw new RookeryError('BAD_REQUEST', '`cursor` is none that a list of conversations has given');
  return { pinned: pinned === '1', lastAt: Number(lastAt), conversation };
}

export const encodeIdCursor = (conversation: ConversationId): string => base64(conversation);

/** @throws RookeryError BAD_REQUEST */
export function decodeIdCursor(cursor: string): ConversationId {
  const conversation = parseConversationId(fromBase64(cursor));
  if (!conversation) throw new RookeryError('BAD_REQUEST', '`cursor` is none that this list has given');
  return conversation;
}

interface MemberPlace {
  readonly role: Role;
  readonly user: UserId;
}

export const encodeMemberCursor = ({ role, user }: MemberPlace): string => base64(`${role} ${user}`);

/** @throws RookeryError BAD_REQUEST */
export function decodeMemberCursor(cursor: string): MemberPlace {
  const [, role, id] = /^(owner|admin|member) (.*)$/s.exec(fromBase64(cursor)) ?? [];
  const user = parseUserId(id);
  if (!user) throw new RookeryError('BAD_REQUEST', '`cursor` is none that a list of members has given');
  return { role: role as Role, user };
}

function base64(text: string): string {
  let binary = '';
  for (const byte of utf8.encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Empty for what is none. */
function fromBase64(text: string): string {
  try {
    return strictUtf8.decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));
  } catch {
    return '';
  }
}

/** A position in each lane. */
const encodePositions = (positions: readonly number[]): string => positions.map((pos) => pos.toString(36)).join('.');

function decodePositions(encoded: string, lanes: number): number[] | undefined {
  const positions = encoded.split('.').map((text) => (/^[0-9a-z]{1,11}$/.test(text) ? Number.parseInt(text, 36) : -1));
  const isWhole = positions.length === lanes && positions.every((pos) => Number.isSafeInteger(pos) && pos >= 0);
  return isWhole ? positions : undefined;
}

/** How far each lane has been searched, from its end down. */
export const encodeSearchCursor = encodePositions;

/** @throws RookeryError BAD_REQUEST */
export function decodeSearchCursor(cursor: string, lanes: number): number[] {
  const positions = decodePositions(cursor, lanes);
  if (!positions) throw new RookeryError('BAD_REQUEST', '`cursor` is none that a search has given');
  return positions;
}

/** How far each lane must have been read before an answer counts. */
export const encodeReached = encodePositions;

/** @throws RookeryError BAD_REQUEST */
export function decodeReached(reached: string, lanes: number): number[] {
  const positions = decodePositions(reached, lanes);
  if (!positions) throw new RookeryError('BAD_REQUEST', '`reached` is none that a resync has given');
  return positions;
}
