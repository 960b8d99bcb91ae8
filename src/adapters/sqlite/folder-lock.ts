/** One process a folder. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RookeryError } from '../../protocol/error-codes.ts';
import { type FileLock, isLockedFile, tryLockFile } from './file-lock.ts';

/** In the folder that is locked. */
export const LOCK_FILE = 'lock.sqlite';

export type FolderLock = FileLock;

/** @throws RookeryError ALREADY_RUNNING, with the holder's process id; STATE_FILE_UNUSABLE where the lock itself is damaged */
export function lockFolder(folder: string): FolderLock {
  const pidFile = join(folder, 'lock.pid');
  const lock = tryLockFile(join(folder, LOCK_FILE));
  if (!lock) {
    const holder = readText(pidFile);
    throw new RookeryError('ALREADY_RUNNING', `${folder} is in use${holder && ` by process ${holder}`}`);
  }
  // For people alone; who holds the lock is known to the kernel.
  writeFileSync(pidFile, String(process.pid));
  return lock;
}

/**
 * Id of the process that has the folder; undefined where none has. Who is about to lock it is not in its way: it is asked of the lock only
 * while the process lives that had it last.
 */
export function holderOf(folder: string): number | undefined {
  const pid = Number(readText(join(folder, 'lock.pid')));
  return isAlive(pid) && isLockedFile(join(folder, LOCK_FILE)) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
