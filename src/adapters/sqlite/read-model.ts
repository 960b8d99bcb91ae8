/**
 * One lane's read model in one SQLite file: the fold's state, the rows that follow from it and the position in the log, written
 * in one transaction. So a process killed at any moment goes on where its rows end, and repeats nothing.
 */
import type Database from 'better-sqlite3';
import type { Preferences } from '../../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../../domain/ids.ts';
import type { LogEvent } from '../../ports/conversation-log.ts';
import type { FanOutChanges, FoldedConversation, Seen } from '../../ports/fan-out-state.ts';
import { type ReadModel, type ReadModelChanges, type Witness, witnessOf } from '../../ports/read-model.ts';
import type {
  Badge,
  ChangesPart,
  ContactsPart,
  HistoryRange,
  ListPage,
  ListPlace,
  MemberPlace,
  Search,
  SearchPart,
} from '../../ports/read-queries.ts';
import type { HistoryPage, Receipts, VersionPage } from '../../protocol/frames.ts';
import { ContactRows } from './contact-rows.ts';
import { DeliveredRows } from './delivered-rows.ts';
import { SqliteFanOutState } from './fan-out-state.ts';
import type { LaneFilePlace } from './lane-file.ts';
import { PreferenceRows } from './preference-rows.ts';
import { ReadModelList } from './read-model-list.ts';
import { ReadModelSearch } from './read-model-search.ts';
import { ReadModelTables } from './read-model-tables.ts';
import { ReadModelTimeline } from './read-model-timeline.ts';
import type { Words } from './text-index.ts';

/** SQLite's own cache of pages: 64 MB of them. Pages of the kernel's cache come on top. */
const PAGE_CACHE_KIB = 65_536;
/** The same while a file is built, in a process of its own: what is changed again and again is not written out in between. */
const BUILDING_PAGE_CACHE_KIB = 262_144;

export class SqliteReadModel implements ReadModel {
  readonly #fold: SqliteFanOutState;
  readonly #rows: ReadModelTables;
  readonly #preferences = new PreferenceRows();
  readonly #contacts = new ContactRows();
  readonly #delivered = new DeliveredRows();
  #list!: ReadModelList;
  #timeline!: ReadModelTimeline;
  #search!: ReadModelSearch;

  /**
   * @param apart of a file that is built: who takes in its words until `takeWords`; till then nothing is found in it
   * @throws RookeryError STATE_FILE_UNUSABLE when the file can be neither used nor replaced
   */
  constructor(place: LaneFilePlace, apart?: Words) {
    this.#rows = new ReadModelTables(apart);
    const queries = { schema: '', version: '', opened: (db: Database.Database) => this.#opened(db, place) };
    const tables = [this.#rows, this.#preferences, this.#contacts, this.#delivered, queries];
    this.#fold = new SqliteFanOutState(place, tables, (id) => this.#rows.lastIndexOf(id));
  }

  get position(): number {
    return this.#fold.position;
  }

  get witness(): Witness | undefined {
    const noted = this.#fold.noted('witness');
    return noted === undefined ? undefined : (JSON.parse(noted) as Witness);
  }

  write(changes: FanOutChanges, rows: ReadModelChanges, to: number, last: LogEvent | undefined): void {
    this.#fold.write(changes, to, () => {
      this.#rows.write(rows);
      for (const change of rows.preferences) this.#preferences.write(change);
      for (const change of rows.contacts) this.#contacts.write(change);
      for (const mark of rows.delivered) this.#delivered.write(mark);
      if (last) this.#fold.note('witness', JSON.stringify(witnessOf(last)));
    });
  }

  /** @param path of a closed `WordsFile` @throws RookeryError STATE_FILE_UNUSABLE */
  takeWords(path: string): void {
    this.#rows.takeWords(path);
  }

  /** As of `LaneFile`. */
  get isTakenAway(): boolean {
    return this.#fold.isTakenAway;
  }

  takeRebuilt(): void {
    this.#fold.takeRebuilt();
  }

  discard(): void {
    this.#fold.discard();
  }

  close(): void {
    this.#fold.close();
  }

  folded(conversation: ConversationId): FoldedConversation {
    return this.#fold.folded(conversation);
  }

  readMark(conversation: ConversationId, user: UserId): number {
    return this.#fold.readMark(conversation, user);
  }

  deliveredMark(conversation: ConversationId, user: UserId): number {
    return this.#fold.deliveredMark(conversation, user);
  }

  seen(conversation: ConversationId, by: UserId, id: ClientMsgId, at: number): Seen | undefined {
    return this.#fold.seen(conversation, by, id, at);
  }

  conversations(user: UserId, archived: boolean, after: ListPlace | undefined, limit: number): ListPage {
    return this.#list.conversations(user, archived, after, limit);
  }

  badge(user: UserId, now: number): Badge {
    return this.#list.badge(user, now);
  }

  changes(user: UserId, since: number, after: ConversationId | undefined, limit: number): ChangesPart {
    return this.#list.changes(user, since, after, limit);
  }

  preferences(user: UserId, about: ConversationId | ''): Preferences {
    const lastIndex = about === '' ? 0 : this.folded(about).conversation.lastIndex;
    return this.#preferences.of(user, about, lastIndex);
  }

  contacts(user: UserId, after: ConversationId | undefined, limit: number): ContactsPart {
    return this.#contacts.contacts(user, after, limit);
  }

  history(user: UserId, conversation: ConversationId, range: HistoryRange, limit: number): HistoryPage | undefined {
    return this.#timeline.history(user, conversation, range, limit);
  }

  edits(user: UserId, conversation: ConversationId, n: number, before: number, limit: number): VersionPage | undefined {
    return this.#timeline.edits(user, conversation, n, before, limit);
  }

  members(user: UserId, conversation: ConversationId, after: MemberPlace | undefined, limit: number) {
    return this.#timeline.members(user, conversation, after, limit);
  }

  receipts(user: UserId, conversation: ConversationId, n: number): Receipts | undefined {
    return this.#timeline.receipts(user, conversation, n);
  }

  search(user: UserId, search: Search, before: number, limit: number): SearchPart {
    return this.#search.search(user, search, before, limit);
  }

  #opened(db: Database.Database, { isBuilt }: LaneFilePlace): void {
    db.pragma(`cache_size = -${isBuilt ? BUILDING_PAGE_CACHE_KIB : PAGE_CACHE_KIB}`);
    this.#list = new ReadModelList(db);
    this.#timeline = new ReadModelTimeline(db);
    this.#search = new ReadModelSearch(db);
  }
}
