/**
 * One process a folder. SQLite's lock is the kernel's: it is gone with the process, however that one ends, and no number in a
 * file can be mistaken for somebody else's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { RookeryError } from '../../protocol/error-codes.ts';
import { usable } from './usable.ts';

export interface FolderLock {
  release(): void;
}

/** @throws RookeryError ALREADY_RUNNING, with the holder's process id; STATE_FILE_UNUSABLE where the lock itself is damaged */
export function lockFolder(folder: string): FolderLock {
  const pidFile = join(folder, 'lock.pid');
  const file = join(folder, 'lock.sqlite');
  const database = usable(file, () => new Database(file, { timeout: 0 }));
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) {
      const reason = `${file} is damaged: remove it when nobody uses the folder`;
      throw new RookeryError('STATE_FILE_UNUSABLE', reason, { cause });
    }
    const holder = readText(pidFile);
    throw new RookeryError('ALREADY_RUNNING', `${folder} is in use${holder && ` by process ${holder}`}`, { cause });
  }
  // For people alone; who holds the lock is known to the kernel.
  writeFileSync(pidFile, String(process.pid));
  return { release: () => database.close() };
}

const isBusy = (cause: unknown): boolean =>
  cause instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(cause.code);

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
