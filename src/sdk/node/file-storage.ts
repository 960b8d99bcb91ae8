/**
 * A device's state in a file, for Node: a journal of changes, each a line of JSON, written anew when it has grown.
 *
 * A line that was torn by a crash is the last one, and what it said had not been promised: it is left out. One client at a
 * time: the folder is locked by a file with the process's id.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConversationId } from '../../domain/ids.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Cursor } from '../../protocol/frames.ts';
import type { OutboxEntry } from '../outbox.ts';
import type { Mark, Storage, StoredState } from '../storage.ts';

/** The journal is written anew when it has this many lines more than it needs. */
const MAX_SPARE_LINES = 5_000;

type Line =
  | { readonly put: OutboxEntry }
  | { readonly drop: string }
  | { readonly cursor: Cursor; readonly marks: readonly (readonly [ConversationId, Mark])[] };

export class FileStorage implements Storage {
  readonly #dir: string;
  readonly #outbox = new Map<string, OutboxEntry>();
  readonly #marks = new Map<ConversationId, Mark>();
  #cursor: Cursor | undefined;
  #lines = 0;
  #file: FileHandle | undefined;

  /** @throws RookeryError STATE_FILE_UNUSABLE when another process uses the folder */
  static async open(dir: string): Promise<FileStorage> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    lock(join(dir, 'lock'));
    const storage = new FileStorage(dir);
    storage.#read();
    await storage.#rewrite();
    return storage;
  }

  private constructor(dir: string) {
    this.#dir = dir;
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

  commit(cursor: Cursor, marks: readonly (readonly [ConversationId, Mark])[]): Promise<void> {
    return this.#append({ cursor, marks });
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    rmSync(join(this.#dir, 'lock'), { force: true });
  }

  get #path(): string {
    return join(this.#dir, 'journal.jsonl');
  }

  async #append(line: Line): Promise<void> {
    if (!this.#file) throw new RookeryError('STATE_FILE_UNUSABLE', 'the storage is closed');
    await this.#file.appendFile(`${JSON.stringify(line, bytesToText)}\n`);
    await this.#file.datasync();
    this.#apply(line);
    this.#lines += 1;
    if (this.#lines > MAX_SPARE_LINES + this.#outbox.size) await this.#rewrite();
  }

  #apply(line: Line): void {
    if ('put' in line) this.#outbox.set(line.put.key, line.put);
    else if ('drop' in line) this.#outbox.delete(line.drop);
    else {
      this.#cursor = line.cursor;
      for (const [conversation, mark] of line.marks) this.#marks.set(conversation, mark);
    }
  }

  #read(): void {
    if (!existsSync(this.#path)) return;
    for (const text of readFileSync(this.#path, 'utf8').split('\n')) {
      if (text === '') continue;
      try {
        this.#apply(JSON.parse(text, textToBytes) as Line);
      } catch {
        return;
      }
    }
  }

  async #rewrite(): Promise<void> {
    const lines: Line[] = [...this.#outbox.values()].map((put) => ({ put }));
    if (this.#cursor) lines.push({ cursor: this.#cursor, marks: [...this.#marks] });
    const temporary = `${this.#path}.new`;
    const file = await open(temporary, 'w', 0o600);
    await file.writeFile(lines.map((line) => `${JSON.stringify(line, bytesToText)}\n`).join(''));
    await file.datasync();
    await rename(temporary, this.#path);
    await this.#file?.close();
    // The handle follows the file to its new name; it appends, since its position is the end.
    this.#file = file;
    this.#lines = lines.length;
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

function lock(file: string): void {
  const other = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (other && other !== process.pid && isRunning(other)) {
    throw new RookeryError('STATE_FILE_UNUSABLE', `process ${other} uses this folder`);
  }
  writeFileSync(file, String(process.pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
