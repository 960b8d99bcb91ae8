/** An accepted event as an inbox entry. */
import type { ConversationEvent, MessageSent } from '../domain/conversation.ts';
import type { LogEvent } from '../ports/conversation-log.ts';
import type { Entry } from '../protocol/frames.ts';

/** An entry of the timeline: its index is `n`. */
export function timelineEntry({ pos, at, event }: LogEvent, n: number): Entry {
  if (event.type === 'messageSent') return messageEntry(event, pos, at, n);
  return { ...event, pos, at, n } as Entry;
}

/** An entry beside the timeline: blocks and read marks. */
export const plainEntry = ({ pos, at, event }: LogEvent): Entry => ({ ...(event as PlainEvent), pos, at }) as Entry;

type PlainEvent = Exclude<ConversationEvent, MessageSent>;

/** Field by field: what a newer writer of the log may have added beside them is not passed on unseen. */
function messageEntry(event: MessageSent, pos: number, at: number, n: number): Entry {
  const { by, id, contentType, body, keyId, replyTo, mentions, expiresAt } = event;
  return {
    type: 'message',
    n,
    pos,
    at,
    by,
    id,
    contentType,
    body,
    ...(keyId !== undefined && { keyId }),
    ...(replyTo !== undefined && { replyTo }),
    ...(mentions !== undefined && { mentions }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}
