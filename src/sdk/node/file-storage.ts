/**
 * A device's state in a file, for Node: a journal of changes, each a line of JSON, written anew when it has grown.
 *
 * A line that a crash has torn is the last one, and what it said had not been promised. Any line that cannot be read is left
 * out, and `damage` says so. One client at a time: the folder is locked by a file with the process's id.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConversationId } from '../../domain/ids.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import type { OutboxEntry } from '../requests.ts';
import type { Mark, Storage, StoredCursor, StoredState } from '../storage.ts';

/** The journal is written anew when it has this many lines more than it needs. */
const MAX_SPARE_LINES = 5_000;

type Line =
  | { readonly put: OutboxEntry }
  | { readonly drop: string }
  | { readonly cursor?: StoredCursor; readonly marks: readonly (readonly [ConversationId, Mark])[] };

interface Waiting {
  readonly line: Line;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Folders in use by this process: its own id in a lock file would not tell. */
const inUse = new Set<string>();

export class FileStorage implements Storage {
  readonly #dir: string;
  readonly #outbox = new Map<string, OutboxEntry>();
  readonly #marks = new Map<ConversationId, Mark>();
  #cursor: StoredCursor | undefined;
  #damage: string | undefined;
  #lines = 0;
  #file: FileHandle | undefined;
  /** Not yet written: what comes while a flush is under way shares the next one. Bounded by the client's outbox. */
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #broken: RookeryError | undefined;

  /** @throws RookeryError STATE_FILE_UNUSABLE when another client uses the folder, or it cannot be written */
  static async open(dir: string): Promise<FileStorage> {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const storage = new FileStorage(realpathSync(dir));
      storage.#lock();
      try {
        storage.#read();
        await storage.#rewrite();
        return storage;
      } catch (error) {
        storage.#unlock();
        throw error;
      }
    } catch (error) {
      throw unusable(error);
    }
  }

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** What could not be read when it was opened, and what became of it. */
  get damage(): string | undefined {
    return this.#damage;
  }

