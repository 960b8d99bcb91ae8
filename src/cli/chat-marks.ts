/** What was shown is read, where its conversation is the one that is open; of the others it is when they are opened. */
import type { ConversationId } from '../domain/ids.ts';

/** What comes quickly one after the other is one mark. */
const MARK_AFTER_MS = 300;
/** Conversations of which it is known what was shown; beyond, that of the one shown longest ago is forgotten: it stays unread. */
const MAX_SHOWN = 1_000;

export class ReadMarks {
  readonly #mark: (conversation: ConversationId, upTo: number) => void;
  /** The newest index that was shown and is not marked. */
  readonly #shown = new Map<ConversationId, number>();
  #open: ConversationId | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(mark: (conversation: ConversationId, upTo: number) => void) {
    this.#mark = mark;
  }

  shown(conversation: ConversationId, n: number): void {
    const upTo = Math.max(n, this.#shown.get(conversation) ?? 0);
    this.#shown.delete(conversation);
    this.#shown.set(conversation, upTo);
    if (this.#shown.size > MAX_SHOWN) {
      for (const [oldest] of this.#shown) {
        this.#shown.delete(oldest);
        break;
      }
    }
    if (conversation === this.#open) this.#timer ??= setTimeout(() => this.flush(), MARK_AFTER_MS);
  }

  opened(conversation: ConversationId | undefined): void {
    this.flush();
    this.#open = conversation;
    this.flush();
  }

  /** Now, what else would be in a moment. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const upTo = this.#open === undefined ? undefined : this.#shown.get(this.#open);
    if (this.#open === undefined || upTo === undefined) return;
    this.#shown.delete(this.#open);
    this.#mark(this.#open, upTo);
  }
}
