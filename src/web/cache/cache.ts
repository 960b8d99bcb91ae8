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

/** Entries that wait to be written: at so many, whoever brings more has to wait. */
const MAX_WAITING = 1_000;

type Store = 'rows' | 'entries' | 'outgoing' | 'people' | 'about';

export class Cache {
  readonly #db: IDBDatabase;
  #waiting: { readonly conversation: ConversationId; readonly entry: Entry }[] = [];
  #writing: Promise<void> | undefined;
  /** All writings so far have ended. */
  #written: Promise<void> = Promise.resolve();

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
   * waited for: lost, the old text would stand there for ever; any other is missed by its index. Where many wait to be written,
   * it is to be waited for as well.
   */
  keep(conversation: ConversationId, entry: Entry): Promise<void> | undefined {
    if (!isIndexed(entry) && !isAmendment(entry)) return undefined;
    this.#waiting.push({ conversation, entry });
    this.#writing ??= this.#writeLater();
    return isAmendment(entry) || this.#waiting.length >= MAX_WAITING ? this.#writing : undefined;
  }

  /** What was kept of messages that are not what they were is forgotten, and comes as it is now when somebody looks. */
  async changed(changed: ChangedConversation): Promise<void> {
    if ('left' in changed) return;
    await this.#written;
    const { conversation, amended, amendedMore } = changed;
    await this.#write(['entries'], (store) => {
      for (const n of amended) store('entries').delete([conversation, n]);
      if (amendedMore) store('entries').delete(IDBKeyRange.bound([conversation, 0], [conversation, Number.MAX_VALUE]));
    });
  }

  async close(): Promise<void> {
    await this.#written;
    this.#db.close();
  }

  #writeLater(): Promise<void> {
    // One after the other: a disk that is slow is waited for, and what waits stays bounded.
    const before = this.#written;
    const writing = new Promise<void>((resolve) => setTimeout(resolve, WRITE_AFTER_MS))
      .then(() => before)
      .then(() => this.#keepAll());
    this.#written = writing.catch(() => undefined);
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
      // In their order: an edit may be of a message that is written with it.
      for (const { conversation, entry } of waiting) {
        if (isAmendment(entry)) amend(entries, conversation, entry);
        else if (isIndexed(entry)) {
          if (entry.n % PRUNE_EVERY === 0) prune(entries, conversation, entry.n);
          addNew(entries, conversation, entry);
        }
      }
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

/** Live entries are as they were written: what is kept already is not older, and stays. */
function addNew(entries: IDBObjectStore, conversation: ConversationId, entry: HistoryEntry): void {
  const request = entries.add({ conversation, entry } satisfies Kept, [conversation, entry.n]);
  request.onerror = (event) => {
    // It is there: no reason for the others not to be written.
    event.preventDefault();
    event.stopPropagation();
  };
}

function putNewer(entries: IDBObjectStore, conversation: ConversationId, entry: HistoryEntry): void {
  const key = [conversation, entry.n];
  const request = entries.get(key) as IDBRequest<Kept | undefined>;
  request.onsuccess = () => {
    const known = request.result?.entry;
    if (!known || versionOf(known) < versionOf(entry)) entries.put({ conversation, entry } satisfies Kept, key);
  };
}

/** What is not kept needs no change: it comes as it is shown then. */
function amend(entries: IDBObjectStore, conversation: ConversationId, amendment: Amendment): void {
  const { by, id } = amendment.target;
  const request = entries.index('byId').get([conversation, by, id]) as IDBRequest<Kept | undefined>;
  request.onsuccess = () => {
    if (!request.result) return;
    const entry = amended(request.result.entry, amendment);
    entries.put({ conversation, entry } satisfies Kept, [conversation, entry.n]);
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
