/**
 * How often one user may ask others to be contacts: each request is something that a stranger puts before somebody. Saying yes is none.
 * What was asked at another gateway counts as well, once it has been heard of.
 */
import { LRUCache } from 'lru-cache';
import type { Conversation, ConversationEvent } from '../../domain/conversation.ts';
import type { UserId } from '../../domain/ids.ts';
import type { CountedNews } from '../../ports/counted-news.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

const HOUR_MS = 3_600_000;
/** Users counted, some 200 bytes each; the least recently used go first. */
const MAX_COUNTED = 100_000;

/** A bucket that fills evenly, to the brim in an hour. */
interface Bucket {
  readonly requests: number;
  /** Monotonic. */
  readonly atMs: number;
}

export class ContactRequests {
  readonly #perHour: number;
  readonly #monotonicMs: () => number;
  readonly #news: CountedNews;
  readonly #buckets = new LRUCache<UserId, Bucket>({ max: MAX_COUNTED });

  constructor(perHour: number, monotonicMs: () => number, news: CountedNews) {
    this.#perHour = perHour;
    this.#monotonicMs = monotonicMs;
    this.#news = news;
    news.onAnnounced((one) => {
      if (one.type === 'contactRequest') this.#take(one.user);
    });
  }

  /**
   * Counts an event that is about to be appended, if it is a request.
   * @param conversation as far as it is known
   * @throws RookeryError TOO_MANY_CONTACT_REQUESTS
   */
  count(event: ConversationEvent, conversation: Conversation | undefined): void {
    if (event.type !== 'contactRequested') return;
    const contact = conversation?.roster.contact;
    if (contact?.state === 'requested' && contact.by !== event.by) return;
    if (!this.#take(event.by)) {
      throw new RookeryError('TOO_MANY_CONTACT_REQUESTS', 'too many contact requests of this user within an hour');
    }
    this.#news.announce({ type: 'contactRequest', user: event.by });
  }

  /** @returns whether there was one to be taken */
  #take(user: UserId): boolean {
    const atMs = this.#monotonicMs();
    const { requests, atMs: before } = this.#buckets.get(user) ?? { requests: this.#perHour, atMs };
    const now = Math.min(this.#perHour, requests + ((atMs - before) / HOUR_MS) * this.#perHour);
    if (now < 1) return false;
    this.#buckets.set(user, { requests: now - 1, atMs });
    return true;
  }
}
