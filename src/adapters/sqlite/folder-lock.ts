/**
 * One process a folder. SQLite's lock is the kernel's: it is gone with the process, however that one ends, and no number in a
 * file can be mistaken for somebody else's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { RookeryError } from '../../protocol/error-codes.ts';

export interface FolderLock {
  release(): void;
}

/** @throws RookeryError ALREADY_RUNNING, with the holder's process id */
export function lockFolder(folder: string): FolderLock {
  const pidFile = join(folder, 'lock.pid');
  const database = new Database(join(folder, 'lock.sqlite'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    const holder = readText(pidFile);
    throw new RookeryError('ALREADY_RUNNING', `${folder} is in use${holder && ` by process ${holder}`}`, { cause });
  }
  // For people alone; who holds the lock is known to the kernel.
  writeFileSync(pidFile, String(process.pid));
  return { release: () => database.close() };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
