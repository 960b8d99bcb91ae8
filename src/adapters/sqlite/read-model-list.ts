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
  MAX_COUNTED_CHANGES,
  MAX_COUNTED_MENTIONS,
  MAX_PAGE_BYTES,
  MAX_TOLD_AMENDMENTS,
} from '../../ports/read-queries.ts';
import type { ChangedConversation, ListedConversation } from '../../protocol/frames.ts';
import { type PreferenceColumns, preferencesOf } from './preference-rows.ts';
import { type EntryRow, historyEntryOf, SHOWN_COLUMNS, SHOWN_JOINS, weightOf } from './read-model-rows.ts';

interface ListRow extends EntryRow, Omit<PreferenceColumns, 'details'> {
  readonly key: number;
  readonly conversation: ConversationId;
  readonly kind: 'direct' | 'group';
  readonly name: string;
  readonly avatar: string;
  readonly member_count: number;
  readonly dissolved: number;
  readonly last_index: number;
  readonly last_at: number;
  readonly read_up_to: number;
  readonly unread: number;
  readonly mentions: number;
  readonly peer_up_to: number;
  readonly peer_delivered: number;
  readonly sees_from: number;
  /** The details of the preferences; those of the entry stand in `details`. */
  readonly preferences: Uint8Array | null;
}

/** Before all others. */
const START = { pinned: 2, at: Number.MAX_SAFE_INTEGER, id: '' };

export class ReadModelList {
  readonly #sql: ReturnType<typeof prepare>;
  /** A page is one transaction: each statement for itself would take and give back the file's lock. */
  readonly #inOne: <Page>(read: () => Page) => Page;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
    const transaction = db.transaction((read: () => unknown) => read());
    this.#inOne = <Page>(read: () => Page) => transaction(read) as Page;
  }

  conversations(user: UserId, archived: boolean, after: ListPlace | undefined, limit: number): ListPage {
    const place = after ? { pinned: Number(after.pinned), at: after.lastAt, id: after.conversation } : START;
    return this.#inOne(() => {
      const keys = this.#sql.list.all({ user, archived: Number(archived), ...place, limit: limit + 1 }) as number[];
      const conversations: ListedConversation[] = [];
      let bytes = 0;
      for (const row of this.#rowsOf(user, keys.slice(0, limit))) {
        bytes += weightOfRow(row);
        if (bytes > MAX_PAGE_BYTES && conversations.length > 0) break;
        conversations.push(listedOf(row));
      }
      return { conversations, more: conversations.length < keys.length };
    });
  }

  /** @param now milliseconds since 1970: what is muted until then is told apart */
  badge(user: UserId, now: number): Badge {
    return this.#sql.badge.get({ user, now }) as Badge;
  }

  changes(user: UserId, since: number, after: ConversationId | undefined, limit: number): ChangesPart {
    return this.#inOne(() => this.#changes(user, Math.max(0, since - CLOCK_SLACK_MS), after ?? '', limit));
  }

  #changes(user: UserId, since: number, after: string, limit: number): ChangesPart {
    const isFirst = after === '';
    const most = isFirst ? Math.max(limit, MAX_COUNTED_CHANGES) : limit;
    const found = this.#sql.changed.all({ user, since, after, limit: most + 1 }) as {
      readonly key: number;
      readonly id: ConversationId;
      readonly seesTo: number | null;
    }[];
    const page = found.slice(0, limit);
    const rows = this.#rowsOf(
      user,
      page.flatMap(({ key, seesTo }) => (seesTo === null ? [key] : [])),
    );
    const conversations: ChangedConversation[] = [];
    let bytes = 0;
    for (const { id, seesTo } of page) {
      if (seesTo !== null) {
        conversations.push({ conversation: id, left: true, lastIndex: seesTo });
        continue;
      }
      const row = rows.next().value as ListRow;
      bytes += weightOfRow(row);
      if (bytes > MAX_PAGE_BYTES && conversations.length > 0) break;
      conversations.push({ ...listedOf(row), ...this.#amended(row.key, since, row.sees_from) });
    }
    rows.return?.();
    const total = isFirst && found.length <= MAX_COUNTED_CHANGES && { total: found.length };
    return { conversations, more: conversations.length < found.length, ...total };
  }

  /** In the order of the keys. */
  #rowsOf(user: UserId, keys: readonly number[]): IterableIterator<ListRow> {
    return this.#sql.rows.iterate({ user, keys: JSON.stringify(keys) }) as IterableIterator<ListRow>;
  }

  /** Messages edited or recalled since then; of too many only that there were. */
  #amended(key: number, since: number, seesFrom: number): { amended: number[]; amendedMore?: true } {
    const amended = this.#sql.amended.all({ key, since, seesFrom, limit: MAX_TOLD_AMENDMENTS + 1 }) as number[];
    return amended.length > MAX_TOLD_AMENDMENTS ? { amended: [], amendedMore: true } : { amended };
  }
}

