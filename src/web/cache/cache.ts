/**
 * What this browser keeps of what was seen, one IndexedDB database a user: shown at once at the next start, also without a
 * connection. All of it but `outgoing` can be had again from the server, so a lost write costs a question and no message.
 *
 * The tab that holds the connection writes what it receives; each tab writes what its person does.
 */
import type {
  ChangedConversation,
  ConversationId,
  Entry,
  HistoryEntry,
  PublicProfile,
  UserId,
} from '../../sdk/index.ts';
import type { Outgoing } from '../model/outgoing.ts';
import type { Row } from '../model/rows.ts';
import { type Amendment, amended, isAmendment, isIndexed, versionOf } from '../model/timeline.ts';

const VERSION = 1;
/** Entries of a conversation that are kept; older ones are asked for again when somebody looks at them. */
export const MAX_KEPT_ENTRIES = 20_000;
/** How often the oldest are looked for. */
const PRUNE_EVERY = 1_000;
/** How long received entries wait to be written together. */
const WRITE_AFTER_MS = 30;

type Store = 'rows' | 'entries' | 'outgoing' | 'people' | 'about';

export class Cache {
  readonly #db: IDBDatabase;
  #waiting: { readonly conversation: ConversationId; readonly entry: Entry }[] = [];
  #writing: Promise<void> | undefined;

  static async open(name: string): Promise<Cache> {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore('rows', { keyPath: 'conversation' });
      const entries = db.createObjectStore('entries');
      entries.createIndex('byId', ['conversation', 'entry.by', 'entry.id']);
      db.createObjectStore('outgoing', { keyPath: 'clientMsgId' });
      db.createObjectStore('people', { keyPath: 'user' });
      db.createObjectStore('about');
    };
    const db = await result(request);
    db.onversionchange = () => db.close();
    return new Cache(db);
  }

  private constructor(db: IDBDatabase) {
    this.#db = db;
  }

  rows(): Promise<Row[]> {
    return this.#all<Row>('rows');
  }

  outgoing(): Promise<Outgoing[]> {
    return this.#all<Outgoing>('outgoing');
  }

  outgoingOf(clientMsgId: string): Promise<Outgoing | undefined> {
    return result(this.#db.transaction('outgoing').objectStore('outgoing').get(clientMsgId));
  }

  people(): Promise<PublicProfile[]> {
    return this.#all<PublicProfile>('people');
  }

  async about<T>(key: string): Promise<T | undefined> {
    return result(this.#db.transaction('about').objectStore('about').get(key) as IDBRequest<T | undefined>);
  }

  putAbout(key: string, value: unknown): Promise<void> {
    return this.#write(['about'], (store) => store('about').put(value, key));
  }

  putRows(rows: readonly Row[]): Promise<void> {
    return this.#write(['rows'], (store) => {
      for (const row of rows) store('rows').put(row);
    });
  }

  putPeople(people: readonly PublicProfile[]): Promise<void> {
    return this.#write(['people'], (store) => {
      for (const one of people) store('people').put(one);
    });
  }

  /** On the disk when it resolves: nobody else has it. */
  putOutgoing(outgoing: Outgoing): Promise<void> {
    return this.#write(['outgoing'], (store) => store('outgoing').put(outgoing), 'strict');
  }

  deleteOutgoing(clientMsgId: string): Promise<void> {
    return this.#write(['outgoing'], (store) => store('outgoing').delete(clientMsgId));
  }

  /**
   * Puts another in place of the one with this id, as `change` says, in one transaction: of two tabs that do it one succeeds.
   * @returns what stands there now; undefined where `change` gave nothing, and nothing has changed
   */
  async replaceOutgoing(
    clientMsgId: string,
    change: (outgoing: Outgoing | undefined) => Outgoing | undefined,
  ): Promise<Outgoing | undefined> {
    const transaction = this.#db.transaction('outgoing', 'readwrite', { durability: 'strict' });
    const done = ended(transaction);
    const store = transaction.objectStore('outgoing');
    const changed = change(await result(store.get(clientMsgId) as IDBRequest<Outgoing | undefined>));
    if (changed) {
      store.delete(clientMsgId);
      store.put(changed);
    }
    await done;
    return changed;
  }

  /** The entries at hand of the indexes from `from` to `to`, in their order. */
  async entries(conversation: ConversationId, from: number, to: number): Promise<HistoryEntry[]> {
    const range = IDBKeyRange.bound([conversation, from], [conversation, to]);
    const kept = await result(this.#db.transaction('entries').objectStore('entries').getAll(range));
    return (kept as Kept[]).map(({ entry }) => entry);
  }

  /** The newest index that is kept of each conversation. One step a conversation, however much is kept. */
  newest(): Promise<ReadonlyMap<ConversationId, number>> {
    const found = new Map<ConversationId, number>();
    return new Promise((resolve, reject) => {
      const request = this.#db.transaction('entries').objectStore('entries').openKeyCursor(null, 'prev');
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return resolve(found);
        const [conversation, n] = cursor.key as [ConversationId, number];
        found.set(conversation, n);
        cursor.continue([conversation, Number.NEGATIVE_INFINITY]);
      };
    });
  }

  /** A page of history. */
  putEntries(conversation: ConversationId, entries: readonly HistoryEntry[]): Promise<void> {
    return this.#write(['entries'], (store) => {
      for (const entry of entries) putNewer(store('entries'), conversation, entry);
    });
  }

  /**
   * An entry as it came, written with those that come shortly after. Where it changes an earlier one the promise is to be
   * waited for: lost, the old text would stand there for ever; any other is missed by its index.
   */
  keep(conversation: ConversationId, entry: Entry): Promise<void> | undefined {
    if (!isIndexed(entry) && !isAmendment(entry)) return undefined;
    this.#waiting.push({ conversation, entry });
    this.#writing ??= this.#writeLater();
    return isAmendment(entry) ? this.#writing : undefined;
  }

  /** What was kept of messages that are not what they were is forgotten, and comes as it is now when somebody looks. */
  async changed(changed: ChangedConversation): Promise<void> {
    if ('left' in changed) return;
    await this.#writing;
    const { conversation, amended, amendedMore } = changed;
    await this.#write(['entries'], (store) => {
      for (const n of amended) store('entries').delete([conversation, n]);
      if (amendedMore) store('entries').delete(IDBKeyRange.bound([conversation, 0], [conversation, Number.MAX_VALUE]));
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#db.close();
  }

  #writeLater(): Promise<void> {
    const writing = new Promise<void>((resolve) => setTimeout(resolve, WRITE_AFTER_MS)).then(() => this.#keepAll());
    // Who waits for it hears of a failure; what nobody waits for can be had again.
    writing.catch(() => undefined);
    return writing;
  }

  #keepAll(): Promise<void> {
    this.#writing = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    return this.#write(['entries'], (store) => {
      const entries = store('entries');
      // One after the other: an edit may be of a message that is written with it.
      const next = (): void => {
        const kept = waiting.shift();
        if (!kept) return;
        const { conversation, entry } = kept;
        if (isAmendment(entry)) return amend(entries, conversation, entry, next);
        if (isIndexed(entry)) {
          if (entry.n % PRUNE_EVERY === 0) prune(entries, conversation, entry.n);
          putNewer(entries, conversation, entry, next);
        }
      };
      next();
    });
  }

  #all<T>(name: Store): Promise<T[]> {
    return result(this.#db.transaction(name).objectStore(name).getAll() as IDBRequest<T[]>);
  }

  #write(
    names: Store[],
    work: (store: (name: Store) => IDBObjectStore) => void,
    durability: IDBTransactionDurability = 'relaxed',
  ): Promise<void> {
    const transaction = this.#db.transaction(names, 'readwrite', { durability });
    const done = ended(transaction);
    work((name) => transaction.objectStore(name));
    return done;
  }
}

