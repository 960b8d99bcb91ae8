/** Who is writing now, as others tell: for so long as they said, or until their message is there. */
import { signal } from '@preact/signals';
import type { ConversationId, UserId } from '../../sdk/index.ts';

type Timer = ReturnType<typeof setTimeout>;

export class Typing {
  readonly #writing = signal<ReadonlyMap<ConversationId, readonly UserId[]>>(new Map());
  readonly #timers = new Map<string, Timer>();

  /** For a component: drawn again when it changes. */
  in(conversation: ConversationId): readonly UserId[] {
    return this.#writing.value.get(conversation) ?? [];
  }

  began(conversation: ConversationId, user: UserId, forMs: number): void {
    const key = `${conversation}\n${user}`;
    clearTimeout(this.#timers.get(key));
    this.#timers.set(
      key,
      setTimeout(() => this.ended(conversation, user), forMs),
    );
    const users = this.#writing.peek().get(conversation) ?? [];
    if (!users.includes(user)) this.#set(conversation, [...users, user]);
  }

  ended(conversation: ConversationId, user: UserId): void {
    const key = `${conversation}\n${user}`;
    if (!this.#timers.has(key)) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    const users = this.#writing.peek().get(conversation) ?? [];
    this.#set(
      conversation,
      users.filter((one) => one !== user),
    );
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #set(conversation: ConversationId, users: readonly UserId[]): void {
    const now = new Map(this.#writing.peek());
    if (users.length > 0) now.set(conversation, users);
    else now.delete(conversation);
    this.#writing.value = now;
  }
}
