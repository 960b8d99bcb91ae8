/**
 * A user's conversations: as a list, as a badge, and which of them have changed. What depends on who asks is derived here:
 * unread is what lies beyond the furthest of read mark, own newest entry and joining, less what was recalled.
 */
import type Database from 'better-sqlite3';
import type { ConversationId, UserId } from '../../domain/ids.ts';
import {
  type Badge,
  type ChangesPart,
  CLOCK_SLACK_MS,
  type ListPage,
  type ListPlace,
  MAX_COUNTED_MENTIONS,
  MAX_PAGE_BYTES,
  MAX_TOLD_AMENDMENTS,
} from '../../ports/read-queries.ts';
import type { ChangedConversation, ListedConversation } from '../../protocol/frames.ts';
import { type PreferenceColumns, preferencesOf } from './preference-rows.ts';
import { type EntryRow, historyEntryOf, SHOWN_ENTRIES, weightOf } from './read-model-rows.ts';

interface ListRow extends PreferenceColumns {
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
  readonly sees_from: number;
}

/** Before all others. */
const START = { pinned: 2, at: Number.MAX_SAFE_INTEGER, id: '' };

export class ReadModelList {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  conversations(user: UserId, archived: boolean, after: ListPlace | undefined, limit: number): ListPage {
    const place = after ? { pinned: Number(after.pinned), at: after.lastAt, id: after.conversation } : START;
    const keys = this.#sql.list.all({ user, archived: Number(archived), ...place, limit: limit + 1 }) as number[];
    const conversations: ListedConversation[] = [];
    let bytes = 0;
    for (const key of keys) {
      if (conversations.length === limit) break;
      const { listed, weight } = this.#listed(user, key);
      bytes += weight;
      if (bytes > MAX_PAGE_BYTES && conversations.length > 0) break;
      conversations.push(listed);
    }
    return { conversations, more: conversations.length < keys.length };
  }

  /** @param now milliseconds since 1970: what is muted until then is told apart */
  badge(user: UserId, now: number): Badge {
    return this.#sql.badge.get({ user, now }) as Badge;
  }

  changes(user: UserId, since: number, after: ConversationId | undefined, limit: number): ChangesPart {
    const from = Math.max(0, since - CLOCK_SLACK_MS);
    const rows = this.#sql.changed.all({ user, since: from, after: after ?? '', limit: limit + 1 }) as {
      readonly key: number;
      readonly id: ConversationId;
      readonly seesTo: number | null;
    }[];
    const conversations: ChangedConversation[] = [];
    let bytes = 0;
    for (const { key, id, seesTo } of rows) {
      if (conversations.length === limit) break;
      if (seesTo !== null) {
        conversations.push({ conversation: id, left: true, lastIndex: seesTo });
        continue;
      }
      const { listed, weight, seesFrom } = this.#listed(user, key);
      bytes += weight;
      if (bytes > MAX_PAGE_BYTES && conversations.length > 0) break;
      conversations.push({ ...listed, ...this.#amended(key, from, seesFrom) });
    }
    return { conversations, more: conversations.length < rows.length };
  }

  /** Messages edited or recalled since then; of too many only that there were. */
  #amended(key: number, since: number, seesFrom: number): { amended: number[]; amendedMore?: true } {
    const amended = this.#sql.amended.all({ key, since, seesFrom, limit: MAX_TOLD_AMENDMENTS + 1 }) as number[];
    return amended.length > MAX_TOLD_AMENDMENTS ? { amended: [], amendedMore: true } : { amended };
  }

