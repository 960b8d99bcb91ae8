/**
 * A worker's folder for as long as the worker has it: locked, and with the folder in which rebuilt files come. Somebody may take all of it
 * away meanwhile, as it is a cache; then the lock is on a file that nobody else finds. So it is looked after each second, and made and
 * locked anew.
 */
import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../ports/log.ts';
import { fileNumber } from './file-number.ts';
import { type FolderLock, LOCK_FILE, lockFolder } from './folder-lock.ts';
import { rebuiltFolder } from './rebuilt-file.ts';

const LOOK_EVERY_MS = 1_000;
/** Who puts a rebuilt file in its place has the lock for a moment; who has it for so many looks is another worker. */
const MAX_FAILED_LOOKS = 5;

export interface HeldFolderParts {
  readonly folder: string;
  readonly log: Log;
  /** Something may have come into the folder for rebuilt files. */
  readonly onRebuilt: () => void;
  /** Each second, when the folder is there and locked: what else is in it may have been taken away. */
  readonly onLook: () => void;
}

export class HeldFolder {
  readonly #folder: string;
  readonly #parts: HeldFolderParts;
  readonly #lost = Promise.withResolvers<never>();
  #lock: FolderLock;
  #lockNumber: string | undefined;
  #watcher: FSWatcher | undefined;
  #watched: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failed = 0;

  /** Makes and locks it; who has it is called back once `look` was. @throws RookeryError ALREADY_RUNNING when another process has it */
  constructor(parts: HeldFolderParts) {
    this.#parts = parts;
    this.#folder = parts.folder;
    this.#lost.promise.catch(() => undefined);
    mkdirSync(this.#folder, { recursive: true });
    this.#lock = this.#locked();
  }

  /** Rejects with why the folder, which was taken away, could not be had again. */
  get lost(): Promise<never> {
    return this.#lost.promise;
  }

  /** Begins to look after it, at once. */
  look(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  release(): void {
    clearInterval(this.#timer);
    this.#watcher?.close();
    this.#lock.release();
  }

  #look(): void {
    try {
      if (fileNumber(join(this.#folder, LOCK_FILE)) !== this.#lockNumber) this.#lockAnew();
      this.#watch();
      this.#parts.onRebuilt();
      this.#parts.onLook();
      this.#failed = 0;
    } catch (thrown) {
      this.#failed += 1;
      this.#parts.log.warn({ what: 'folder cannot be used', folder: this.#folder, reason: String(thrown) });
      if (this.#failed === MAX_FAILED_LOOKS) this.#lost.reject(thrown);
    }
  }

  #locked(): FolderLock {
    const lock = lockFolder(this.#folder);
    this.#lockNumber = fileNumber(join(this.#folder, LOCK_FILE));
    return lock;
  }

  #lockAnew(): void {
    mkdirSync(this.#folder, { recursive: true });
    const before = this.#lock;
    this.#lock = this.#locked();
    before.release();
    this.#parts.log.warn({ what: 'folder was taken away', folder: this.#folder });
  }

  /** For what comes between two looks: rebuilt files are the only thing that happens there. */
  #watch(): void {
    const folder = rebuiltFolder(this.#folder);
    mkdirSync(folder, { recursive: true });
    const number = fileNumber(folder);
    if (number === this.#watched && this.#watcher) return;
    this.#watcher?.close();
    this.#watcher = watch(folder, this.#parts.onRebuilt).on('error', () => undefined);
    this.#watched = number;
  }
}
