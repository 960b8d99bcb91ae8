/** What SQLite says of a file that somebody else has written, damaged it may be: in our terms. */
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { RookeryError } from '../../protocol/error-codes.ts';

/** What `work` gives. @throws RookeryError STATE_FILE_UNUSABLE for what SQLite throws */
export function usable<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw unusableFile(path, cause);
  }
}

/** The same of rows that are read one after the other. */
export function* usableRows<Row>(path: string, rows: () => IterableIterator<Row>): Generator<Row> {
  try {
    yield* rows();
  } catch (cause) {
    throw unusableFile(path, cause);
  }
}

/** Opened to be read, as it is now, whatever is written meanwhile. @throws RookeryError STATE_FILE_UNUSABLE, also where there is none */
export function openSnapshot(path: string): Database.Database {
  return usable(path, () => {
    const db = new Database(path, { readonly: true, fileMustExist: true });
    try {
      db.exec('BEGIN');
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      return db;
    } catch (cause) {
      db.close();
      throw cause;
    }
  });
}

export type StateFileKind = 'read model' | 'fan-out state';

/**
 * What is made of one log must not take the place of what another deployment's worker has, nor that of another kind of worker. A file that
 * cannot be read says nothing of itself, and is there to be replaced.
 * @throws RookeryError STATE_FILE_UNUSABLE where it follows another log, or is of another kind
 */
export function refuseOther(path: string, { log, kind }: { readonly log: string; readonly kind: StateFileKind }): void {
  const found = existsSync(path) ? aboutOf(path) : undefined;
  if (found?.kind !== undefined && found.kind !== kind) {
    const reason = `${path} is a ${found.kind} and no ${kind}; --state-dir names the folder of the worker`;
    throw new RookeryError('STATE_FILE_UNUSABLE', reason);
  }
  if (found?.log === undefined || found.log === log) return;
  const reason = `${path} follows another log: "${found.log}", not "${log}"; --state-dir names the folder of this one's worker`;
  throw new RookeryError('STATE_FILE_UNUSABLE', reason);
}

function aboutOf(path: string) {
  try {
    const db = openSnapshot(path);
    try {
      const log = db.prepare("SELECT value FROM about WHERE key = 'log'").pluck().get() as string | undefined;
      const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
      return { log, kind: kindOf(tables) };
    } finally {
      db.close();
    }
  } catch {
    return undefined;
  }
}

/** A read model has the tables of the fan-out's state, and its own. */
function kindOf(tables: readonly unknown[]): StateFileKind | undefined {
  if (tables.includes('stay')) return 'read model';
  return tables.includes('roster') ? 'fan-out state' : undefined;
}

/** @throws RookeryError STATE_FILE_UNUSABLE where it is none */
export function positionIn(path: string, db: Database.Database): number {
  const value = usable(path, () => db.prepare("SELECT value FROM about WHERE key = 'position'").pluck().get());
  const position = Number(value ?? 0);
  if (Number.isSafeInteger(position) && position >= 0) return position;
  throw new RookeryError('STATE_FILE_UNUSABLE', `${path}: its position is ${JSON.stringify(value)}`);
}

function unusableFile(path: string, cause: unknown): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause;
  return new RookeryError('STATE_FILE_UNUSABLE', `${path}: ${cause.message} (${cause.code})`, { cause });
}
