/**
 * Folders of the system's temporary one, each for one work. Whoever made one holds a lock in it until it is gone; so what a process left
 * that was killed is known by that nobody holds it, and goes when the next one is made.
 */
import { lstatSync, mkdtempSync, opendirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RookeryError } from '../../protocol/error-codes.ts';
import { type FileLock, tryLockFile } from './file-lock.ts';

export interface TemporaryFolder {
  readonly path: string;
  /** With all that is in it. */
  remove(): void;
}

const WORKS = ['verify', 'past', 'replay', 'ids', 'shadow'] as const;
export type TemporaryWork = (typeof WORKS)[number];

const OURS = new RegExp(`^rookery-(${WORKS.join('|')})-[A-Za-z0-9]{6}$`);
/** What is about to be removed: nobody who comes later finds it by its name. */
const GONE = /^rookery-gone-[A-Za-z0-9]{6}$/;
const LOCK = 'lock.sqlite';
/** Of the temporary folder, each time one of ours is made: more is left for the next time. */
const MAX_LOOKED_AT = 20_000;
const MAX_REMOVED = 16;
/** Without any lock: made this moment, of an older version that may be at work, or left by one. */
const MAX_UNLOCKED_MS = 24 * 3_600_000;
/** Only who looks for what was left comes between making a folder and locking it. */
const MAX_ATTEMPTS = 10;

/** @throws RookeryError FILE_UNUSABLE */
export function makeTemporaryFolder(work: TemporaryWork, within = tmpdir()): TemporaryFolder {
  removeLeft(within);
  try {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const path = mkdtempSync(join(within, `rookery-${work}-`));
      const lock = lockIn(path);
      if (lock) return { path, remove: () => remove(path, lock) };
    }
  } catch (cause) {
    throw new RookeryError('FILE_UNUSABLE', `no temporary folder in ${within}: ${(cause as Error).message}`, { cause });
  }
  throw new RookeryError('FILE_UNUSABLE', `no temporary folder in ${within}: others remove it at once`);
}

/** Undefined where somebody took it for one that was left: it is theirs to remove. */
function lockIn(path: string): FileLock | undefined {
  const file = join(path, LOCK);
  let lock: FileLock | undefined;
  try {
    lock = tryLockFile(file);
  } catch (cause) {
    if (lstatSync(path, { throwIfNoEntry: false })) throw cause;
    return undefined;
  }
  // Who removes renames it first, with the lock in their hands: where the file still is, they came too late.
  if (!lock || lstatSync(file, { throwIfNoEntry: false })) return lock;
  lock.release();
  return undefined;
}

function remove(path: string, lock: FileLock): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // The work is done: what stays, as where somebody looks into it just now, goes with the next one.
  } finally {
    lock.release();
  }
}

/** What cannot be looked at, or not removed, stays: it is in nobody's way. */
function removeLeft(within: string): void {
  try {
    const folder = opendirSync(within);
    try {
      let removed = 0;
      for (let looked = 0; looked < MAX_LOOKED_AT && removed < MAX_REMOVED; looked++) {
        const entry = folder.readSync();
        if (!entry) return;
        if (removeIfLeft(within, entry.name)) removed += 1;
      }
    } finally {
      folder.closeSync();
    }
  } catch {}
}

function removeIfLeft(within: string, name: string): boolean {
  if (!OURS.test(name) && !GONE.test(name)) return false;
  const path = join(within, name);
  try {
    if (!isOwn(path)) return false;
    if (GONE.test(name)) {
      rmSync(path, { recursive: true, force: true });
      return true;
    }
    const file = join(path, LOCK);
    if (!lstatSync(file, { throwIfNoEntry: false }) && !isOld(path)) return false;
    const lock = tryLockFile(file);
    if (!lock) return false;
    try {
      const gone = join(within, `rookery-gone-${name.slice(-6)}`);
      renameSync(path, gone);
      rmSync(gone, { recursive: true, force: true });
      return true;
    } finally {
      lock.release();
    }
  } catch {
    return false;
  }
}

/** Made by this user, for nobody else to look into, and no link to elsewhere. */
function isOwn(path: string): boolean {
  const at = lstatSync(path);
  return at.isDirectory() && at.uid === process.getuid?.() && (at.mode & 0o077) === 0;
}

const isOld = (path: string): boolean => Date.now() - lstatSync(path).mtimeMs > MAX_UNLOCKED_MS;
