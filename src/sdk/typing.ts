/** What the app says of its user's writing, thinned out: it may say so with each key. Pure. */
import { type ConversationId, directConversationId, type UserId } from '../domain/ids.ts';
import type { ClientFrame } from '../protocol/frames.ts';
import { TYPING_EVERY_MS } from './limits.ts';
import type { Address } from './requests.ts';

export class TypingTold {
  /** When it was last told, the oldest first; what is over is forgotten. */
  readonly #lastAt = new Map<ConversationId, number>();

  /** The frame to write; none where the last one still holds. */
  next(address: Address, me: UserId, nowMs: number): ClientFrame[] {
    const conversation = 'to' in address ? directConversationId(me, address.to) : address.conversation;
    for (const [oldest, at] of this.#lastAt) {
      if (nowMs - at < TYPING_EVERY_MS) break;
      this.#lastAt.delete(oldest);
    }
    if (this.#lastAt.has(conversation)) return [];
    this.#lastAt.set(conversation, nowMs);
    return [{ t: 'typing', ...address }];
  }
}
