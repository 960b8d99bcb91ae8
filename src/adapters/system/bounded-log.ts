/** A child's output in a file that cannot grow without end: at its bound it is moved aside, one older one is kept. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_BYTES = 16 * 1_024 * 1_024;
/** Kept in memory, to say why a child has died. */
const MAX_TAIL_CHARS = 4_096;

export class BoundedLog {
  readonly path: string;
  readonly #maxBytes: number;
  #fd: number;
  #bytes: number;
  #tail = '';
  #closed = false;

  constructor(path: string, maxBytes = MAX_BYTES) {
    this.path = path;
    this.#maxBytes = maxBytes;
    mkdirSync(dirname(path), { recursive: true });
    this.#fd = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** After `close` it does nothing: a pipe may bring its last words late. */
  write(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#bytes > 0 && this.#bytes + chunk.length > this.#maxBytes) this.#turnOver();
    writeSync(this.#fd, chunk);
    this.#bytes += chunk.length;
    this.#tail = (this.#tail + chunk.toString()).slice(-MAX_TAIL_CHARS);
  }

  /** The last lines that were written. */
  tail(lines = 5): string {
    return this.#tail.trimEnd().split('\n').slice(-lines).join('\n');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  #turnOver(): void {
    closeSync(this.#fd);
    renameSync(this.path, `${this.path}.1`);
    this.#fd = openSync(this.path, 'w', 0o600);
    this.#bytes = 0;
  }
}
