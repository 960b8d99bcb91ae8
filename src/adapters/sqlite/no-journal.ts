/** For files that nobody keeps, or that nobody asks before they are whole. */
import type Database from 'better-sqlite3';

/**
 * Nothing is noted by which a change could be undone, and nothing is synced: after a transaction that failed the file is of no use.
 * SQLite on the defensive, as better-sqlite3 opens it, answers `delete` and keeps a journal.
 */
export function withoutJournal(db: Database.Database): void {
  db.unsafeMode(true);
  db.pragma('journal_mode = OFF');
  db.pragma('synchronous = OFF');
  db.unsafeMode(false);
}
