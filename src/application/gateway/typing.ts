/**
 * Who is writing, from one member's device to the others'. It passes the log by: told over core NATS from gateway to gateway,
 * kept nowhere, missed by nobody. So whatever is in the way (a bound, a refusal, no worker to ask) ends it without a word.
 */
import { type ConversationId, directConversationId, type UserId } from '../../domain/ids.ts';
import type { TypingNews } from '../../ports/typing-news.ts';
import type { WritingFrame } from '../../protocol/frames.ts';
import type { Conversations } from './conversations.ts';
import type { Telling } from './telling.ts';

/** For how long it is to be shown. Who goes on writing says so again before it is over. */
export const TYPING_HOLDS_MS = 6_000;
/** In a conversation of more members nobody is told. */
export const MAX_TYPING_MEMBERS = 200;
/** Of one session in one conversation, once in this time; what comes sooner is dropped. */
const AT_MOST_EVERY_MS = 2_000;
/** Conversations of one session within that time; nobody writes in more at once. One more is dropped. */
const MAX_AT_ONCE = 16;

export interface TypingParts {
  readonly conversations: Pick<Conversations, 'hearersOf'>;
  readonly news: TypingNews;
  readonly telling: Pick<Telling, 'tell'>;
  readonly monotonicMs: () => number;
  /** For the metrics: `rate` came too soon, `size` is too large a group, `nobody` may not write there, or it cannot be told. */
  readonly onDropped: (why: 'rate' | 'size' | 'nobody') => void;
}

export class Typing {
  readonly #parts: TypingParts;

  constructor(parts: TypingParts) {
    this.#parts = parts;
    parts.news.onAnnounced(({ conversation, user, to }) => {
      parts.telling.tell(to, { t: 'typing', conversation, user, forMs: TYPING_HOLDS_MS });
    });
  }

  /** One session's: it keeps the rate. */
  typist(user: UserId): Typist {
    return new Typist(user, this.#parts);
  }
}

export class Typist {
  readonly #user: UserId;
  readonly #parts: TypingParts;
  /** When it was last let through, the oldest first. */
  readonly #lastAt = new Map<ConversationId, number>();

  constructor(user: UserId, parts: TypingParts) {
    this.#user = user;
    this.#parts = parts;
  }

  writes({ conversation, to }: WritingFrame): void {
    const target = to === undefined ? (conversation as ConversationId) : directConversationId(this.#user, to);
    if (!this.#isInTime(target)) return this.#parts.onDropped('rate');
    this.#announce(target).catch(() => this.#parts.onDropped('nobody'));
  }

  #isInTime(target: ConversationId): boolean {
    const now = this.#parts.monotonicMs();
    for (const [oldest, at] of this.#lastAt) {
      if (now - at < AT_MOST_EVERY_MS) break;
      this.#lastAt.delete(oldest);
    }
    if (this.#lastAt.has(target) || this.#lastAt.size >= MAX_AT_ONCE) return false;
    this.#lastAt.set(target, now);
    return true;
  }

  async #announce(conversation: ConversationId): Promise<void> {
    const { conversations, news, onDropped } = this.#parts;
    const hearers = await conversations.hearersOf(this.#user, conversation);
    if (!hearers) onDropped('nobody');
    else if (hearers.memberCount > MAX_TYPING_MEMBERS) onDropped('size');
    else if (hearers.others.length > 0) news.announce({ conversation, user: this.#user, to: hearers.others });
  }
}
