/** What one conversation was, as far as who asks may see it. Each answer is bounded in rows and bytes. */
import type Database from 'better-sqlite3';
import type { Role } from '../../domain/conversation.ts';
import type { ConversationId, UserId } from '../../domain/ids.ts';
import {
  type HistoryRange,
  MAX_NAMED_READERS,
  MAX_PAGE_BYTES,
  type MemberPlace,
  type ReadQueries,
} from '../../ports/read-queries.ts';
import type { HistoryEntry, HistoryPage, MessageVersion, Receipts, VersionPage } from '../../protocol/frames.ts';
import {
  detailsOf,
  END_OF_STAY,
  ENTRIES_AS_OF,
  type EntryRow,
  historyEntryOf,
  NO_END,
  weightOf,
} from './read-model-rows.ts';
import { ROLES } from './read-model-tables.ts';

/** Indexes a user may see, both ends included, and the position up to which edits of them were told. */
interface Visible {
  readonly from: number;
  readonly to: number;
  readonly until: number;
}

interface Stay {
  readonly key: number;
  readonly seesFrom: number;
  readonly lastIndex: number;
  readonly memberCount: number;
}

interface VersionRow {
  readonly pos: number;
  readonly at: number;
  readonly content_type: string;
  readonly body: Uint8Array;
  readonly details: Uint8Array | null;
}

const ROLE_NAMES = Object.keys(ROLES) as Role[];

/** Which way a page goes on from where it begins. */
type Direction = 'older' | 'newer';

export class ReadModelTimeline implements Pick<ReadQueries, 'history' | 'edits' | 'members' | 'receipts'> {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  history(user: UserId, conversation: ConversationId, range: HistoryRange, limit: number): HistoryPage | undefined {
    const key = this.#sql.key.get(conversation) as number | undefined;
    if (key === undefined) return undefined;
    const visible = apart(this.#sql.visible.all({ user, key }) as Visible[]);
    if (visible.length === 0) return undefined;
    const page = this.#page(key, visible, range, limit);
    const [first, last] = [page[0], page.at(-1)];
    // An empty page lies before all there is, or behind it.
    if (!first || !last) return { entries: [], older: range.type !== 'before', newer: range.type === 'before' };
    return { entries: page, older: (visible[0]?.from ?? 0) < first.n, newer: (visible.at(-1)?.to ?? 0) > last.n };
  }

