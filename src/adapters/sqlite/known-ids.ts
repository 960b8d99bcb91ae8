/** Ids in a file that is gone when it is closed; nothing in it is worth a sync. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { KnownIds } from '../../ports/archive.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { withoutJournal } from './no-journal.ts';
import { makeTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

/** Written together; none of them is asked for from the file before. */
const MAX_PENDING = 20_000;
const CACHE_KIB = 65_536;

export class SqliteKnownIds implements KnownIds {
  readonly #folder: TemporaryFolder;
  readonly #db: Database.Database;
  readonly #has: Database.Statement;
  readonly #add: Database.Statement;
  readonly #newest: Database.Statement;
  readonly #setNewest: Database.Statement;
  #pending = new Set<string>();

  /** @throws RookeryError FILE_UNUSABLE */
  constructor() {
    this.#folder = makeTemporaryFolder('ids');
    this.#db = new Database(join(this.#folder.path, 'ids.sqlite'));
    withoutJournal(this.#db);
    this.#db.pragma(`cache_size = -${CACHE_KIB}`);
    this.#db.exec(`CREATE TABLE known (id TEXT PRIMARY KEY) WITHOUT ROWID;
      CREATE TABLE newest (subject TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID`);
    this.#has = this.#db.prepare('SELECT 1 FROM known WHERE id = ?').pluck();
    this.#add = this.#db.prepare('INSERT OR IGNORE INTO known VALUES (?)');
    this.#newest = this.#db.prepare('SELECT id FROM newest WHERE subject = ?').pluck();
    this.#setNewest = this.#db.prepare('INSERT OR REPLACE INTO newest VALUES (?, ?)');
  }

  has(id: string): boolean {
    return this.#pending.has(id) || this.#has.get(id) !== undefined;
  }

  add(id: string): void {
    this.#pending.add(id);
    if (this.#pending.size >= MAX_PENDING) this.#write();
  }

  newest(subject: string): string | undefined {
    return this.#newest.get(subject) as string | undefined;
  }

  setNewest(subject: string, id: string): void {
    this.#setNewest.run(subject, id);
  }

  close(): void {
    this.#db.close();
    this.#folder.remove();
  }

  #write(): void {
    // In order: neighbours in the file are written together.
    const ids = [...this.#pending].sort();
    try {
      this.#db.transaction(() => {
        for (const id of ids) this.#add.run(id);
      })();
    } catch (cause) {
      throw new RookeryError('FILE_UNUSABLE', `${this.#folder.path}: ${String(cause)}`, { cause });
    }
    this.#pending = new Set();
  }
}
