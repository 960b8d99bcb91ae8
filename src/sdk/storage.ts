/** What a device keeps: its outbox, its cursor, and how far it has got in each conversation. */
import type { ConversationId } from '../domain/ids.ts';
import type { Cursor } from '../protocol/frames.ts';
import type { OutboxEntry } from './requests.ts';
import type { PendingSync } from './sync.ts';

/** How far a conversation has been handed to the app. */
export interface Mark {
  /** Position of the newest entry. */
  readonly pos: number;
  /** The newest index; 0: the next entry may have any. */
  readonly n: number;
  /** The greatest time of an entry, milliseconds since 1970 by the log's clock. */
  readonly at: number;
  /** Of a direct conversation: the index up to which it is stored and the server has not been told so. */
  readonly untold?: number;
}

/** Kept as it is given: plain values that JSON can hold. */
export interface StoredCursor extends Cursor {
  /** Milliseconds since 1970: all that the log had before is handled, once there is no `sync` left. */
  readonly asOf?: number;
  /** What is not told yet. */
  readonly sync?: PendingSync;
}

export interface StoredState {
  /** In the order of sending. */
  readonly outbox: readonly OutboxEntry[];
  readonly cursor: StoredCursor | undefined;
  readonly marks: readonly (readonly [ConversationId, Mark])[];
}

/**
 * Each call is durable, as far as the storage can, when it resolves, and happens whole or not at all. Calls take effect in
 * the order they are made, also where none waits for the one before. One client uses a storage at a time.
 */
export interface Storage {
  load(): Promise<StoredState>;
  putOutbox(entry: OutboxEntry): Promise<void>;
  /** No error where there is none of this key. */
  deleteOutbox(key: string): Promise<void>;
  /**
   * Cursor and marks together: a cursor ahead of its marks would lose the knowledge of what is a repetition. Other marks,
   * and without a cursor the one before, stay as they are.
   */
  commit(cursor: StoredCursor | undefined, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void>;
  /** After the calls before it. A second time it does nothing. */
  close(): Promise<void>;
}

/** Keeps all for as long as the process lives. */
export class MemoryStorage implements Storage {
  readonly #outbox = new Map<string, OutboxEntry>();
  readonly #marks = new Map<ConversationId, Mark>();
  #cursor: StoredCursor | undefined;

  async load(): Promise<StoredState> {
    return { outbox: [...this.#outbox.values()], cursor: this.#cursor, marks: [...this.#marks] };
  }

  async putOutbox(entry: OutboxEntry): Promise<void> {
    this.#outbox.set(entry.key, entry);
  }

  async deleteOutbox(key: string): Promise<void> {
    this.#outbox.delete(key);
  }

  async commit(cursor: StoredCursor | undefined, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void> {
    this.#cursor = cursor ?? this.#cursor;
    for (const [conversation, mark] of marks) this.#marks.set(conversation, mark);
  }

  async close(): Promise<void> {}
}
