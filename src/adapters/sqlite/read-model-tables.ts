/**
 * The read model's tables and how a window's changes get into them.
 *
 * A message costs one row at the end of `entry` and one in `place`, whatever the size of the group: what depends on who
 * looks is not written, but derived when somebody does. What goes all over a table is written in its order, a window at a time, so
 * that neighbours meet the same page.
 */
import type Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import type { MessageContent, Role } from '../../domain/conversation.ts';
import { isPlainContent } from '../../domain/conversation-events.ts';
import type { ConversationId } from '../../domain/ids.ts';
import type {
  Amendment,
  ConversationFacts,
  MembershipChange,
  Mentioned,
  ReadModelChanges,
  TimelineEntry,
} from '../../ports/read-model.ts';
import { packr } from '../../protocol/messagepack.ts';
import type { Tables } from './lane-file.ts';
import { detailsOf, type EntryRow, SHOWN_ENTRIES } from './read-model-rows.ts';
import { RowBatch } from './row-batch.ts';
import { indexedText, roomToken, senderToken, textOf } from './search-text.ts';
import { TEXT_INDEX, TextIndex, takeWords, type Words } from './text-index.ts';

/** Keys of conversations kept in memory; the oldest unused ones go first and are read from the file again. */
const MAX_CACHED_KEYS = 100_000;

/** As the list of members is sorted. */
export const ROLES: Readonly<Record<Role, number>> = { owner: 0, admin: 1, member: 2 };

const SCHEMA = `
  -- A conversation, and its key in all tables below.
  CREATE TABLE IF NOT EXISTS summary (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL, avatar TEXT NOT NULL,
    member_count INTEGER NOT NULL, dissolved INTEGER NOT NULL
  );
  -- Its newest entry. Apart, so that what each message changes is small.
  CREATE TABLE IF NOT EXISTS newest (
    conversation INTEGER PRIMARY KEY, last_index INTEGER NOT NULL, last_pos INTEGER NOT NULL, last_at INTEGER NOT NULL
  );
  -- Who is in a conversation, since which index; roles: 0 owner, 1 admin, 2 member.
  CREATE TABLE IF NOT EXISTS stay (
    user TEXT NOT NULL, conversation INTEGER NOT NULL, joined INTEGER NOT NULL, sees_from INTEGER NOT NULL,
    role INTEGER NOT NULL, PRIMARY KEY (user, conversation)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS stay_of_conversation ON stay (conversation, role, user);
  -- What who has left may still see.
  CREATE TABLE IF NOT EXISTS past_stay (
    user TEXT NOT NULL, conversation INTEGER NOT NULL, sees_to INTEGER NOT NULL, sees_from INTEGER NOT NULL,
    left_at INTEGER NOT NULL, PRIMARY KEY (user, conversation, sees_to)
  ) WITHOUT ROWID;
  -- The timeline, in the order of the log. No content type: not a message, and its type stands in the details.
  CREATE TABLE IF NOT EXISTS entry (
    pos INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL,
    sender TEXT NOT NULL, id TEXT NOT NULL, content_type TEXT, body BLOB, details BLOB, edit INTEGER
  );
  -- Where a conversation's entries stand. No index of "entry": that would get its rows in the order of the log.
  CREATE TABLE IF NOT EXISTS place (
    conversation INTEGER NOT NULL, n INTEGER NOT NULL, pos INTEGER NOT NULL, PRIMARY KEY (conversation, n)
  ) WITHOUT ROWID;
  -- What is shown in place of a message; the newest one counts, and stands in the message's "edit".
  CREATE TABLE IF NOT EXISTS edit (
    pos INTEGER PRIMARY KEY, target INTEGER NOT NULL, at INTEGER NOT NULL, content_type TEXT NOT NULL,
    body BLOB NOT NULL, details BLOB
  );
  CREATE INDEX IF NOT EXISTS edit_of_entry ON edit (target, pos);
  -- Edits and recalls in the order of their time: for a device that knows the messages as they were.
  CREATE TABLE IF NOT EXISTS amended (
    conversation INTEGER NOT NULL, at INTEGER NOT NULL, pos INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (conversation, at, pos)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS recall (
    conversation INTEGER NOT NULL, n INTEGER NOT NULL, pos INTEGER NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL,
    PRIMARY KEY (conversation, n)
  ) WITHOUT ROWID;
  -- The user '' is everybody.
  CREATE TABLE IF NOT EXISTS mention (
    conversation INTEGER NOT NULL, user TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (conversation, user, n)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS mention_of_entry ON mention (conversation, n);
  -- How far who has read, and when they said so (0, 0: not yet), their own newest entry, and what others may see of the mark.
  CREATE TABLE IF NOT EXISTS receipt (
    conversation INTEGER NOT NULL, user TEXT NOT NULL, up_to INTEGER NOT NULL, at INTEGER NOT NULL, own_last INTEGER NOT NULL,
    shown_up_to INTEGER NOT NULL, shown_at INTEGER NOT NULL, PRIMARY KEY (conversation, user)
  ) WITHOUT ROWID;
`;

