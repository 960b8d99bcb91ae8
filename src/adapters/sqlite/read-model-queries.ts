/**
 * Answers from the read model's tables. Each is bounded in rows and bytes, and derives what depends on who asks: unread is
 * what lies beyond the furthest of read mark, own newest entry and joining, less what was recalled.
 */
import type Database from 'better-sqlite3';
import type { ConversationId, UserId } from '../../domain/ids.ts';
import {
  type Badge,
  type HistoryRange,
  type ListPage,
  type ListPlace,
  MAX_COUNTED_MENTIONS,
  MAX_NAMED_READERS,
  MAX_PAGE_BYTES,
  type ReadQueries,
} from '../../ports/read-queries.ts';
import type { HistoryEntry, HistoryPage, ListedConversation, Receipts } from '../../protocol/frames.ts';
import { type EntryRow, historyEntryOf, SHOWN_ENTRIES, weightOf } from './read-model-rows.ts';

interface ListRow {
  readonly key: number;
  readonly id: ConversationId;
  readonly kind: 'direct' | 'group';
  readonly name: string;
  readonly avatar: string;
  readonly member_count: number;
  readonly dissolved: number;
  readonly last_index: number;
  readonly last_pos: number;
  readonly last_at: number;
  readonly read_up_to: number;
}

/** Indexes a user may see, both ends included. */
interface Visible {
  readonly from: number;
  readonly to: number;
}

/** Which way a page goes on from where it begins. */
type Direction = 'older' | 'newer';

/** All but the search. */
export class ReadModelQueries implements Omit<ReadQueries, 'search'> {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  conversations(user: UserId, after: ListPlace | undefined, limit: number): ListPage {
    const place = after ?? { lastAt: Number.MAX_SAFE_INTEGER, conversation: '' };
    const rows = this.#sql.list.all({ user, at: place.lastAt, id: place.conversation, limit: limit + 1 }) as ListRow[];
    const conversations: ListedConversation[] = [];
    let bytes = 0;
    for (const row of rows) {
      if (conversations.length === limit) break;
      const last = this.#sql.entryAt.get(row.last_pos) as EntryRow;
      bytes += weightOf(last) + row.name.length + row.avatar.length;
      if (bytes > MAX_PAGE_BYTES && conversations.length > 0) break;
      conversations.push(this.#listed(user, row, historyEntryOf(last)));
    }
    return { conversations, more: conversations.length < rows.length };
  }

  badge(user: UserId): Badge {
    return this.#sql.badge.get({ user }) as Badge;
  }

