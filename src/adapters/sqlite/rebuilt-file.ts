/**
 * A file that was built beside the one in use, and takes its place. It comes into `rebuilt/` whole, by a rename, and from that
 * moment on it is the one that counts: whoever opens the file in use takes it first. So it does not matter who is killed when:
 * before the rename nothing has happened, after it the next one to open the file finishes what was begun.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** In which finished files wait, a folder beside the file in use. */
export const rebuiltFolder = (folder: string): string => join(folder, 'rebuilt');
/** In which files are built. */
export const buildingFolder = (folder: string): string => join(folder, 'rebuilding');

/** A worker takes a rebuilt file between two windows, or with its next term; one that does not in this time takes it at its next start. */
const TAKEN_WITHIN_MS = 30_000;

/** A worker that runs has taken it by then. */
const TOLD_AFTER_MS = 2_000;

const waitingFor = (path: string): string => join(rebuiltFolder(dirname(path)), basename(path));

/** Whether one waits to take the place of `path`. */
export const isRebuilt = (path: string): boolean => existsSync(waitingFor(path));

/** Of a closed file, which then waits to take the place of `path`. */
export function publishRebuilt(built: string, path: string): void {
  mkdirSync(dirname(waitingFor(path)), { recursive: true });
  synced(built);
  renameSync(built, waitingFor(path));
  synced(dirname(waitingFor(path)));
}

/** Nobody may have `path` open. Its journal goes with it: SQLite would play it into the new file. */
export function takeRebuilt(path: string): boolean {
  if (!isRebuilt(path)) return false;
  removeDatabase(path);
  renameSync(waitingFor(path), path);
  synced(dirname(path));
  return true;
}

/**
 * Whether what waits to take the place of `path` is taken by who has it open; false after a while.
 * @param onWaiting called once, when that takes longer than it does with a worker that runs
 */
export function whenTaken(path: string, onWaiting?: () => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const settle = (): void => {
    if (!isRebuilt(path)) resolve(true);
  };
  const watcher = watch(dirname(waitingFor(path)), settle);
  const timer = setTimeout(() => resolve(!isRebuilt(path)), TAKEN_WITHIN_MS);
  const telling = setTimeout(() => onWaiting?.(), TOLD_AFTER_MS);
  settle();
  return promise.finally(() => {
    watcher.close();
    clearTimeout(timer);
    clearTimeout(telling);
  });
}

export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
}

function synced(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
