/**
 * The ids a fold has accepted, as far as they are in the file. UUIDv7 stand in the order of their time, so that new ones come to the
 * table's end, many a page: in the order of conversation and sender each would dirty a page of its own.
 */
import type Database from 'better-sqlite3';
import { type ClientMsgId, type ConversationId, type UserId, uuidv7TimeMs } from '../../domain/ids.ts';
import type { Seen, SeenEvent } from '../../ports/fan-out-state.ts';
import { tokenOf } from '../../protocol/subjects.ts';
import { RowBatch } from './row-batch.ts';

const MAX_CACHED_SENDERS = 200_000;
/** Forgotten ids are deleted in portions, so that no commit waits for long. */
const MAX_FORGOTTEN_AT_ONCE = 2_000;

export const SEEN_SCHEMA = `
  CREATE TABLE IF NOT EXISTS seen (
    key TEXT PRIMARY KEY, pos INTEGER NOT NULL, n INTEGER NOT NULL, expires_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

const TIMED = '7';
const BEHIND_TIMED = '8';
const OTHER = 'x';

const isTimed = (id: ClientMsgId): boolean => uuidv7TimeMs(id) !== undefined;

/** Injective: tokens hold no colon. */
export const seenKeyOf = (conversation: ConversationId, by: UserId, id: ClientMsgId): string =>
  `${isTimed(id) ? TIMED + id : OTHER + tokenOf(id)}:${tokenOf(conversation)}:${tokenOf(by)}`;

/** Of each sender to a conversation the greatest UUIDv7. */
type Greatest = Map<ConversationId, Map<UserId, string>>;

export class SeenRows {
  readonly #sql: ReturnType<typeof prepare>;
  readonly #added: RowBatch;
  #forgetFrom = '';
  /**
   * A UUIDv7 greater than the greatest of its sender is not in the file, so that nearly every message is known to be new without a look
   * into it. Of senders that were forgotten, and before the file was opened, the greatest of all of them counts. A client whose clock
   * is ahead lifts it, until its ids are forgotten: then the others are looked up, each some microseconds.
   */
  #greatestOfOthers: string;
  #greatestOfAll: string;
  /** In two generations: when the younger one is full, the elder is forgotten. */
  #greatest: Greatest = new Map();
  #elder: Greatest = new Map();
  #senders = 0;

  /** @param rows a statement, of who writes very many at once */
  constructor(db: Database.Database, rows?: number) {
    this.#sql = prepare(db);
    this.#added = new RowBatch(db, 'INSERT OR REPLACE INTO seen', '(?, ?, ?, ?)', '', rows);
    const newest = this.#sql.newest.get(BEHIND_TIMED) as string | undefined;
    this.#greatestOfOthers = newest === undefined ? '' : newest.slice(TIMED.length, newest.indexOf(':'));
    this.#greatestOfAll = this.#greatestOfOthers;
  }

  /** Whatever its time. */
  find(conversation: ConversationId, by: UserId, id: ClientMsgId): Seen | undefined {
    if (id > this.#greatestOfOthers && isTimed(id)) {
      if (id > this.#greatestOfAll) return undefined;
      const greatest = this.#greatestOf(conversation, by);
      if (greatest === undefined || id > greatest) return undefined;
    }
    return this.#sql.get.get(seenKeyOf(conversation, by, id)) as Seen | undefined;
  }

  /** Within the caller's transaction. */
  write(events: Iterable<SeenEvent>): void {
    this.#added.clear();
    for (const { conversation, by, id, pos, n, expiresAt } of events) {
      this.#added.add(seenKeyOf(conversation, by, id), pos, n, expiresAt);
    }
    this.#added.flush();
  }

  /** It is in the file from now on. */
  settle({ conversation, by, id }: SeenEvent): void {
    if (!isTimed(id)) return;
    if (id > this.#greatestOfAll) this.#greatestOfAll = id;
    let senders = this.#greatest.get(conversation);
    if (!senders) this.#greatest.set(conversation, (senders = new Map()));
    let greatest = senders.get(by);
    if (greatest === undefined) {
      this.#senders += 1;
      greatest = this.#elder.get(conversation)?.get(by) ?? '';
    }
    senders.set(by, id > greatest ? (id as string) : greatest);
    if (this.#senders >= MAX_CACHED_SENDERS / 2) this.#age();
  }

  #greatestOf(conversation: ConversationId, by: UserId): string | undefined {
    return this.#greatest.get(conversation)?.get(by) ?? this.#elder.get(conversation)?.get(by);
  }

  #age(): void {
    for (const [conversation, senders] of this.#elder) {
      const younger = this.#greatest.get(conversation);
      for (const [by, id] of senders) {
        if (id > this.#greatestOfOthers && !younger?.has(by)) this.#greatestOfOthers = id;
      }
    }
    this.#elder = this.#greatest;
    this.#greatest = new Map();
    this.#senders = 0;
  }

  /** Walks the table in portions, round and round, and deletes what has expired by `at`, the log's time. */
  forget(at: number): void {
    const rows = this.#sql.portion.all(this.#forgetFrom, MAX_FORGOTTEN_AT_ONCE) as {
      readonly key: string;
      readonly expires_at: number;
    }[];
    for (const { key, expires_at } of rows) if (expires_at <= at) this.#sql.delete.run(key);
    this.#forgetFrom = rows.at(-1)?.key ?? '';
  }
}

const prepare = (db: Database.Database) => ({
  get: db.prepare('SELECT pos, n, expires_at AS expiresAt FROM seen WHERE key = ?'),
  newest: db.prepare('SELECT key FROM seen WHERE key < ? ORDER BY key DESC LIMIT 1').pluck(),
  portion: db.prepare('SELECT key, expires_at FROM seen WHERE key > ? ORDER BY key LIMIT ?'),
  delete: db.prepare('DELETE FROM seen WHERE key = ?'),
});
