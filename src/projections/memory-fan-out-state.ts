/** The fold's state in memory, for a fold over a part of the log that is thrown away afterwards. */
import { initialConversation } from '../domain/conversation.ts';
import { initialDeliveredMark } from '../domain/delivered-mark.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import { initialReadMark } from '../domain/read-mark.ts';
import type { FanOutChanges, FanOutLookup, FoldedConversation, Seen, SeenEvent } from '../ports/fan-out-state.ts';

const key = (one: string, other: string, last = ''): string => `${one.length}:${one}${other.length}:${other}${last}`;

export class MemoryFanOutState implements FanOutLookup {
  readonly #conversations = new Map<ConversationId, FoldedConversation>();
  readonly #readMarks = new Map<string, number>();
  readonly #deliveredMarks = new Map<string, number>();
  readonly #seen = new Map<string, SeenEvent>();

  folded(id: ConversationId): FoldedConversation {
    return this.#conversations.get(id) ?? { conversation: initialConversation(id), statePos: 0 };
  }

  readMark(conversation: ConversationId, user: UserId): number {
    return this.#readMarks.get(key(conversation, user)) ?? initialReadMark;
  }

  deliveredMark(conversation: ConversationId, user: UserId): number {
    return this.#deliveredMarks.get(key(conversation, user)) ?? initialDeliveredMark;
  }

  seen(conversation: ConversationId, by: UserId, id: string, at: number): Seen | undefined {
    const event = this.#seen.get(key(conversation, by, id));
    return event && event.expiresAt > at ? event : undefined;
  }

  apply({ conversations, readMarks, deliveredMarks, seen }: FanOutChanges): void {
    for (const [id, folded] of conversations) this.#conversations.set(id, folded);
    for (const { conversation, user, upTo } of readMarks) this.#readMarks.set(key(conversation, user), upTo);
    for (const { conversation, user, upTo } of deliveredMarks) this.#deliveredMarks.set(key(conversation, user), upTo);
    for (const event of seen) this.#seen.set(key(event.conversation, event.by, event.id), event);
  }
}
