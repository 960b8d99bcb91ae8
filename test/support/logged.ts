/** Logs written down by hand. */
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { ConversationId, UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { bytes, msgId } from './given.ts';

/** An event whose id need not be told. */
export type Part = ConversationEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'id'> & { readonly id?: string }
    : never
  : never;

/** Events at positions 1, 2, 3 …, one second apart where no time is given. */
export function log(...parts: readonly (readonly [ConversationId, Part, number?])[]): LogEvent[] {
  return parts.map(([conversation, part, at], i) => ({
    pos: i + 1,
    at: at ?? 1_000 * (i + 1),
    conversation,
    event: { ...part, id: msgId(part.id ?? `id${i + 1}`) } as ConversationEvent,
  }));
}

export const says = (by: UserId, id?: string, more: object = {}): Part => ({
  type: 'messageSent',
  by,
  contentType: 'text/plain',
  body: bytes('hi'),
  ...(id && { id }),
  ...more,
});