  history(user: UserId, conversation: ConversationId, range: HistoryRange, limit: number): HistoryPage | undefined {
    const key = this.#sql.key.get(conversation) as number | undefined;
    if (key === undefined) return undefined;
    const visible = merged(this.#sql.visible.all({ user, key }) as Visible[]);
    if (visible.length === 0) return undefined;
    const page = this.#page(key, visible, range, limit);
    const [first, last] = [page[0], page.at(-1)];
    // An empty page lies before all there is, or behind it.
    if (!first || !last) return { entries: [], older: range.type !== 'before', newer: range.type === 'before' };
    return { entries: page, older: (visible[0]?.from ?? 0) < first.n, newer: (visible.at(-1)?.to ?? 0) > last.n };
  }

  receipts(user: UserId, conversation: ConversationId, n: number): Receipts | undefined {
    const found = this.#sql.stay.get({ user, conversation }) as
      | { readonly key: number; readonly seesFrom: number; readonly lastIndex: number; readonly memberCount: number }
      | undefined;
    if (!found || n < found.seesFrom || n > found.lastIndex) return undefined;
    const { key, memberCount } = found;
    const count = this.#sql.readerCount.get(key, n) as number;
    const readers = memberCount > MAX_NAMED_READERS ? [] : (this.#sql.readers.all(key, n) as Receipts['readers']);
    return { memberCount, count, readers };
  }

  #listed(user: UserId, row: ListRow, last: HistoryEntry): ListedConversation {
    const { key, last_index: lastIndex, read_up_to: readUpTo } = row;
    const beyond = lastIndex - readUpTo;
    const unread = beyond > 0 ? beyond - (this.#sql.recalledBeyond.get(key, readUpTo) as number) : 0;
    return {
      conversation: row.id,
      kind: row.kind,
      name: row.name,
      avatar: row.avatar,
      memberCount: row.member_count,
      dissolved: row.dissolved === 1,
      lastIndex,
      lastAt: row.last_at,
      readUpTo,
      unread,
      mentions: unread > 0 ? (this.#sql.mentions.get({ key, user, readUpTo }) as number) : 0,
      last,
    };
  }

  #page(key: number, visible: readonly Visible[], range: HistoryRange, limit: number): HistoryEntry[] {
    switch (range.type) {
      case 'newest':
        return this.#walk(key, visible, 'older', Number.MAX_SAFE_INTEGER, limit, MAX_PAGE_BYTES);
      case 'before':
        return this.#walk(key, visible, 'older', range.n - 1, limit, MAX_PAGE_BYTES);
      case 'after':
        return this.#walk(key, visible, 'newer', range.n + 1, limit, MAX_PAGE_BYTES);
      case 'since':
        return this.#walk(key, visible, 'newer', this.#firstSince(key, visible, range.at), limit, MAX_PAGE_BYTES);
      case 'around': {
        const half = Math.ceil(limit / 2);
        const older = this.#walk(key, visible, 'older', range.n, half, MAX_PAGE_BYTES / 2);
        return [...older, ...this.#walk(key, visible, 'newer', range.n + 1, limit - half, MAX_PAGE_BYTES / 2)];
      }
    }
  }

  /** From index `start` on, in one direction, through what is visible; in the order of the index. */
  #walk(
    key: number,
    visible: readonly Visible[],
    direction: Direction,
    start: number,
    limit: number,
    maxBytes: number,
  ): HistoryEntry[] {
    const entries: HistoryEntry[] = [];
    let bytes = 0;
    const isOlder = direction === 'older';
    const statement = isOlder ? this.#sql.older : this.#sql.newer;
    for (const { from, to } of isOlder ? visible.toReversed() : visible) {
      const bounds = { key, from: isOlder ? from : Math.max(from, start), to: isOlder ? Math.min(to, start) : to };
      if (bounds.from > bounds.to) continue;
      for (const row of statement.iterate({ ...bounds, limit: limit - entries.length }) as IterableIterator<EntryRow>) {
        bytes += weightOf(row);
        if (bytes > maxBytes && entries.length > 0) return isOlder ? entries.reverse() : entries;
        entries.push(historyEntryOf(row));
      }
      if (entries.length >= limit) break;
    }
    return isOlder ? entries.reverse() : entries;
  }

  /**
   * The first index whose entry is not older than `at`. By halves: within a conversation times grow with the index, as far as
   * the log's clock was never set back.
   */
  #firstSince(key: number, visible: readonly Visible[], at: number): number {
    let low = visible[0]?.from ?? 1;
    let high = (visible.at(-1)?.to ?? 0) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#sql.timeOf.get(key, middle) as number) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Stays that touch or overlap are one. */
function merged(stays: readonly Visible[]): Visible[] {
  const result: Visible[] = [];
  for (const stay of stays) {
    const last = result.at(-1);
    if (last && stay.from <= last.to + 1)
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, stay.to) };
    else result.push(stay);
  }
  return result;
}

const READ_UP_TO = 'max(stay.joined, stay.own_last, coalesce(receipt.up_to, 0))';
const STAYS = `
  stay JOIN summary ON summary.key = stay.conversation
  LEFT JOIN receipt ON receipt.conversation = stay.conversation AND receipt.user = stay.user`;

const prepare = (db: Database.Database) => ({
  key: db.prepare('SELECT key FROM summary WHERE id = ?').pluck(),
  list: db.prepare(
    `SELECT summary.*, ${READ_UP_TO} AS read_up_to FROM ${STAYS}
     WHERE stay.user = :user AND (last_at < :at OR (last_at = :at AND id > :id)) ORDER BY last_at DESC, id LIMIT :limit`,
  ),
  badge: db.prepare(
    `SELECT coalesce(sum(unread), 0) AS unread, count(*) AS conversations FROM (
       SELECT last_index - up_to - (SELECT count(*) FROM recall WHERE conversation = key AND n > up_to) AS unread
       FROM (SELECT key, last_index, ${READ_UP_TO} AS up_to FROM ${STAYS} WHERE stay.user = :user)
       WHERE last_index > up_to
     ) WHERE unread > 0`,
  ),
  recalledBeyond: db.prepare('SELECT count(*) FROM recall WHERE conversation = ? AND n > ?').pluck(),
  mentions: db
    .prepare(
      `SELECT count(*) FROM (
         SELECT n FROM mention WHERE conversation = :key AND user = :user AND n > :readUpTo
         UNION SELECT n FROM mention WHERE conversation = :key AND user = '' AND n > :readUpTo
         LIMIT ${MAX_COUNTED_MENTIONS}
       )`,
    )
    .pluck(),
  entryAt: db.prepare(`${SHOWN_ENTRIES} WHERE entry.pos = ?`),
  older: db.prepare(
    `${SHOWN_ENTRIES} WHERE entry.conversation = :key AND entry.n BETWEEN :from AND :to ORDER BY entry.n DESC LIMIT :limit`,
  ),
  newer: db.prepare(
    `${SHOWN_ENTRIES} WHERE entry.conversation = :key AND entry.n BETWEEN :from AND :to ORDER BY entry.n LIMIT :limit`,
  ),
  timeOf: db.prepare('SELECT at FROM entry WHERE conversation = ? AND n = ?').pluck(),
  visible: db.prepare(
    `SELECT max(stay.sees_from, 1) AS "from", summary.last_index AS "to" FROM stay JOIN summary ON key = conversation
       WHERE user = :user AND conversation = :key
     UNION ALL SELECT max(sees_from, 1), sees_to FROM past_stay WHERE user = :user AND conversation = :key
     ORDER BY 1`,
  ),
  stay: db.prepare(
    `SELECT key, sees_from AS seesFrom, last_index AS lastIndex, member_count AS memberCount
     FROM summary JOIN stay ON stay.conversation = key WHERE id = :conversation AND user = :user`,
  ),
  readerCount: db.prepare('SELECT count(*) FROM receipt WHERE conversation = ? AND up_to >= ?').pluck(),
  readers: db.prepare(
    'SELECT user, up_to AS upTo, at FROM receipt WHERE conversation = ? AND up_to >= ? ORDER BY user',
  ),
});
