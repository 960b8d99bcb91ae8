/** An accepted event as an inbox entry. */
import type { ConversationEvent, MessageContent, MessageEdited, MessageSent } from '../domain/conversation.ts';
import { isPlainContent } from '../domain/conversation-events.ts';
import type { LogEvent } from '../ports/conversation-log.ts';
import type { Entry } from '../protocol/frames.ts';

/** An entry of the timeline: its index is `n`. */
export function timelineEntry({ pos, at, event }: LogEvent, n: number): Entry {
  if (event.type === 'messageSent') {
    return { type: 'message', n, pos, at, by: event.by, id: event.id, ...contentOf(event) };
  }
  // Everybody sees who joined; by which invite is the admins' secret.
  if (event.type === 'memberJoined') return { type: event.type, n, pos, at, by: event.by, id: event.id };
  // By which rule a stay ended is the fold's business.
  const { keepsMutes: _, ...told } = event as typeof event & { readonly keepsMutes?: true };
  return { ...told, pos, at, n } as Entry;
}

/** An entry beside the timeline: what changes a message, blocks, read marks, requests and invites. */
export function plainEntry({ pos, at, event }: LogEvent): Entry {
  if (event.type === 'messageEdited') {
    const { type, by, id, target } = event;
    return { type, pos, at, by, id, target, ...contentOf(event) };
  }
  return { ...(event as Exclude<ConversationEvent, MessageSent | MessageEdited>), pos, at } as Entry;
}

/** Field by field: what a newer writer of the log may have added beside them is not passed on unseen. */
export const contentOf = (content: MessageContent): MessageContent =>
  isPlainContent(content) ? { contentType: content.contentType, body: content.body } : wholeContentOf(content);

const wholeContentOf = (content: MessageContent): MessageContent => ({
  contentType: content.contentType,
  body: content.body,
  ...(content.keyId !== undefined && { keyId: content.keyId }),
  ...(content.replyTo !== undefined && { replyTo: content.replyTo }),
  ...(content.mentions !== undefined && { mentions: content.mentions }),
  ...(content.mentionsAll && { mentionsAll: true as const }),
  ...(content.expiresAt !== undefined && { expiresAt: content.expiresAt }),
});
