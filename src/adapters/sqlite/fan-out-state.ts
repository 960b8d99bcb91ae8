/** A lane's fold state: in memory what is in use, in one SQLite file all of it. */
import type Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import { type Conversation, initialConversation } from '../../domain/conversation.ts';
import { initialDeliveredMark } from '../../domain/delivered-mark.ts';
import type { ClientMsgId, ConversationId, UserId } from '../../domain/ids.ts';
import { initialReadMark } from '../../domain/read-mark.ts';
import type {
  ChangedMark,
  FanOutChanges,
  FanOutState,
  FoldedConversation,
  Seen,
  SeenEvent,
} from '../../ports/fan-out-state.ts';
import { decodeRoster, encodeRoster } from '../../protocol/conversation-codec.ts';
import { tokenOf } from '../../protocol/subjects.ts';
import { LaneFile, type LaneFilePlace, type Tables } from './lane-file.ts';
import { isRebuilt } from './rebuilt-file.ts';
import { SEEN_SCHEMA, SeenRows, seenKeyOf } from './seen-rows.ts';

const SCHEMA_VERSION = '3';

/** Kept in memory of each kind; the oldest unused ones go first and are read from the file again. */
const MAX_CACHED_MEMBERS = 1_000_000;
const MAX_CACHED_MARKS = 100_000;

