/** The index of words: in the file it belongs to, or made beside it by another thread and then copied there as it is. */
import Database from 'better-sqlite3';
import { withoutJournal } from './no-journal.ts';
import { removeDatabase } from './rebuilt-file.ts';
import { usable } from './usable.ts';

/**
 * Which words stand in the messages at which positions, and no more: neither the text itself, which stands in `entry`, nor where
 * in it they stand, which is looked up in the text of what was found. So a message is a number in the list of each of its words.
 * What a word is was decided before (`search-text.ts`): to the tokenizer all that is not ASCII is part of one.
 */
export const TEXT_INDEX = `
  CREATE VIRTUAL TABLE IF NOT EXISTS message_text USING fts5 (
    text, content = '', detail = none, columnsize = 0, tokenize = "ascii tokenchars '_'"
  );
`;

/** In which FTS5 keeps such an index. */
const TABLES = ['message_text_data', 'message_text_idx', 'message_text_config'];

/** What takes in words, in the order of the log. */
export interface Words {
  /** @param document words with spaces between them */
  add(pos: number, document: string): void;
  /** @param document the very words that were added */
  remove(pos: number, document: string): void;
}

export class TextIndex implements Words {
  readonly #add: Database.Statement;
  readonly #remove: Database.Statement;

  constructor(db: Database.Database) {
    // One a statement, and no statement of several rows in between: before it FTS5 writes out what it has gathered, to be merged later.
    this.#add = db.prepare('INSERT INTO message_text (rowid, text) VALUES (?, ?)');
    this.#remove = db.prepare("INSERT INTO message_text (message_text, rowid, text) VALUES ('delete', ?, ?)");
  }

  add(pos: number, document: string): void {
    this.#add.run(pos, document);
  }

  remove(pos: number, document: string): void {
    this.#remove.run(pos, document);
  }
}

/** An index in a file of its own, which begins empty. */
export class WordsFile {
  readonly #path: string;
  readonly #db: Database.Database;
  readonly #write: (fill: (words: Words) => void) => void;

  /** @throws RookeryError STATE_FILE_UNUSABLE */
  constructor(path: string) {
    this.#path = path;
    this.#db = usable(path, () => {
      removeDatabase(path);
      return new Database(path);
    });
    withoutJournal(this.#db);
    this.#db.exec(TEXT_INDEX);
    const index = new TextIndex(this.#db);
    this.#write = this.#db.transaction((fill: (words: Words) => void) => fill(index));
  }

  /** @throws RookeryError STATE_FILE_UNUSABLE */
  write(fill: (words: Words) => void): void {
    usable(this.#path, () => this.#write(fill));
  }

  /** What was written can be taken over. */
  close(): void {
    this.#db.close();
  }

  remove(): void {
    this.#db.close();
    removeDatabase(this.#path);
  }
}

/** The index of `db`, which must not have been used yet, becomes that of a closed `WordsFile`. @throws RookeryError STATE_FILE_UNUSABLE */
export function takeWords(db: Database.Database, path: string): void {
  usable(path, () => {
    db.prepare('ATTACH ? AS apart').run(path);
    // FTS5 lets nobody but itself write these tables as long as SQLite is on the defensive.
    db.unsafeMode(true);
    db.transaction(() => {
      for (const table of TABLES) {
        db.exec(`DELETE FROM main.${table}; INSERT INTO main.${table} SELECT * FROM apart.${table}`);
      }
    })();
    db.unsafeMode(false);
    db.exec('DETACH apart');
  });
}