export class ReadModelTables implements Tables {
  readonly schema = SCHEMA + TEXT_INDEX;
  readonly version = '7';
  #sql!: ReturnType<typeof prepare>;
  #added!: ReturnType<typeof batches>;
  #words!: Words;
  #db!: Database.Database;
  readonly #apart: Words | undefined;
  readonly #keys = new LRUCache<ConversationId, number>({ max: MAX_CACHED_KEYS });

  /** @param apart who takes in the words in place of the file's index, until that is taken over by `takeWords` */
  constructor(apart?: Words) {
    this.#apart = apart;
  }

  opened(db: Database.Database): void {
    this.#keys.clear();
    this.#db = db;
    this.#words = this.#apart ?? new TextIndex(db);
    this.#sql = prepare(db);
    this.#added = batches(db);
  }

  /** Of a conversation without entries 0. */
  lastIndexOf(id: ConversationId): number {
    return (this.#sql.lastIndex.get(id) as number | undefined) ?? 0;
  }

  /** @param path of a closed `WordsFile` @throws RookeryError STATE_FILE_UNUSABLE */
  takeWords(path: string): void {
    takeWords(this.#db, path);
  }

  /** Within the caller's transaction. */
  write({ summaries, memberships, entries, ownLast, amendments, receipts }: ReadModelChanges): void {
    const added = this.#added;
    for (const batch of Object.values(added)) batch.clear();
    for (const [id, { about }] of summaries) if (about) this.#summarize(id, about);
    for (const [key, { lastIndex, lastPos, lastAt }] of this.#inOrder(summaries)) {
      added.newest.add(key, lastIndex, lastPos, lastAt);
    }
    for (const change of memberships) this.#follow(change);
    const keys = new Map(Array.from(summaries.keys(), (id) => [id, this.#keyOf(id)]));
    this.#enterAll(entries, keys);
    for (const [key, users] of this.#inOrder(ownLast)) {
      for (const [user, n] of users) added.ownLast.add(key, user, n);
    }
    for (const { conversation, user, upTo, at, shown } of receipts) {
      added.receipts.add(this.#keyOf(conversation), user, upTo, at, shown?.upTo ?? 0, shown?.at ?? 0);
    }
    for (const batch of Object.values(added)) batch.flush();
    const [first] = entries;
    if (first) this.#sql.addPlaces.run(first.entry.pos);
    // In one go: see `TextIndex`.
    for (const { conversation, entry } of entries) {
      if (entry.type === 'message')
        this.#index(entry.pos, documentOf(keys.get(conversation) as number, entry.by, entry));
    }
    for (const amendment of amendments) this.#amend(amendment);
  }

  /** By the keys of the conversations, in their order. */
  #inOrder<Value>(changes: ReadonlyMap<ConversationId, Value>): [key: number, Value][] {
    const byKey = Array.from(changes, ([id, value]): [number, Value] => [this.#keyOf(id), value]);
    return byKey.sort(([one], [other]) => one - other);
  }

  #summarize(id: ConversationId, { kind, name, avatar, memberCount, dissolved }: ConversationFacts): void {
    const row = [kind, name, avatar, memberCount, Number(dissolved)];
    const known = this.#known(id);
    if (known !== undefined) this.#sql.setSummary.run(...row, known);
    else this.#keys.set(id, Number(this.#sql.addSummary.run(id, ...row).lastInsertRowid));
  }

  #follow(change: MembershipChange): void {
    const key = this.#keyOf(change.conversation);
    if (change.type === 'joined') this.#sql.join.run(change.user, key, change.n, change.seesFrom, ROLES[change.role]);
    else if (change.type === 'role') this.#sql.setRole.run(ROLES[change.role], change.user, key);
    else {
      this.#sql.keepPastStay.run(change.n, change.at, change.user, key);
      this.#sql.leave.run(change.user, key);
      this.#sql.removeReceipt.run(key, change.user);
    }
  }

  /** @param keys of all conversations that have got an entry */
  #enterAll(entries: ReadModelChanges['entries'], keys: ReadonlyMap<ConversationId, number>): void {
    for (const { conversation, entry, mentioned } of entries) {
      const key = keys.get(conversation) as number;
      this.#enter(key, entry);
      this.#mention(key, entry.n, mentioned);
    }
  }

  #enter(key: number, entry: TimelineEntry): void {
    const { n, pos, at, by, id } = entry;
    if (entry.type === 'message') {
      this.#added.entries.add(pos, key, n, at, by, id, entry.contentType, entry.body, packedDetails(entry));
    } else {
      const { n: _n, pos: _pos, at: _at, by: _by, id: _id, ...details } = entry;
      this.#added.entries.add(pos, key, n, at, by, id, null, null, packr.pack(details));
    }
  }

  #index(pos: number, document: string | undefined): void {
    if (document) this.#words.add(pos, document);
  }

  #mention(key: number, n: number, mentioned: Mentioned): void {
    for (const user of mentioned) this.#sql.addMention.run(key, user, n);
  }

  #amend(amendment: Amendment): void {
    const { target, pos, at, by } = amendment;
    const key = this.#keyOf(amendment.conversation);
    this.#sql.removeMentions.run(key, target.n);
    this.#sql.addAmended.run(key, at, pos, target.n);
    this.#reindex(key, target.pos, amendment.type === 'edited' ? amendment.content : undefined);
    if (amendment.type === 'edited') {
      const { content, mentioned } = amendment;
      this.#sql.addEdit.run(pos, target.pos, at, content.contentType, content.body, packedDetails(content));
      this.#sql.showEdit.run(pos, target.pos);
      this.#mention(key, target.n, mentioned);
    } else {
      this.#sql.removeEdits.run(target.pos);
      this.#sql.clear.run(target.pos);
      this.#sql.addRecall.run(key, target.n, pos, at, by);
    }
  }

