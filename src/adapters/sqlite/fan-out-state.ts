/**
 * A lane's fold state: in memory what is in use, in one SQLite file all of it.
 *
 * WAL with `synchronous = NORMAL`: after a power loss the file may be some commits old, never torn. That is enough, since
 * what it lacks is folded again from the log.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import { type Conversation, initialConversation } from '../../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../../domain/ids.ts';
import { initialReadMark } from '../../domain/read-mark.ts';
import type { FanOutChanges, FanOutState, FoldedConversation, Seen, SeenEvent } from '../../ports/fan-out-state.ts';
import { decodeRoster, encodeRoster } from '../../protocol/conversation-codec.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { messageIdOf, tokenOf } from '../../protocol/subjects.ts';

/** Another version, or the file of another log, is discarded: the file is a cache. */
const SCHEMA_VERSION = '2';

/** Kept in memory of each kind; the oldest unused ones go first and are read from the file again. */
const MAX_CACHED_MEMBERS = 1_000_000;
const MAX_CACHED_READ_MARKS = 100_000;
const MAX_CACHED_SENDERS = 200_000;

/** Forgotten ids are deleted in portions, so that no commit waits for long. */
const FORGET_EVERY_COMMITS = 64;
const MAX_FORGOTTEN_PER_COMMIT = 2_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
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

export interface FanOutStateFile {
  /** Path of the SQLite file; `:memory:` keeps it out of the file system. */
  readonly path: string;
  /** Identity of the log it belongs to: the CONV stream's name and creation time. */
  readonly log: string;
}

export class SqliteFanOutState implements FanOutState {
  readonly #file: FanOutStateFile;
  #db!: Database.Database;
  #sql!: ReturnType<typeof prepare>;
  #position = 0;
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

  /** @throws RookeryError STATE_FILE_UNUSABLE when the file can be neither used nor replaced */
  constructor(file: FanOutStateFile) {
    this.#file = file;
    this.#open();
  }

  get position(): number {
    return this.#position;
  }

  folded(id: ConversationId): FoldedConversation {
    const known = this.#uncommitted.get(id) ?? this.#conversations.get(id);
    if (known) return known;
    const row = this.#sql.conversation.get(id) as { last_index: number; state_pos: number; roster: Buffer } | undefined;
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
    const row = this.#sql.readMark.get(conversation, user) as { up_to: number } | undefined;
    const upTo = row?.up_to ?? initialReadMark;
    this.#readMarks.set(key, upTo);
    return upTo;
  }

  seen(conversation: ConversationId, by: UserId, id: ClientMsgId, at: number): Seen | undefined {
    const sender = senderKey(conversation, by);
    const key = sender + tokenOf(id);
    let greatest = this.#greatestSeen.get(sender);
    if (greatest === undefined) {
      const row = this.#sql.greatestSeen.get(sender, `${sender}\u{7f}`) as { key: string } | undefined;
      greatest = row?.key ?? '';
      this.#greatestSeen.set(sender, greatest);
    }
    const pending = this.#pendingSeen.get(key);
    if (pending) return pending.expiresAt > at ? pending : undefined;
    if (key > greatest) return undefined;
    const row = this.#sql.seen.get(key) as Seen | undefined;
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

  commit(to: number): void {
    const count = this.#applied.findLastIndex((window) => window.to <= to) + 1;
    if (count === 0) return;
    const windows = this.#applied.splice(0, count);
    const position = windows[count - 1]?.to ?? this.#position;
    this.#guard(() => this.#db.transaction(() => this.#write(windows, position))());
    this.#position = position;
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
    this.#db.close();
    removeFiles(this.#file.path);
    this.#open();
  }

  close(): void {
    this.#db.close();
  }

  #write(windows: readonly AppliedWindow[], position: number): void {
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
    this.#sql.putAbout.run('position', String(position));
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

  #open(): void {
    this.rollback();
    this.#conversations.clear();
    this.#readMarks.clear();
    this.#greatestSeen.clear();
    const { path, log } = this.#file;
    this.#guard(() => {
      try {
        this.#use(path);
      } catch {
        // Damaged, or no database at all: it is only a cache, so a new one takes its place.
        removeFiles(path);
        this.#use(path);
      }
      if (this.#about('log') !== log || this.#about('schema') !== SCHEMA_VERSION) {
        this.#db.exec(`DROP TABLE about; DROP TABLE conversation; DROP TABLE read_mark; DROP TABLE seen; ${SCHEMA}`);
        this.#sql = prepare(this.#db);
        this.#sql.putAbout.run('log', log);
        this.#sql.putAbout.run('schema', SCHEMA_VERSION);
      }
    });
    this.#position = Number(this.#about('position') ?? 0);
  }

  #use(path: string): void {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
    this.#db = new Database(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = NORMAL');
    this.#db.exec(SCHEMA);
    this.#sql = prepare(this.#db);
  }

  #about(key: string): string | undefined {
    return (this.#sql.about.get(key) as { value: string } | undefined)?.value;
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (cause) {
      throw new RookeryError('STATE_FILE_UNUSABLE', `cannot use ${this.#file.path}: ${String(cause)}`, { cause });
    }
  }
}

const markKey = (conversation: ConversationId, user: UserId): string => `${tokenOf(conversation)}:${tokenOf(user)}`;
/** The common beginning of the keys of one sender's ids in one conversation (`messageIdOf`). */
const senderKey = (conversation: ConversationId, by: UserId): string => `${tokenOf(conversation)}:${tokenOf(by)}:`;

const removeFiles = (path: string): void => {
  if (path === ':memory:') return;
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
};

const prepare = (db: Database.Database) => ({
  about: db.prepare('SELECT value FROM about WHERE key = ?'),
  putAbout: db.prepare('INSERT OR REPLACE INTO about VALUES (?, ?)'),
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
