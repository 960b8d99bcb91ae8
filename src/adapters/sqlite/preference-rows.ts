/**
 * What users have set for themselves, a row a user and conversation. What decides about a list's order and content stands in
 * columns of its own; the rest is read only for what is shown.
 */
import type Database from 'better-sqlite3';
import type { Preferences } from '../../domain/conversation.ts';
import type { ConversationId, UserId } from '../../domain/ids.ts';
import type { PreferenceChange } from '../../ports/read-model.ts';
import { packr } from '../../protocol/messagepack.ts';
import type { Tables } from './lane-file.ts';

const SCHEMA = `
  -- Keyed by the conversation's id, '' for all: a direct one has no summary before its first entry, and may have a remark.
  CREATE TABLE IF NOT EXISTS preference (
    user TEXT NOT NULL, conversation TEXT NOT NULL, pinned INTEGER NOT NULL, archived INTEGER NOT NULL,
    -- Up to which index it is hidden; -1: it is not.
    hidden_index INTEGER NOT NULL,
    marked_unread INTEGER NOT NULL, muted_until INTEGER NOT NULL, details BLOB, changed_at INTEGER NOT NULL,
    PRIMARY KEY (user, conversation)
  ) WITHOUT ROWID;
`;

/** In columns, as they stand beside a row of a list; null where nothing was set. */
export interface PreferenceColumns {
  readonly pinned: number | null;
  readonly archived: number | null;
  readonly hidden_index: number | null;
  readonly marked_unread: number | null;
  readonly muted_until: number | null;
  readonly details: Uint8Array | null;
}

const NOT_HIDDEN = -1;
const NOTHING_SET: PreferenceColumns = {
  pinned: 0,
  archived: 0,
  hidden_index: NOT_HIDDEN,
  marked_unread: 0,
  muted_until: 0,
  details: null,
};

export class PreferenceRows implements Tables {
  readonly schema = SCHEMA;
  readonly version = '1';
  #sql!: ReturnType<typeof prepare>;

  opened(db: Database.Database): void {
    this.#sql = prepare(db);
  }

  /** Within the caller's transaction. */
  write({ about, user, preferences, lastIndex, at }: PreferenceChange): void {
    const before = this.#row(user, about) ?? NOTHING_SET;
    const { pinned, archived, hidden, markedUnread, mutedUntil, ...details } = preferences;
    const hiddenIndex = hidden === undefined ? before.hidden_index : hidden ? lastIndex : NOT_HIDDEN;
    this.#sql.put.run(
      user,
      about,
      Number(pinned ?? before.pinned),
      Number(archived ?? before.archived),
      hiddenIndex,
      Number(markedUnread ?? before.marked_unread),
      mutedUntil ?? before.muted_until,
      packedDetails({ ...detailsOf(before), ...details }),
      at,
    );
  }

  /** @param lastIndex of the conversation; what came behind the hidden ones shows it again */
  of(user: UserId, about: ConversationId | '', lastIndex: number): Preferences {
    const row = this.#row(user, about);
    return row ? preferencesOf(row, lastIndex) : {};
  }

  #row(user: UserId, about: ConversationId | ''): PreferenceColumns | undefined {
    return this.#sql.get.get(user, about) as PreferenceColumns | undefined;
  }
}

/** What differs from what holds where nothing was set. */
export function preferencesOf(row: PreferenceColumns, lastIndex: number): Preferences {
  const { pinned, archived, hidden_index: hiddenIndex, marked_unread: markedUnread, muted_until: mutedUntil } = row;
  return {
    ...(pinned && { pinned: true }),
    ...(archived && { archived: true }),
    ...(hiddenIndex !== null && hiddenIndex >= lastIndex && { hidden: true }),
    ...(markedUnread && { markedUnread: true }),
    ...(mutedUntil && { mutedUntil }),
    ...detailsOf(row),
  };
}

export const detailsOf = ({ details }: Pick<PreferenceColumns, 'details'>): Preferences =>
  details ? (packr.unpack(details) as Preferences) : {};

/** In one order of fields, so that the same preferences are the same bytes; what was emptied is as if it had never been set. */
function packedDetails({ draft, remark, labels }: Preferences): Uint8Array | null {
  const details = {
    ...(draft && { draft }),
    ...(remark && { remark }),
    ...(labels && labels.length > 0 && { labels }),
  };
  return Object.keys(details).length > 0 ? packr.pack(details) : null;
}

const prepare = (db: Database.Database) => ({
  get: db.prepare('SELECT * FROM preference WHERE user = ? AND conversation = ?'),
  put: db.prepare('INSERT OR REPLACE INTO preference VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
});