  async load(): Promise<StoredState> {
    return { outbox: [...this.#outbox.values()], cursor: this.#cursor, marks: [...this.#marks] };
  }

  putOutbox(entry: OutboxEntry): Promise<void> {
    return this.#append({ put: entry });
  }

  deleteOutbox(key: string): Promise<void> {
    return this.#append({ drop: key });
  }

  commit(cursor: StoredCursor | undefined, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void> {
    return this.#append(cursor ? { cursor, marks } : { marks });
  }

  async close(): Promise<void> {
    await this.#writing;
    if (!this.#file) return;
    const file = this.#file;
    this.#file = undefined;
    await file.close();
    this.#unlock();
  }

  get #journal(): string {
    return join(this.#dir, 'journal.jsonl');
  }

  get #lockFile(): string {
    return join(this.#dir, 'lock');
  }

  #append(line: Line): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** One flush for all that waits. After a failure the file may end in half a line: nothing is appended to it any more. */
  async #write(): Promise<void> {
    // Who calls in the same turn is in the same portion.
    await null;
    for (let portion = this.#waiting.splice(0); portion.length > 0; portion = this.#waiting.splice(0)) {
      try {
        if (this.#broken) throw this.#broken;
        if (!this.#file) throw new RookeryError('STATE_FILE_UNUSABLE', 'the storage is closed');
        await this.#file.appendFile(portion.map(({ line }) => textOf(line)).join(''));
        await this.#file.datasync();
        for (const { line } of portion) this.#apply(line);
        this.#lines += portion.length;
        if (this.#lines > MAX_SPARE_LINES + this.#outbox.size) await this.#rewrite();
        for (const { resolve } of portion) resolve();
      } catch (error) {
        this.#broken = unusable(error);
        for (const { reject } of portion) reject(this.#broken);
      }
    }
    this.#writing = undefined;
  }

  #apply(line: Line): void {
    if ('put' in line) this.#outbox.set(line.put.key, line.put);
    else if ('drop' in line) this.#outbox.delete(line.drop);
    else {
      this.#cursor = line.cursor ?? this.#cursor;
      for (const [conversation, mark] of line.marks) this.#marks.set(conversation, mark);
    }
  }

  #read(): void {
    if (!existsSync(this.#journal)) return;
    const texts = readFileSync(this.#journal, 'utf8').split('\n');
    const torn = texts.pop() ?? '';
    let unreadable = 0;
    for (const text of texts) {
      const line = parseLine(text);
      if (line) this.#apply(line);
      else unreadable += 1;
    }
    // What was lost is a message not yet sent, or marks and a cursor: then some entries come again.
    if (unreadable > 0) {
      const aside = `${this.#journal}.damaged`;
      copyFileSync(this.#journal, aside);
      this.#damage = `${unreadable} lines of the journal could not be read and were left out; a copy is in ${aside}`;
    } else if (torn !== '') {
      this.#damage = 'the last line of the journal was torn by a crash and was left out';
    }
  }

  /** What holds now, in a new file that takes the old one's place in one step. */
  async #rewrite(): Promise<void> {
    const lines: Line[] = [...this.#outbox.values()].map((put) => ({ put }));
    lines.push({ ...(this.#cursor && { cursor: this.#cursor }), marks: [...this.#marks] });
    const next = `${this.#journal}.new`;
    const file = await open(next, 'w', 0o600);
    try {
      await file.writeFile(lines.map(textOf).join(''));
      await file.sync();
      await rename(next, this.#journal);
      await syncFolder(this.#dir);
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#file?.close();
    // The handle follows the file to its new name, and stands at its end.
    this.#file = file;
    this.#lines = lines.length;
  }

  /** Known gap: two processes that find the lock of a dead one in the same instant may both take it. */
  #lock(): void {
    const other = this.#lockOwner();
    if (other !== undefined) {
      const whom = other === process.pid ? 'another client of this process' : `process ${other}`;
      throw new RookeryError('STATE_FILE_UNUSABLE', `${whom} uses ${this.#dir} (${this.#lockFile})`);
    }
    rmSync(this.#lockFile, { force: true });
    const lock = openSync(this.#lockFile, 'wx', 0o600);
    writeSync(lock, String(process.pid));
    closeSync(lock);
    inUse.add(this.#dir);
  }

  /** The process that holds the folder, unless it is dead. */
  #lockOwner(): number | undefined {
    if (inUse.has(this.#dir)) return process.pid;
    if (!existsSync(this.#lockFile)) return undefined;
    const owner = Number(readFileSync(this.#lockFile, 'utf8'));
    // Our own number, in a lock that is not ours, is that of a dead process.
    return Number.isInteger(owner) && owner > 0 && owner !== process.pid && isRunning(owner) ? owner : undefined;
  }

  #unlock(): void {
    if (inUse.delete(this.#dir)) rmSync(this.#lockFile, { force: true });
  }
}

const textOf = (line: Line): string => `${JSON.stringify(line, bytesToText)}\n`;

/** Undefined for what is no line of ours. */
function parseLine(text: string): Line | undefined {
  try {
    const line = JSON.parse(text, textToBytes) as Record<string, unknown>;
    if ('put' in line) return typeof (line.put as OutboxEntry).key === 'string' ? (line as Line) : undefined;
    if ('drop' in line) return typeof line.drop === 'string' ? (line as Line) : undefined;
    return Array.isArray(line.marks) ? (line as Line) : undefined;
  } catch {
    return undefined;
  }
}

function bytesToText(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('body' in value) || !(value.body instanceof Uint8Array))
    return value;
  return { ...value, body: { base64: Buffer.from(value.body).toString('base64') } };
}

function textToBytes(key: string, value: unknown): unknown {
  if (key !== 'body' || typeof value !== 'object' || value === null || !('base64' in value)) return value;
  return new Uint8Array(Buffer.from(String(value.base64), 'base64'));
}

/** A rename is on the disk when its folder is. Where folders cannot be opened (Windows) the system sees to it. */
async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(dir, 'r');
  await folder.sync();
  await folder.close();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, but not ours.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function unusable(error: unknown): RookeryError {
  const known = asRookeryError(error);
  if (known.code !== 'INTERNAL') return known;
  return new RookeryError('STATE_FILE_UNUSABLE', `the storage failed: ${String(error)}`, { cause: error });
}
