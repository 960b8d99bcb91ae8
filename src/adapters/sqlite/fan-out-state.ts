/** A lane's fold state: in memory what is in use, in one SQLite file all of it. */
import type Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import { type Conversation, initialConversation } from '../../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../../domain/ids.ts';
import { initialReadMark } from '../../domain/read-mark.ts';
import type { FanOutChanges, FanOutState, FoldedConversation, Seen, SeenEvent } from '../../ports/fan-out-state.ts';
import { decodeRoster, encodeRoster } from '../../protocol/conversation-codec.ts';
import { messageIdOf, tokenOf } from '../../protocol/subjects.ts';
import { LaneFile, type LaneFilePlace, type Tables } from './lane-file.ts';

const SCHEMA_VERSION = '2';

/** Kept in memory of each kind; the oldest unused ones go first and are read from the file again. */
const MAX_CACHED_MEMBERS = 1_000_000;
const MAX_CACHED_READ_MARKS = 100_000;
const MAX_CACHED_SENDERS = 200_000;

/** Forgotten ids are deleted in portions, so that no commit waits for long. */
const FORGET_EVERY_COMMITS = 64;
const MAX_FORGOTTEN_PER_COMMIT = 2_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS conversation (
    id TEXT PRIMARY KEY, last_index INTEGER NOT NULL, state_pos INTEGER NOT NULL, roster BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS read_mark (
    conversation TEXT NOT NULL, user TEXT NOT NULL, up_to INTEGER NOT NULL, PRIMARY KEY (conversation, user)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS seen (
    key TEXT PRIMARY KEY, pos INTEGER NOT NULL, n INTEGER NOT NULL, expires_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

interface AppliedWindow {
  readonly changes: FanOutChanges;
  readonly to: number;
}

/** Seen events of applied windows, by key: what a lookup must find although the file has it not yet. */
type PendingSeen = Map<string, SeenEvent>;

export class SqliteFanOutState implements FanOutState {
  readonly #file: LaneFile;
  #sql!: ReturnType<typeof prepare>;
  #commits = 0;
  #forgetFrom = '';
  #applied: AppliedWindow[] = [];
  #pendingSeen: PendingSeen = new Map();
  /** Conversations changed by windows not yet committed: never evicted from memory. */
  #uncommitted = new Map<ConversationId, FoldedConversation>();
  #uncommittedMarks = new Map<string, number>();
  readonly #conversations = new LRUCache<ConversationId, FoldedConversation>({
    maxSize: MAX_CACHED_MEMBERS,
    sizeCalculation: ({ conversation }) => 1 + conversation.roster.members.size,
  });
  readonly #readMarks = new LRUCache<string, number>({ max: MAX_CACHED_READ_MARKS });
  /**
   * Per (conversation, sender) the greatest id ever accepted, in the order of its key. Ids that grow with time (UUIDv7) are
   * greater than all before, so for nearly every message it answers "not seen" without a look into the file.
   */
  readonly #greatestSeen = new LRUCache<string, string>({ max: MAX_CACHED_SENDERS });

  /**
   * @param beside tables that share the file, and its transactions
   * @throws RookeryError STATE_FILE_UNUSABLE when the file can be neither used nor replaced
   */
  constructor(place: LaneFilePlace, beside: readonly Tables[] = []) {
    const own = { schema: SCHEMA, version: SCHEMA_VERSION, opened: (db: Database.Database) => this.#opened(db) };
    this.#file = new LaneFile(place, [own, ...beside]);
  }

  get position(): number {
    return this.#file.position;
  }

  /** All lookups throw RookeryError STATE_FILE_UNUSABLE where the file cannot be read: the event asked for is not to blame. */
  folded(id: ConversationId): FoldedConversation {
    const known = this.#uncommitted.get(id) ?? this.#conversations.get(id);
    if (known) return known;
    const row = this.#file.guarded(() => this.#sql.conversation.get(id)) as
      | { last_index: number; state_pos: number; roster: Buffer }
      | undefined;
    const conversation: Conversation = row
      ? { id, lastIndex: row.last_index, roster: decodeRoster(row.roster) }
      : initialConversation(id);
    const folded = { conversation, statePos: row?.state_pos ?? 0 };
    this.#conversations.set(id, folded);
    return folded;
  }

  readMark(conversation: ConversationId, user: UserId): number {
    const key = markKey(conversation, user);
    const known = this.#uncommittedMarks.get(key) ?? this.#readMarks.get(key);
    if (known !== undefined) return known;
    const row = this.#file.guarded(() => this.#sql.readMark.get(conversation, user)) as { up_to: number } | undefined;
    const upTo = row?.up_to ?? initialReadMark;
    this.#readMarks.set(key, upTo);
    return upTo;
  }

  seen(conversation: ConversationId, by: UserId, id: ClientMsgId, at: number): Seen | undefined {
    const sender = senderKey(conversation, by);
    const key = sender + tokenOf(id);
    let greatest = this.#greatestSeen.get(sender);
    if (greatest === undefined) {
      const row = this.#file.guarded(() => this.#sql.greatestSeen.get(sender, `${sender}\u{7f}`)) as
        | { key: string }
        | undefined;
      greatest = row?.key ?? '';
      this.#greatestSeen.set(sender, greatest);
    }
    const pending = this.#pendingSeen.get(key);
    if (pending) return pending.expiresAt > at ? pending : undefined;
    if (key > greatest) return undefined;
    const row = this.#file.guarded(() => this.#sql.seen.get(key)) as Seen | undefined;
    return row && row.expiresAt > at ? row : undefined;
  }

  apply(changes: FanOutChanges, to: number): void {
    for (const [id, folded] of changes.conversations) this.#uncommitted.set(id, folded);
    for (const { conversation, user, upTo } of changes.readMarks) {
      this.#uncommittedMarks.set(markKey(conversation, user), upTo);
    }
    for (const event of changes.seen) this.#pendingSeen.set(messageIdOf(event.conversation, event.by, event.id), event);
    this.#applied.push({ changes, to });
  }

  /** @param beside writes what the windows change in the tables beside */
  commit(to: number, beside?: () => void): void {
    const count = this.#applied.findLastIndex((window) => window.to <= to) + 1;
    if (count === 0) return;
    const windows = this.#applied.splice(0, count);
    this.#file.commit(windows[count - 1]?.to ?? this.position, () => {
      this.#write(windows);
      beside?.();
    });
    for (const { changes } of windows) this.#settle(changes);
    this.#commits += 1;
  }

  rollback(): void {
    this.#applied = [];
    this.#pendingSeen = new Map();
    this.#uncommitted = new Map();
    this.#uncommittedMarks = new Map();
  }

  discard(): void {
    this.#file.discard();
  }

  /** As it is in the file, or in the one that was built beside it and takes its place. */
  reopen(): void {
    this.#file.reopen();
  }

  close(): void {
    this.#file.close();
  }

  /** What was noted about the file in its last commits. */
  noted(key: string): string | undefined {
    return this.#file.noted(key);
  }

  note(key: string, value: string): void {
    this.#file.note(key, value);
  }

  #write(windows: readonly AppliedWindow[]): void {
    // A conversation changed by several windows is written once, as the last of them left it.
    const conversations = new Map<ConversationId, FoldedConversation>();
    for (const { changes } of windows) {
      for (const [id, folded] of changes.conversations) conversations.set(id, folded);
      for (const { conversation, user, upTo } of changes.readMarks) this.#sql.putReadMark.run(conversation, user, upTo);
      for (const { conversation, by, id, pos, n, expiresAt } of changes.seen) {
        this.#sql.putSeen.run(messageIdOf(conversation, by, id), pos, n, expiresAt);
      }
    }
    for (const [id, { conversation, statePos }] of conversations) this.#writeConversation(id, conversation, statePos);
    if (this.#commits % FORGET_EVERY_COMMITS === 0) this.#forget(windows.at(-1)?.changes.at ?? 0);
  }

  /** The roster, which may hold thousands of members, is written only when it is another one. */
  #writeConversation(id: ConversationId, { lastIndex, roster }: Conversation, statePos: number): void {
    const stored = this.#conversations.get(id)?.conversation;
    if (stored?.roster === roster && this.#sql.updateIndex.run(lastIndex, statePos, id).changes === 1) return;
    this.#sql.putConversation.run(id, lastIndex, statePos, encodeRoster(roster));
  }

  /** Walks the table in portions, round and round, and deletes what has expired by `at`, the log's time. */
  #forget(at: number): void {
    const rows = this.#sql.portion.all(this.#forgetFrom, MAX_FORGOTTEN_PER_COMMIT) as {
      key: string;
      expires_at: number;
    }[];
    for (const { key, expires_at } of rows) if (expires_at <= at) this.#sql.deleteSeen.run(key);
    this.#forgetFrom = rows.at(-1)?.key ?? '';
  }

  #settle(changes: FanOutChanges): void {
    for (const [id, folded] of changes.conversations) {
      this.#conversations.set(id, folded);
      if (this.#uncommitted.get(id) === folded) this.#uncommitted.delete(id);
    }
    for (const { conversation, user, upTo } of changes.readMarks) {
      const key = markKey(conversation, user);
      this.#readMarks.set(key, upTo);
      if (this.#uncommittedMarks.get(key) === upTo) this.#uncommittedMarks.delete(key);
    }
    for (const { conversation, by, id } of changes.seen) {
      const sender = senderKey(conversation, by);
      const key = sender + tokenOf(id);
      this.#pendingSeen.delete(key);
      const greatest = this.#greatestSeen.get(sender);
      if (greatest !== undefined && key > greatest) this.#greatestSeen.set(sender, key);
    }
  }

  #opened(db: Database.Database): void {
    this.rollback();
    this.#conversations.clear();
    this.#readMarks.clear();
    this.#greatestSeen.clear();
    this.#sql = prepare(db);
  }
}