function listedOf(row: ListRow): ListedConversation {
  const { last_index: lastIndex } = row;
  return {
    conversation: row.conversation,
    kind: row.kind,
    name: row.name,
    avatar: row.avatar,
    memberCount: row.member_count,
    dissolved: row.dissolved === 1,
    lastIndex,
    lastAt: row.last_at,
    readUpTo: row.read_up_to,
    unread: row.unread,
    mentions: row.unread > 0 ? row.mentions : 0,
    ...(row.kind === 'direct' && {
      peerReadUpTo: row.peer_up_to,
      peerDeliveredUpTo: Math.max(row.peer_up_to, row.peer_delivered),
    }),
    preferences: preferencesOf({ ...row, details: row.preferences }, lastIndex),
    last: historyEntryOf(row),
  };
}

const weightOfRow = (row: ListRow): number =>
  weightOf(row) + row.name.length + row.avatar.length + (row.preferences?.length ?? 0);

const READ_UP_TO = 'max(stay.joined, coalesce(receipt.own_last, 0), coalesce(receipt.up_to, 0))';
const STAYS = `
  stay JOIN summary ON summary.key = stay.conversation JOIN newest ON newest.conversation = stay.conversation
  LEFT JOIN receipt ON receipt.conversation = stay.conversation AND receipt.user = stay.user
  LEFT JOIN preference ON preference.user = stay.user AND preference.conversation = summary.id`;
const IS_SHOWN = 'coalesce(preference.hidden_index, -1) < last_index';
const PINNED = 'coalesce(preference.pinned, 0)';

/** Of a direct conversation: how far the other has read it, and how far a device of theirs has stored it. */
const PEER_MARKS = `
       CASE kind WHEN 'direct' THEN coalesce((SELECT shown_up_to FROM receipt WHERE conversation = key AND user <> :user), 0) END
         AS peer_up_to,
       CASE kind WHEN 'direct' THEN
         coalesce((SELECT up_to FROM delivered WHERE delivered.conversation = listed.conversation AND user <> :user), 0) END
         AS peer_delivered`;

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
  // One statement a page: of what it takes to ask for a single row most is the asking.
  rows: db.prepare(
    `SELECT listed.*, ${SHOWN_COLUMNS},
       max(0, last_index - read_up_to - (SELECT count(*) FROM recall AS gone WHERE gone.conversation = key AND gone.n > read_up_to))
         AS unread,
       (SELECT count(*) FROM (
          SELECT n FROM mention WHERE conversation = key AND user = :user AND n > read_up_to
          UNION SELECT n FROM mention WHERE conversation = key AND user = '' AND n > read_up_to
          LIMIT ${MAX_COUNTED_MENTIONS}
        )) AS mentions,
       ${PEER_MARKS}
     FROM (
       SELECT page.key AS place, summary.key, summary.id AS conversation, kind, name, avatar, member_count, dissolved,
         last_index, last_pos, last_at, ${READ_UP_TO} AS read_up_to, stay.sees_from, pinned, archived, hidden_index,
         marked_unread, muted_until, preference.details AS preferences
       FROM json_each(:keys) AS page CROSS JOIN ${STAYS} WHERE stay.user = :user AND stay.conversation = page.value
     ) AS listed CROSS JOIN entry ON entry.pos = last_pos ${SHOWN_JOINS}
     ORDER BY place`,
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
       OR (kind = 'direct' AND (SELECT shown_at FROM receipt AS peer WHERE peer.conversation = key AND peer.user <> :user) >= :since)
       OR (kind = 'direct' AND (SELECT at FROM delivered WHERE delivered.conversation = id AND delivered.user <> :user) >= :since)
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
});
