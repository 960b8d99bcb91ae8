/**
 * One SQLite file of what was folded from one lane's log: a cache of that log, with the position it has reached.
 *
 * WAL with `synchronous = NORMAL`: after a power loss the file may be some commits old, never torn. That is enough, since
 * what it lacks is folded again from the log.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { RookeryError } from '../../protocol/error-codes.ts';
import { fileNumber } from './file-number.ts';
import { withoutJournal } from './no-journal.ts';
import { removeDatabase, takeRebuilt } from './rebuilt-file.ts';

const IN_MEMORY = ':memory:';

/**
 * Pages of the journal after which they are carried over into the file, 64 MB: a page that many windows change is then carried over
 * once, not once a window.
 */
const CHECKPOINT_EVERY_PAGES = 16_384;

export interface LaneFilePlace {
  /** Path of the SQLite file; `:memory:` keeps it out of the file system. */
  readonly path: string;
  /** Identity of the log it belongs to: the CONV stream's name and creation time. */
  readonly log: string;
  /**
   * Nobody but who writes it opens it before it is closed and whole: it gets no journal, and who is killed meanwhile leaves a file
   * that is of no use. What is in it is on the disk when it was synced by whoever puts it in use.
   */
  readonly isBuilt?: true;
}

/** Tables of such a file. Those of another version, or of another log, are thrown away with the file. */
export interface Tables {
  /** Statements that do nothing where the tables are there. */
  readonly schema: string;
  readonly version: string;
  /** Called when the file is opened, and again when it was made anew: statements are prepared here. */
  opened(db: Database.Database): void;
}

const ABOUT = 'CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;';

export class LaneFile {
  readonly #place: LaneFilePlace;
  readonly #tables: readonly Tables[];
  #db!: Database.Database;
  #get!: Database.Statement;
  #put!: Database.Statement;
  #position = 0;
  /** Of the file that is open. */
  #number: string | undefined;

  /** @throws RookeryError STATE_FILE_UNUSABLE when the file can be neither used nor replaced */
  constructor(place: LaneFilePlace, tables: readonly Tables[]) {
    this.#place = place;
    this.#tables = tables;
    this.#open();
  }

  /** Position of the newest event that is in the file; 0 for an empty one. */
  get position(): number {
    return this.#position;
  }

  /** Somebody has taken the file away, or put another one in its place: what is written goes where nobody finds it. */
  get isTakenAway(): boolean {
    return fileNumber(this.#place.path) !== this.#number;
  }

  /** What `write` writes, and the position, in one transaction. @throws RookeryError STATE_FILE_UNUSABLE */
  commit(position: number, write: () => void): void {
    const transaction = this.#db.transaction(() => {
      write();
      this.note('position', String(position));
    });
    this.guarded(transaction);
    this.#position = position;
  }

  /** What was noted about the file itself. */
  noted(key: string): string | undefined {
    return this.#get.get(key) as string | undefined;
  }

  note(key: string, value: string): void {
    this.#put.run(key, value);
  }

  /** What `work` gives; what it throws is the file's trouble, and told from that of whoever asked. */
  guarded<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (cause) {
      throw new RookeryError('STATE_FILE_UNUSABLE', `cannot use ${this.#place.path}: ${String(cause)}`, { cause });
    }
  }

  discard(): void {
    this.#db.close();
    removeFiles(this.#place.path);
    this.#open();
  }

  /** Opened anew: a file that was built beside it takes its place. */
  reopen(): void {
    this.#db.close();
    this.#open();
  }

  close(): void {
    this.#db.close();
  }

  #open(): void {
    const { path, log } = this.#place;
    const version = this.#tables.map((tables) => tables.version).join('.');
    this.guarded(() => {
      if (path !== IN_MEMORY) takeRebuilt(path);
      try {
        this.#use(path);
      } catch {
        // Damaged, or no database at all: it is only a cache, so a new one takes its place.
        removeFiles(path);
        this.#use(path);
      }
      if (this.noted('log') !== log || this.noted('schema') !== version) {
        this.#db.close();
        removeFiles(path);
        this.#use(path);
        this.note('log', log);
        this.note('schema', version);
      }
      for (const tables of this.#tables) tables.opened(this.#db);
    });
    this.#position = Number(this.noted('position') ?? 0);
    this.#number = fileNumber(this.#place.path);
  }

  #use(path: string): void {
    if (path !== IN_MEMORY) mkdirSync(dirname(path), { recursive: true });
    this.#db = new Database(path);
    if (this.#place.isBuilt) withoutJournal(this.#db);
    else {
      this.#db.pragma('journal_mode = WAL');
      this.#db.pragma('synchronous = NORMAL');
    }
    // Also what a statement of several rows would have to undo: a page in a temporary file cost as much as it did in the journal.
    this.#db.pragma('temp_store = MEMORY');
    this.#db.pragma(`wal_autocheckpoint = ${CHECKPOINT_EVERY_PAGES}`);
    this.#db.exec(ABOUT);
    for (const { schema } of this.#tables) this.#db.exec(schema);
    this.#get = this.#db.prepare('SELECT value FROM about WHERE key = ?').pluck();
    this.#put = this.#db.prepare('INSERT OR REPLACE INTO about VALUES (?, ?)');
  }
}

function removeFiles(path: string): void {
  if (path !== IN_MEMORY) removeDatabase(path);
}
