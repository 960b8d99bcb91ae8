/**
 * Views of conversations that were asked for lately. A small conversation has one view for all; of a large group each speaker
 * has one of their own, which knows little beside their place in it.
 */
import { LRUCache } from 'lru-cache';
import type { ConversationId, UserId } from '../../domain/ids.ts';
import type { View } from '../../ports/conversation-views.ts';

/** Views kept, counted by their members and one more each (about 100 bytes a member); the least recently used go first. */
const MAX_VIEWED_MEMBERS = 500_000;
/** A view older than this is fetched anew, in case a notice of its change was lost. */
const VIEW_TTL_MS = 30_000;
/** Of one large group; then all of its views are forgotten. */
const MAX_SPEAKERS = 10_000;

export class ViewCache {
  readonly #shared = new LRUCache<ConversationId, View>({
    maxSize: MAX_VIEWED_MEMBERS,
    sizeCalculation: ({ conversation }) => 1 + conversation.roster.members.size,
    ttl: VIEW_TTL_MS,
    ttlResolution: 1_000,
  });
  readonly #partial = new LRUCache<string, View>({
    maxSize: MAX_VIEWED_MEMBERS,
    sizeCalculation: ({ conversation }) => 1 + conversation.roster.members.size,
    ttl: VIEW_TTL_MS,
    ttlResolution: 1_000,
  });
  /** Keys of the partial views of a conversation, so that a change forgets them all. */
  readonly #speakers = new LRUCache<ConversationId, Set<string>>({
    maxSize: MAX_VIEWED_MEMBERS,
    sizeCalculation: ({ size }) => 1 + size,
  });

  get(id: ConversationId, by: UserId): View | undefined {
    const shared = this.#shared.get(id);
    if (shared) return shared;
    const key = keyOf(id, by);
    // A view whose conversation is no longer among the speakers could not be forgotten by a change.
    return this.#speakers.get(id)?.has(key) ? this.#partial.get(key) : undefined;
  }

  set(id: ConversationId, by: UserId, view: View): void {
    if (!view.isPartial) {
      this.#shared.set(id, view);
      return;
    }
    const key = keyOf(id, by);
    const speakers = this.#speakers.get(id) ?? new Set();
    if (speakers.size >= MAX_SPEAKERS) speakers.clear();
    this.#speakers.set(id, speakers.add(key));
    this.#partial.set(key, view);
  }

  delete(id: ConversationId): void {
    this.#shared.delete(id);
    this.#speakers.delete(id);
  }
}

/** The length keeps the pair apart from every other. */
export const keyOf = (id: ConversationId, by: UserId): string => `${id.length}:${id}${by}`;