  edits(user: UserId, conversation: ConversationId, n: number, before: number, limit: number): VersionPage | undefined {
    const key = this.#sql.key.get(conversation) as number | undefined;
    const stays = key === undefined ? [] : (this.#sql.visible.all({ user, key }) as Visible[]);
    const seen = stays.findLast(({ from, to }) => from <= n && n <= to);
    if (!seen) return undefined;
    const message = this.#sql.message.get(key, n) as { readonly pos: number; readonly isRecalled: number } | undefined;
    if (!message) return undefined;
    if (message.isRecalled) return { versions: [], older: false };
    const told = Math.min(before, seen.until + 1);
    const rows = this.#sql.versions.all({ pos: message.pos, before: told, limit: limit + 1 }) as VersionRow[];
    const versions: MessageVersion[] = [];
    let bytes = 0;
    for (const row of rows.slice(0, limit)) {
      bytes += weightOf(row);
      if (bytes > MAX_PAGE_BYTES && versions.length > 0) break;
      versions.push({ pos: row.pos, at: row.at, contentType: row.content_type, body: row.body, ...detailsOf(row) });
    }
    return { versions: versions.reverse(), older: versions.length < rows.length };
  }

  members(user: UserId, conversation: ConversationId, after: MemberPlace | undefined, limit: number) {
    const found = this.#sql.stay.get({ user, conversation }) as Stay | undefined;
    if (!found) return undefined;
    const { key, memberCount } = found;
    const place = after ? [ROLES[after.role], after.user] : [-1, ''];
    const rows = this.#sql.members.all(key, ...place, limit + 1) as { user: UserId; role: number; since: number }[];
    const members = rows.slice(0, limit).map((row) => ({ ...row, role: ROLE_NAMES[row.role] ?? 'member' }));
    return { members, memberCount, more: rows.length > limit };
  }

  receipts(user: UserId, conversation: ConversationId, n: number): Receipts | undefined {
    const found = this.#sql.stay.get({ user, conversation }) as Stay | undefined;
    if (!found || n < found.seesFrom || n > found.lastIndex) return undefined;
    const { key, memberCount } = found;
    const count = this.#sql.readerCount.get({ key, n, user }) as number;
    const isNamed = memberCount <= MAX_NAMED_READERS;
    const readers = isNamed ? (this.#sql.readers.all({ key, n, user }) as Receipts['readers']) : [];
    return { memberCount, count, readers };
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
    for (const { from, to, until } of isOlder ? visible.toReversed() : visible) {
      const bounds = {
        key,
        from: isOlder ? from : Math.max(from, start),
        to: isOlder ? Math.min(to, start) : to,
        until,
      };
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

/**
 * Stays that overlap, cut so that they do not: what was seen in several is shown as it stood in the last of them.
 * @param stays in the order of their ends
 */
function apart(stays: readonly Visible[]): Visible[] {
  const result: Visible[] = [];
  for (const stay of stays) {
    while ((result.at(-1)?.from ?? 0) >= stay.from) result.pop();
    const last = result.pop();
    if (last) result.push({ ...last, to: Math.min(last.to, stay.from - 1) });
    result.push(stay);
  }
  return result;
}

/** One's own mark, and what one may see of the others'. */
const READ_UP_TO = 'iif(user = :user, up_to, shown_up_to)';
const READERS = `FROM receipt WHERE conversation = :key AND ${READ_UP_TO} >= max(1, :n)`;

const prepare = (db: Database.Database) => ({
  key: db.prepare('SELECT key FROM summary WHERE id = ?').pluck(),
  older: db.prepare(
    `${ENTRIES_AS_OF} WHERE place.conversation = :key AND place.n BETWEEN :from AND :to ORDER BY place.n DESC LIMIT :limit`,
  ),
  newer: db.prepare(
    `${ENTRIES_AS_OF} WHERE place.conversation = :key AND place.n BETWEEN :from AND :to ORDER BY place.n LIMIT :limit`,
  ),
  timeOf: db
    .prepare('SELECT at FROM place JOIN entry USING (pos) WHERE place.conversation = ? AND place.n = ?')
    .pluck(),
  visible: db.prepare(
    `SELECT max(stay.sees_from, 1) AS "from", last_index AS "to", ${NO_END} AS until FROM stay JOIN newest USING (conversation)
       WHERE user = :user AND conversation = :key
     UNION ALL SELECT max(sees_from, 1), sees_to, ${END_OF_STAY} FROM past_stay WHERE user = :user AND conversation = :key
     ORDER BY 3`,
  ),
  stay: db.prepare(
    `SELECT key, sees_from AS seesFrom, last_index AS lastIndex, member_count AS memberCount
     FROM summary JOIN newest ON newest.conversation = key JOIN stay ON stay.conversation = key WHERE id = :conversation AND user = :user`,
  ),
  message: db.prepare(
    `SELECT pos, EXISTS (SELECT 1 FROM recall WHERE recall.conversation = entry.conversation AND recall.n = entry.n) AS isRecalled
     FROM place JOIN entry USING (pos) WHERE place.conversation = ? AND place.n = ? AND content_type IS NOT NULL`,
  ),
  versions: db.prepare(
    `SELECT pos, at, content_type, body, details FROM edit WHERE target = :pos AND pos < :before
     UNION ALL SELECT pos, at, content_type, body, details FROM entry WHERE pos = :pos AND pos < :before
     ORDER BY pos DESC LIMIT :limit`,
  ),
  members: db.prepare(
    `SELECT user, role, joined AS since FROM stay WHERE conversation = ? AND (role, user) > (?, ?) ORDER BY role, user LIMIT ?`,
  ),
  readerCount: db.prepare(`SELECT count(*) ${READERS}`).pluck(),
  readers: db.prepare(
    `SELECT user, ${READ_UP_TO} AS upTo, iif(user = :user, at, shown_at) AS at ${READERS} ORDER BY user`,
  ),
});