const markKey = (conversation: ConversationId, user: UserId): string => `${tokenOf(conversation)}:${tokenOf(user)}`;
/** The common beginning of the keys of one sender's ids in one conversation (`messageIdOf`). */
const senderKey = (conversation: ConversationId, by: UserId): string => `${tokenOf(conversation)}:${tokenOf(by)}:`;

const prepare = (db: Database.Database) => ({
  conversation: db.prepare('SELECT last_index, state_pos, roster FROM conversation WHERE id = ?'),
  putConversation: db.prepare('INSERT OR REPLACE INTO conversation VALUES (?, ?, ?, ?)'),
  updateIndex: db.prepare('UPDATE conversation SET last_index = ?, state_pos = ? WHERE id = ?'),
  readMark: db.prepare('SELECT up_to FROM read_mark WHERE conversation = ? AND user = ?'),
  putReadMark: db.prepare('INSERT OR REPLACE INTO read_mark VALUES (?, ?, ?)'),
  seen: db.prepare('SELECT pos, n, expires_at AS expiresAt FROM seen WHERE key = ?'),
  greatestSeen: db.prepare('SELECT key FROM seen WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT 1'),
  putSeen: db.prepare('INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)'),
  portion: db.prepare('SELECT key, expires_at FROM seen WHERE key > ? ORDER BY key LIMIT ?'),
  deleteSeen: db.prepare('DELETE FROM seen WHERE key = ?'),
});