  /** The index takes words out by being told which they were: those of what was shown until now. */
  #reindex(key: number, pos: number, content: MessageContent | undefined): void {
    const row = this.#sql.shown.get(pos) as EntryRow;
    const before = documentOf(key, row.sender, {
      contentType: row.content_type ?? '',
      body: row.body ?? NO_BODY,
      ...detailsOf(row),
    });
    const after = content && documentOf(key, row.sender, content);
    if (before === after) return;
    if (before) this.#words.remove(pos, before);
    if (after) this.#words.add(pos, after);
  }

  #keyOf(id: ConversationId): number {
    const key = this.#known(id);
    if (key === undefined) throw new Error(`no summary of ${id}`);
    return key;
  }

  #known(id: ConversationId): number | undefined {
    const cached = this.#keys.get(id);
    if (cached !== undefined) return cached;
    const key = this.#sql.key.get(id) as number | undefined;
    if (key !== undefined) this.#keys.set(id, key);
    return key;
  }
}

const NO_BODY = new Uint8Array();

/** What the index is given of a message; undefined of one without text. */
function documentOf(key: number, sender: string, content: MessageContent): string | undefined {
  const text = textOf(content);
  return text === undefined ? undefined : `${roomToken(key)} ${senderToken(sender)} ${indexedText(text)}`;
}

