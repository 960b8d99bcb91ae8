/**
 * A lock that is a process's for as long as it lives, by a file that SQLite locks. The lock is the kernel's: it is gone with the process,
 * however that one ends, and no number in a file can be mistaken for somebody else's.
 */
import { closeSync, lstatSync, openSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { RookeryError } from '../../protocol/error-codes.ts';
import { usable } from './usable.ts';

export interface FileLock {
  release(): void;
}

/** Whoever forgets to let go of one keeps it: a connection that the garbage collector closes would let go of its lock. */
const held = new Set<Database.Database>();

/** Others that come and go just when it is looked who holds it. */
const MAX_ATTEMPTS = 100;
const OWNER_ALONE = 0o600;

/** Undefined where somebody else holds it, of this process or another. The file stays. @throws RookeryError STATE_FILE_UNUSABLE */
export function tryLockFile(file: string): FileLock | undefined {
  const database = usable(file, () => new Database(file, { timeout: 0 }));
  try {
    // Nothing is ever written: a journal beside it would stay behind a process that was killed.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (isBusy(cause)) return undefined;
    const reason = isDamaged(cause) ? ' is damaged: remove it when nobody uses the folder' : `: ${String(cause)}`;
    throw new RookeryError('STATE_FILE_UNUSABLE', `${file}${reason}`, { cause });
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      database.close();
    },
  };
}

/** Whether another process has it locked. */
export function isLockedFile(file: string): boolean {
  try {
    const database = new Database(file, { timeout: 0, readonly: true, fileMustExist: true });
    try {
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
      return false;
    } finally {
      database.close();
    }
  } catch (cause) {
    return isBusy(cause);
  }
}

/**
 * The same by a file that is there only while somebody holds it, or was killed while they did: then it blocks nobody. Undefined where
 * somebody else holds it.
 * @throws RookeryError FILE_UNUSABLE, also where something else stands there, which stays as it is; or what the file system says
 */
export function tryLockPassingFile(file: string): FileLock | undefined {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    make(file);
    const before = identityOf(file);
    if (before === undefined) continue;
    let lock: FileLock | undefined;
    try {
      lock = tryLockFile(file);
      if (!lock) return undefined;
    } catch (cause) {
      // SQLite looks at the file while it is opened, and does not like one that goes away meanwhile.
      if (identityOf(file) === before) throw cause;
      continue;
    }
    // Who held it before has taken the file away meanwhile: what is locked now is a file that nobody else finds.
    if (identityOf(file) === before) return passing(file, lock);
    lock.release();
  }
  return undefined;
}

function passing(file: string, lock: FileLock): FileLock {
  let isHeld = true;
  return {
    release: () => {
      // The file is taken away before the lock: behind it, it may be the next one's.
      if (isHeld) rmSync(file, { force: true });
      isHeld = false;
      lock.release();
    },
  };
}

/** Never opens one that is there: to close it again would take away this process's own lock on it, as POSIX has it. */
function make(file: string): void {
  try {
    closeSync(openSync(file, 'wx', OWNER_ALONE));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
  }
}

/** Undefined where it is gone. With the time it was made: numbers of files are given again. @throws RookeryError FILE_UNUSABLE */
function identityOf(file: string): string | undefined {
  const at = lstatSync(file, { bigint: true, throwIfNoEntry: false });
  if (!at) return undefined;
  if (!at.isFile() || at.size > 0n)
    throw new RookeryError('FILE_UNUSABLE', `${file} is there and is no lock of Rookery: move it away`);
  return `${at.dev} ${at.ino} ${at.birthtimeNs}`;
}

const isDamaged = (cause: unknown): boolean =>
  cause instanceof Database.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(cause.code);

const isBusy = (cause: unknown): boolean =>
  cause instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(cause.code);