  #listed(user: UserId, key: number): { listed: ListedConversation; weight: number; seesFrom: number } {
    const row = this.#sql.row.get({ user, key }) as ListRow;
    const last = this.#sql.entryAt.get(row.last_pos) as EntryRow;
    const { last_index: lastIndex, read_up_to: readUpTo } = row;
    const beyond = lastIndex - readUpTo;
    const unread = beyond > 0 ? beyond - (this.#sql.recalledBeyond.get(key, readUpTo) as number) : 0;
    const listed: ListedConversation = {
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
      ...(row.kind === 'direct' && { peerReadUpTo: (this.#sql.peerMark.get(key, user) as number | undefined) ?? 0 }),
      preferences: preferencesOf(row, lastIndex),
      last: historyEntryOf(last),
    };
    const weight = weightOf(last) + row.name.length + row.avatar.length + (row.details?.length ?? 0);
    return { listed, weight, seesFrom: row.sees_from };
  }
}

const READ_UP_TO = 'max(stay.joined, coalesce(receipt.own_last, 0), coalesce(receipt.up_to, 0))';
const STAYS = `
  stay JOIN summary ON summary.key = stay.conversation JOIN newest ON newest.conversation = stay.conversation
  LEFT JOIN receipt ON receipt.conversation = stay.conversation AND receipt.user = stay.user
  LEFT JOIN preference ON preference.user = stay.user AND preference.conversation = summary.id`;
const IS_SHOWN = 'coalesce(preference.hidden_index, -1) < last_index';
const PINNED = 'coalesce(preference.pinned, 0)';

const prepare = (db: Database.Database) => ({
  // Keys alone, so that what is sorted is small; the rows of a page are read one by one.
  list: db
    .prepare(
      `SELECT key FROM (
         SELECT key, id, last_at, ${PINNED} AS pin
         FROM stay JOIN summary ON summary.key = stay.conversation JOIN newest ON newest.conversation = stay.conversation
         LEFT JOIN preference ON preference.user = stay.user AND preference.conversation = summary.id
         WHERE stay.user = :user AND coalesce(preference.archived, 0) = :archived AND ${IS_SHOWN}
       )
       WHERE pin < :pinned OR (pin = :pinned AND (last_at < :at OR (last_at = :at AND id > :id)))
       ORDER BY pin DESC, last_at DESC, id LIMIT :limit`,
    )
    .pluck(),
  row: db.prepare(
    `SELECT summary.*, last_index, last_pos, last_at, ${READ_UP_TO} AS read_up_to, stay.sees_from, pinned, archived, hidden_index, marked_unread,
       muted_until, details
     FROM ${STAYS} WHERE stay.user = :user AND stay.conversation = :key`,
  ),
  badge: db.prepare(
    `SELECT coalesce(sum(unread), 0) AS unread, count(*) AS conversations,
       coalesce(sum(unread) FILTER (WHERE is_muted), 0) AS mutedUnread, count(*) FILTER (WHERE is_muted) AS mutedConversations
     FROM (
       SELECT max(0, last_index - up_to - (SELECT count(*) FROM recall WHERE conversation = key AND n > up_to)) AS unread,
         marked_unread, muted_until = -1 OR muted_until > :now AS is_muted
       FROM (
         SELECT key, last_index, ${READ_UP_TO} AS up_to, coalesce(marked_unread, 0) AS marked_unread,
           coalesce(muted_until, 0) AS muted_until
         FROM ${STAYS} WHERE stay.user = :user AND coalesce(archived, 0) = 0 AND ${IS_SHOWN}
       ) WHERE last_index > up_to OR marked_unread
     ) WHERE unread > 0 OR marked_unread`,
  ),
  // By the id, which does not change from one page to the next, whatever happens in between.
  changed: db.prepare(
    `SELECT key, id, NULL AS seesTo FROM ${STAYS}
     WHERE stay.user = :user AND id > :after AND (
       last_at >= :since OR receipt.at >= :since OR preference.changed_at >= :since
       OR EXISTS (SELECT 1 FROM amended WHERE conversation = key AND at >= :since AND n >= sees_from)
       OR (kind = 'direct' AND (SELECT max(at) FROM receipt AS any_mark WHERE any_mark.conversation = key) >= :since)
     )
     UNION ALL
     SELECT key, id, max(sees_to) FROM past_stay JOIN summary ON key = conversation
     WHERE user = :user AND left_at >= :since AND id > :after
       AND NOT EXISTS (SELECT 1 FROM stay WHERE stay.user = :user AND stay.conversation = key)
     GROUP BY key, id
     ORDER BY id LIMIT :limit`,
  ),
  amended: db
    .prepare(
      `SELECT n FROM (SELECT DISTINCT n FROM amended WHERE conversation = :key AND at >= :since AND n >= :seesFrom LIMIT :limit)
       ORDER BY n`,
    )
    .pluck(),
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
  peerMark: db.prepare('SELECT up_to FROM receipt WHERE conversation = ? AND user <> ?').pluck(),
  entryAt: db.prepare(`${SHOWN_ENTRIES} WHERE entry.pos = ?`),
});