/** Null for a message without any: most have none. */
function packedDetails(content: MessageContent): Uint8Array | null {
  if (isPlainContent(content)) return null;
  const { keyId, replyTo, mentions, mentionsAll, expiresAt } = content;
  return packr.pack({
    ...(keyId !== undefined && { keyId }),
    ...(replyTo !== undefined && { replyTo }),
    ...(mentions && { mentions }),
    ...(mentionsAll && { mentionsAll }),
    ...(expiresAt !== undefined && { expiresAt }),
  });
}

const prepare = (db: Database.Database) => ({
  key: db.prepare('SELECT key FROM summary WHERE id = ?').pluck(),
  lastIndex: db.prepare('SELECT last_index FROM newest JOIN summary ON key = conversation WHERE id = ?').pluck(),
  addSummary: db.prepare('INSERT INTO summary VALUES (NULL, ?, ?, ?, ?, ?, ?)'),
  setSummary: db.prepare(
    'UPDATE summary SET kind = ?, name = ?, avatar = ?, member_count = ?, dissolved = ? WHERE key = ?',
  ),
  join: db.prepare('INSERT OR REPLACE INTO stay VALUES (?, ?, ?, ?, ?)'),
  setRole: db.prepare('UPDATE stay SET role = ? WHERE user = ? AND conversation = ?'),
  keepPastStay: db.prepare(
    'INSERT OR REPLACE INTO past_stay SELECT user, conversation, ?, sees_from, ? FROM stay WHERE user = ? AND conversation = ?',
  ),
  leave: db.prepare('DELETE FROM stay WHERE user = ? AND conversation = ?'),
  clear: db.prepare(
    "UPDATE entry SET content_type = '', body = zeroblob(0), details = NULL, edit = NULL WHERE pos = ?",
  ),
  showEdit: db.prepare('UPDATE entry SET edit = ? WHERE pos = ?'),
  addEdit: db.prepare('INSERT INTO edit VALUES (?, ?, ?, ?, ?, ?)'),
  removeEdits: db.prepare('DELETE FROM edit WHERE target = ?'),
  addAmended: db.prepare('INSERT INTO amended VALUES (?, ?, ?, ?)'),
  addRecall: db.prepare('INSERT OR REPLACE INTO recall VALUES (?, ?, ?, ?, ?)'),
  addMention: db.prepare('INSERT OR IGNORE INTO mention VALUES (?, ?, ?)'),
  removeMentions: db.prepare('DELETE FROM mention WHERE conversation = ? AND n = ?'),
  addPlaces: db.prepare(
    'INSERT OR FAIL INTO place SELECT conversation, n, pos FROM entry WHERE pos >= ? ORDER BY 1, 2',
  ),
  shown: db.prepare(`${SHOWN_ENTRIES} WHERE entry.pos = ?`),
  removeReceipt: db.prepare('DELETE FROM receipt WHERE conversation = ? AND user = ?'),
});

/**
 * What nearly every event adds. `OR FAIL`, where it is enough: what failed is undone with the whole window, and SQLite need not note
 * before each statement how to undo it alone.
 */
const batches = (db: Database.Database) => ({
  newest: new RowBatch(db, 'INSERT OR REPLACE INTO newest', '(?, ?, ?, ?)'),
  entries: new RowBatch(db, 'INSERT OR FAIL INTO entry', '(?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)'),
  ownLast: new RowBatch(
    db,
    'INSERT INTO receipt',
    '(?, ?, 0, 0, ?, 0, 0)',
    'ON CONFLICT DO UPDATE SET own_last = excluded.own_last',
  ),
  receipts: new RowBatch(
    db,
    'INSERT INTO receipt',
    '(?, ?, ?, ?, 0, ?, ?)',
    `ON CONFLICT DO UPDATE SET up_to = excluded.up_to, at = excluded.at, shown_up_to = max(shown_up_to, excluded.shown_up_to),
       shown_at = iif(excluded.shown_up_to > shown_up_to, excluded.shown_at, shown_at)`,
  ),
});
