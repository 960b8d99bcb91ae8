/** What a device keeps: its outbox, its cursor, and how far it has got in each conversation. One client uses a storage at a time. */
import type { ConversationId } from '../domain/ids.ts';
import type { Cursor } from '../protocol/frames.ts';
import type { OutboxEntry } from './outbox.ts';

/** The newest entry of a conversation that was handed to the app: its position, and the newest index. */
export interface Mark {
  readonly pos: number;
  readonly n: number;
}

export interface StoredState {
  /** In the order of sending. */
  readonly outbox: readonly OutboxEntry[];
  readonly cursor: Cursor | undefined;
  readonly marks: readonly (readonly [ConversationId, Mark])[];
}

/** Each call is durable, as far as the storage can, when it resolves; and happens whole or not at all. */
export interface Storage {
  load(): Promise<StoredState>;
  putOutbox(entry: OutboxEntry): Promise<void>;
  deleteOutbox(key: string): Promise<void>;
  /** Cursor and marks together: a cursor ahead of its marks would lose the knowledge of what is a repetition. */
  commit(cursor: Cursor, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void>;
  close(): Promise<void>;
}

/** Keeps all for as long as the process lives. */
export class MemoryStorage implements Storage {
  readonly #outbox = new Map<string, OutboxEntry>();
  readonly #marks = new Map<ConversationId, Mark>();
  #cursor: Cursor | undefined;

  async load(): Promise<StoredState> {
    return { outbox: [...this.#outbox.values()], cursor: this.#cursor, marks: [...this.#marks] };
  }

  async putOutbox(entry: OutboxEntry): Promise<void> {
    this.#outbox.set(entry.key, entry);
  }

  async deleteOutbox(key: string): Promise<void> {
    this.#outbox.delete(key);
  }

  async commit(cursor: Cursor, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void> {
    this.#cursor = cursor;
    for (const [conversation, mark] of marks) this.#marks.set(conversation, mark);
  }

  async close(): Promise<void> {}
}
