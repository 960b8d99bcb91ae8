/**
 * Words on their way to the thread that indexes them, as bytes. A record: position f64 · length u32 with the highest bit set where they
 * are taken out · UTF-8.
 */
import type { Words } from '../adapters/sqlite/text-index.ts';

export type PackedWords = Uint8Array<ArrayBuffer>;

const HEAD_BYTES = 8 + 4;
const REMOVED = 2 ** 31;
/** A portion; the last document may be over it. */
const PORTION_BYTES = 1_048_576;
const MAX_BYTES_PER_UNIT = 3;

export class WordsPacker implements Words {
  readonly #send: (portion: PackedWords) => void;
  #buffer = Buffer.alloc(0);
  #used = 0;

  /** @param send its buffer is the taker's */
  constructor(send: (portion: PackedWords) => void) {
    this.#send = send;
  }

  add(pos: number, document: string): void {
    this.#put(pos, document, 0);
  }

  remove(pos: number, document: string): void {
    this.#put(pos, document, REMOVED);
  }

  /** All that was added and not yet sent. */
  flush(): void {
    if (this.#used === 0) return;
    const portion = new Uint8Array(this.#buffer.buffer as ArrayBuffer, 0, this.#used);
    this.#buffer = Buffer.alloc(0);
    this.#used = 0;
    this.#send(portion);
  }

  #put(pos: number, document: string, flag: number): void {
    const atMost = HEAD_BYTES + MAX_BYTES_PER_UNIT * document.length;
    if (this.#used + atMost > this.#buffer.length) {
      this.flush();
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(PORTION_BYTES, atMost));
    }
    const at = this.#used;
    const length = this.#buffer.write(document, at + HEAD_BYTES);
    this.#buffer.writeDoubleLE(pos, at);
    this.#buffer.writeUInt32LE(length + flag, at + 8);
    this.#used = at + HEAD_BYTES + length;
  }
}

export function unpackWords(portion: PackedWords, words: Words): void {
  const buffer = Buffer.from(portion.buffer, portion.byteOffset, portion.length);
  for (let at = 0; at < buffer.length; ) {
    const pos = buffer.readDoubleLE(at);
    const told = buffer.readUInt32LE(at + 8);
    const start = at + HEAD_BYTES;
    at = start + (told % REMOVED);
    const document = buffer.toString('utf8', start, at);
    if (told >= REMOVED) words.remove(pos, document);
    else words.add(pos, document);
  }
}
