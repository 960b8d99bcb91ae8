/**
 * Ids are any UTF-8 of 1 to 128 bytes. They are branded: a bare string does not cross a function boundary where an id is
 * meant. `parse…` is the only way in from outside; what went through it needs no second check.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type UserId = Branded<'UserId'>;
export type DeviceId = Branded<'DeviceId'>;
export type ConversationId = Branded<'ConversationId'>;
/** The producer's id of one message or command: what makes a retry recognisable. A UUIDv7 is recommended. */
export type ClientMsgId = Branded<'ClientMsgId'>;

export const MAX_ID_BYTES = 128;

/**
 * A direct conversation's id holds both users' ids, escaped, so it is longer than other ids at worst:
 * `direct:` + 2 × 3 × 128 + `:`.
 */
export const MAX_DIRECT_ID_BYTES = 7 + 2 * 3 * MAX_ID_BYTES + 1;

const DIRECT_PREFIX = 'direct:';

/** Length of `text` in UTF-8, or -1 when it has no UTF-8 form (a lone surrogate). */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 3;
    else {
      const next = text.charCodeAt(i + 1);
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return -1;
      bytes += 4;
      i += 1;
    }
  }
  return bytes;
}

function isId(value: unknown): value is string {
  // The length in code units is checked first: a million-character id must not cost a million steps.
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_ID_BYTES) return false;
  const bytes = utf8Length(value);
  return bytes > 0 && bytes <= MAX_ID_BYTES;
}

/** Each `parse…` gives the branded id, or undefined where the value is none. */
export const parseUserId = (value: unknown): UserId | undefined => (isId(value) ? (value as UserId) : undefined);
export const parseDeviceId = (value: unknown): DeviceId | undefined => (isId(value) ? (value as DeviceId) : undefined);
export const parseClientMsgId = (value: unknown): ClientMsgId | undefined =>
  isId(value) ? (value as ClientMsgId) : undefined;

/** A group's id is chosen by who creates it; the prefix of direct conversations is not theirs to use. */
export const parseGroupId = (value: unknown): ConversationId | undefined =>
  isId(value) && !value.startsWith(DIRECT_PREFIX) ? (value as string as ConversationId) : undefined;

/** A group's id, or the one canonical id of a direct conversation. */
export function parseConversationId(value: unknown): ConversationId | undefined {
  if (typeof value !== 'string' || value.length > MAX_DIRECT_ID_BYTES) return undefined;
  if (!value.startsWith(DIRECT_PREFIX)) return parseGroupId(value);
  return directPair(value as ConversationId) ? (value as ConversationId) : undefined;
}

const escapeId = (id: string): string => id.replaceAll('%', '%25').replaceAll(':', '%3A');
const unescapeId = (text: string): string => text.replaceAll('%3A', ':').replaceAll('%25', '%');

/**
 * The id of the direct conversation of two users, the same whoever asks: `direct:alice:bob`. Injective, since `:` and `%`
 * inside the ids are escaped. A user may have a conversation with themselves (notes to self).
 */
export function directConversationId(one: UserId, other: UserId): ConversationId {
  const [first, second] = one <= other ? [one, other] : [other, one];
  return `${DIRECT_PREFIX}${escapeId(first)}:${escapeId(second)}` as ConversationId;
}

/** The two users of a direct conversation, or undefined for any other id, also for a direct id not in its canonical form. */
export function directPair(id: ConversationId): readonly [UserId, UserId] | undefined {
  if (!id.startsWith(DIRECT_PREFIX)) return undefined;
  const parts = id.slice(DIRECT_PREFIX.length).split(':');
  const first = parseUserId(unescapeId(parts[0] ?? ''));
  const second = parseUserId(unescapeId(parts[1] ?? ''));
  if (parts.length !== 2 || !first || !second || directConversationId(first, second) !== id) return undefined;
  return [first, second];
}

/** By the character's code; -1: no hexadecimal digit. */
const HEX_DIGIT = Int8Array.from({ length: 128 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()),
);
const UUID_LENGTH = 36;
const DASH = 0x2d;

/** What was asked last, and what came of it. */
let last: { readonly id: string; readonly ms: number | undefined } = { id: '', ms: undefined };

/**
 * Milliseconds since 1970 that a UUIDv7 carries, or undefined where the id is no UUIDv7 (RFC 9562, 5.7). Asked several times of each
 * event, one after the other: the last answer is kept.
 */
export function uuidv7TimeMs(id: ClientMsgId): number | undefined {
  if (last.id !== id) last = { id, ms: timeMsIn(id) };
  return last.ms;
}

/** By hand it takes a third of what a regular expression does. */
function timeMsIn(id: ClientMsgId): number | undefined {
  if (id.length !== UUID_LENGTH || id[14] !== '7' || !'89abAB'.includes(id[19] as string)) return undefined;
  let ms = 0;
  for (let i = 0; i < UUID_LENGTH; i++) {
    const code = id.charCodeAt(i);
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (code !== DASH) return undefined;
      continue;
    }
    const digit = HEX_DIGIT[code] ?? -1;
    if (digit < 0) return undefined;
    if (i < 13) ms = 16 * ms + digit;
  }
  return ms;
}