const FORGET_EVERY_COMMITS = 64;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS conversation (
    id TEXT PRIMARY KEY, last_index INTEGER NOT NULL, state_pos INTEGER NOT NULL
  ) WITHOUT ROWID;
  -- Apart from what each message changes: it may hold thousands of members, and a row is written as a whole. None: the initial one.
  CREATE TABLE IF NOT EXISTS roster (id TEXT PRIMARY KEY, roster BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS read_mark (
    conversation TEXT NOT NULL, user TEXT NOT NULL, up_to INTEGER NOT NULL, PRIMARY KEY (conversation, user)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS delivered_mark (
    conversation TEXT NOT NULL, user TEXT NOT NULL, up_to INTEGER NOT NULL, PRIMARY KEY (conversation, user)
  ) WITHOUT ROWID;
  ${SEEN_SCHEMA}
`;

interface AppliedWindow {
  readonly changes: FanOutChanges;
  readonly to: number;
}

/** Seen events of applied windows, by key: what a lookup must find although the file has it not yet. */
type PendingSeen = Map<string, SeenEvent>;

export class SqliteFanOutState implements FanOutState {
  readonly #file: LaneFile;
  readonly #lastIndexOf: ((id: ConversationId) => number) | undefined;
  readonly #path: string;
  #sql!: ReturnType<typeof prepare>;
  #seen!: SeenRows;
  #commits = 0;
  #applied: AppliedWindow[] = [];
  #pendingSeen: PendingSeen = new Map();
  /** Conversations changed by windows not yet committed: never evicted from memory. */
  #uncommitted = new Map<ConversationId, FoldedConversation>();
  #uncommittedMarks = new Map<string, number>();
  /** As they are in the file. In slots: what each message changes must not cost a new place in the cache. */
  readonly #conversations = new LRUCache<ConversationId, { folded: FoldedConversation }>({
    maxSize: MAX_CACHED_MEMBERS,
    sizeCalculation: ({ folded }) => 1 + folded.conversation.roster.members.size,
  });
  readonly #marks = new LRUCache<string, number>({ max: MAX_CACHED_MARKS });

  /**
   * @param beside tables that share the file, and its transactions
   * @param lastIndexOf where those know a conversation's newest index, so that it is not written twice
   * @throws RookeryError STATE_FILE_UNUSABLE when the file can be neither used nor replaced
   */
  constructor(place: LaneFilePlace, beside: readonly Tables[] = [], lastIndexOf?: (id: ConversationId) => number) {
    this.#lastIndexOf = lastIndexOf;
    const own = { schema: SCHEMA, version: SCHEMA_VERSION, opened: (db: Database.Database) => this.#opened(db) };
    this.#path = place.path;
    this.#file = new LaneFile(place, [own, ...beside]);
  }

  get position(): number {
    return this.#file.position;
  }

  /** All lookups throw RookeryError STATE_FILE_UNUSABLE where the file cannot be read: the event asked for is not to blame. */
  folded(id: ConversationId): FoldedConversation {
    const known = this.#uncommitted.get(id) ?? this.#conversations.get(id)?.folded;
    if (known) return known;
    const row = this.#file.guarded(() => this.#sql.conversation.get(id)) as
      | { last_index: number; state_pos: number; roster: Buffer | null }
      | undefined;
    const initial = initialConversation(id);
    const roster = row?.roster ? decodeRoster(row.roster) : initial.roster;
    const lastIndex = this.#file.guarded(() => this.#lastIndexOf?.(id)) ?? row?.last_index ?? 0;
    const conversation: Conversation = { id, lastIndex, roster };
    const folded = { conversation, statePos: row?.state_pos ?? 0 };
    this.#conversations.set(id, { folded });
    return folded;
  }

  readMark(conversation: ConversationId, user: UserId): number {
    return this.#mark('read', conversation, user) ?? initialReadMark;
  }

  deliveredMark(conversation: ConversationId, user: UserId): number {
    return this.#mark('delivered', conversation, user) ?? initialDeliveredMark;
  }

  #mark(kind: MarkKind, conversation: ConversationId, user: UserId): number | undefined {
    const key = markKey(kind, conversation, user);
    const known = this.#uncommittedMarks.get(key) ?? this.#marks.get(key);
    if (known !== undefined) return known;
    const upTo = this.#file.guarded(() => this.#sql.marks[kind].get.get(conversation, user)) as number | undefined;
    // 0 is where every mark begins.
    this.#marks.set(key, upTo ?? 0);
    return upTo;
  }

  seen(conversation: ConversationId, by: UserId, id: ClientMsgId, at: number): Seen | undefined {
    const pending = this.#pendingSeen.size > 0 ? this.#pendingSeen.get(seenKeyOf(conversation, by, id)) : undefined;
    const found = pending ?? this.#file.guarded(() => this.#seen.find(conversation, by, id));
    return found && found.expiresAt > at ? found : undefined;
  }

  apply(changes: FanOutChanges, to: number): void {
    for (const [id, folded] of changes.conversations) this.#uncommitted.set(id, folded);
    for (const [kind, { conversation, user, upTo }] of marksIn(changes)) {
      this.#uncommittedMarks.set(markKey(kind, conversation, user), upTo);
    }
    for (const event of changes.seen) this.#pendingSeen.set(seenKeyOf(event.conversation, event.by, event.id), event);
    this.#applied.push({ changes, to });
  }

  commit(to: number): void {
    const count = this.#applied.findLastIndex((window) => window.to <= to) + 1;
    if (count === 0) return;
    const windows = this.#applied.splice(0, count);
    this.#commit(windows, windows[count - 1]?.to ?? this.position);
    for (const { changes } of windows) this.#noLongerPending(changes);
  }

  /** Applies and commits a window, where none waits: nothing needs to be looked up that the file has not. */
  write(changes: FanOutChanges, to: number, beside: () => void): void {
    this.#commit([{ changes, to }], to, beside);
  }

  #commit(windows: readonly AppliedWindow[], to: number, beside?: () => void): void {
    this.#file.commit(to, () => {
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

  get hasRebuilt(): boolean {
    return isRebuilt(this.#path);
  }

  /** As of `LaneFile`. */
  get isTakenAway(): boolean {
    return this.#file.isTakenAway;
  }

  takeRebuilt(): void {
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
      for (const [kind, { conversation, user, upTo }] of marksIn(changes)) {
        this.#sql.marks[kind].put.run(conversation, user, upTo);
      }
      this.#seen.write(changes.seen);
    }
    for (const [id, { conversation, statePos }] of conversations) this.#writeConversation(id, conversation, statePos);
    if (this.#commits % FORGET_EVERY_COMMITS === 0) this.#seen.forget(windows.at(-1)?.changes.at ?? 0);
  }

  #writeConversation(id: ConversationId, { lastIndex, roster }: Conversation, statePos: number): void {
    const stored = this.#conversations.get(id)?.folded;
    const isSameRoster = stored?.conversation.roster === roster;
    if (!isSameRoster) {
      const encoded = encodeRoster(roster);
      if (Buffer.compare(encoded, encodeRoster(initialConversation(id).roster)) === 0) this.#sql.removeRoster.run(id);
      else this.#sql.putRoster.run(id, encoded);
    }
    if (!this.#lastIndexOf) this.#sql.putConversation.run(id, lastIndex, statePos);
    else if (!isSameRoster || stored?.statePos !== statePos) this.#sql.putConversation.run(id, 0, statePos);
  }

  #settle(changes: FanOutChanges): void {
    for (const [id, folded] of changes.conversations) {
      const slot = this.#conversations.get(id);
      if (slot?.folded.conversation.roster === folded.conversation.roster) slot.folded = folded;
      else this.#conversations.set(id, { folded });
    }
    for (const [kind, { conversation, user, upTo }] of marksIn(changes)) {
      this.#marks.set(markKey(kind, conversation, user), upTo);
    }
    for (const event of changes.seen) this.#seen.settle(event);
  }

  #noLongerPending(changes: FanOutChanges): void {
    for (const [id, folded] of changes.conversations) {
      if (this.#uncommitted.get(id) === folded) this.#uncommitted.delete(id);
    }
    for (const [kind, { conversation, user, upTo }] of marksIn(changes)) {
      const key = markKey(kind, conversation, user);
      if (this.#uncommittedMarks.get(key) === upTo) this.#uncommittedMarks.delete(key);
    }
    for (const event of changes.seen) {
      const key = seenKeyOf(event.conversation, event.by, event.id);
      if (this.#pendingSeen.get(key) === event) this.#pendingSeen.delete(key);
    }
  }

  #opened(db: Database.Database): void {
    this.rollback();
    this.#conversations.clear();
    this.#marks.clear();
    this.#sql = prepare(db);
    this.#seen = new SeenRows(db);
  }
}

type MarkKind = 'read' | 'delivered';

function* marksIn({ readMarks, deliveredMarks }: FanOutChanges): Iterable<readonly [MarkKind, ChangedMark]> {
  for (const mark of readMarks) yield ['read', mark];
  for (const mark of deliveredMarks) yield ['delivered', mark];
}

const markKey = (kind: MarkKind, conversation: ConversationId, user: UserId): string =>
  `${kind}:${tokenOf(conversation)}:${tokenOf(user)}`;

const markStatements = (db: Database.Database, table: string) => ({
  get: db.prepare(`SELECT up_to FROM ${table} WHERE conversation = ? AND user = ?`).pluck(),
  put: db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?)`),
});

const prepare = (db: Database.Database) => ({
  conversation: db.prepare(
    'SELECT last_index, state_pos, roster FROM conversation LEFT JOIN roster USING (id) WHERE id = ?',
  ),
  putConversation: db.prepare('INSERT OR REPLACE INTO conversation VALUES (?, ?, ?)'),
  removeRoster: db.prepare('DELETE FROM roster WHERE id = ?'),
  putRoster: db.prepare('INSERT OR REPLACE INTO roster VALUES (?, ?)'),
  marks: { read: markStatements(db, 'read_mark'), delivered: markStatements(db, 'delivered_mark') },
});
