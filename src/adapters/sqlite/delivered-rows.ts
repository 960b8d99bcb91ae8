/** How far each of the two of a direct conversation has stored it: a row of the newest mark. */
import type Database from 'better-sqlite3';
import type { Receipt } from '../../ports/read-model.ts';
import type { Tables } from './lane-file.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS delivered (
    conversation TEXT NOT NULL, user TEXT NOT NULL, up_to INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
  ) WITHOUT ROWID;
`;

export class DeliveredRows implements Tables {
  readonly schema = SCHEMA;
  readonly version = '1';
  #put!: Database.Statement;

  opened(db: Database.Database): void {
    this.#put = db.prepare('INSERT OR REPLACE INTO delivered VALUES (?, ?, ?, ?)');
  }

  /** Within the caller's transaction. */
  write({ conversation, user, upTo, at }: Receipt): void {
    this.#put.run(conversation, user, upTo, at);
  }
}