interface Kept {
  readonly conversation: ConversationId;
  readonly entry: HistoryEntry;
}

function putNewer(
  entries: IDBObjectStore,
  conversation: ConversationId,
  entry: HistoryEntry,
  next: () => void = () => undefined,
): void {
  const key = [conversation, entry.n];
  const request = entries.get(key) as IDBRequest<Kept | undefined>;
  request.onsuccess = () => {
    const known = request.result?.entry;
    if (!known || versionOf(known) < versionOf(entry)) entries.put({ conversation, entry } satisfies Kept, key);
    next();
  };
}

/** What is not kept needs no change: it comes as it is shown then. */
function amend(entries: IDBObjectStore, conversation: ConversationId, amendment: Amendment, next: () => void): void {
  const { by, id } = amendment.target;
  const request = entries.index('byId').get([conversation, by, id]) as IDBRequest<Kept | undefined>;
  request.onsuccess = () => {
    if (request.result) {
      const entry = amended(request.result.entry, amendment);
      entries.put({ conversation, entry } satisfies Kept, [conversation, entry.n]);
    }
    next();
  };
}

function prune(entries: IDBObjectStore, conversation: ConversationId, newest: number): void {
  const last = newest - MAX_KEPT_ENTRIES;
  if (last > 0) entries.delete(IDBKeyRange.bound([conversation, 0], [conversation, last]));
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Whose database it is. */
export const cacheName = (user: UserId): string => `rookery-seen:${user}`;
