/**
 * A device's state in the browser's IndexedDB: one database a device. Two tabs with the same device need a storage each, or
 * a lock of the app's (`navigator.locks`): the server ends the older session of a device (4200).
 */
import type { ConversationId } from '../domain/ids.ts';
import type { OutboxEntry } from './requests.ts';
import type { Mark, Storage, StoredCursor, StoredState } from './storage.ts';

const VERSION = 1;
const CURSOR_KEY = 'cursor';

export class IndexedDbStorage implements Storage {
  readonly #db: IDBDatabase;

  /** @param name of the database; one a user and device */
  static async open(name: string): Promise<IndexedDbStorage> {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('outbox', { keyPath: 'key' });
      request.result.createObjectStore('marks');
      request.result.createObjectStore('about');
    };
    const db = await result(request);
    // A newer version of the app in another tab must be able to change the database.
    db.onversionchange = () => db.close();
    return new IndexedDbStorage(db);
  }

  private constructor(db: IDBDatabase) {
    this.#db = db;
  }

  async load(): Promise<StoredState> {
    const transaction = this.#db.transaction(['outbox', 'marks', 'about'], 'readonly');
    const marks = transaction.objectStore('marks');
    const [outbox, cursor, conversations, values] = await Promise.all([
      result(transaction.objectStore('outbox').getAll() as IDBRequest<OutboxEntry[]>),
      result(transaction.objectStore('about').get(CURSOR_KEY) as IDBRequest<StoredCursor | undefined>),
      result(marks.getAllKeys()) as Promise<unknown> as Promise<ConversationId[]>,
      result(marks.getAll() as IDBRequest<Mark[]>),
    ]);
    return { outbox, cursor, marks: conversations.map((conversation, i) => [conversation, values[i] as Mark]) };
  }

  putOutbox(entry: OutboxEntry): Promise<void> {
    // The one thing that nobody else has: on the disk before it counts as stored. All else comes again.
    return this.#write(['outbox'], (store) => store('outbox').put(entry), 'strict');
  }

  deleteOutbox(key: string): Promise<void> {
    return this.#write(['outbox'], (store) => store('outbox').delete(key));
  }

  commit(cursor: StoredCursor | undefined, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void> {
    return this.#write(['about', 'marks'], (store) => {
      for (const [conversation, mark] of marks) store('marks').put(mark, conversation);
      if (cursor) store('about').put(cursor, CURSOR_KEY);
    });
  }

  /** The transactions before it still end. */
  async close(): Promise<void> {
    this.#db.close();
  }

  #write(
    names: string[],
    work: (store: (name: string) => IDBObjectStore) => void,
    durability: IDBTransactionDurability = 'relaxed',
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#db.transaction(names, 'readwrite', { durability });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      work((name) => transaction.objectStore(name));
    });
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
