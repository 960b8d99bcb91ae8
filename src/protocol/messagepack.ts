import { Packr } from 'msgpackr';

/** MessagePack as all our bytes are written: plain maps, no msgpackr records, so that any MessagePack library reads them. */
export const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/** Maps and lists within one another; our own frames have five. */
const MAX_DEPTH = 16;

/**
 * Whether bytes from outside are one plain MessagePack value: no extension types (some of msgpackr's build things that cost
 * far more than their bytes), no length that the bytes behind it cannot hold, no deep nesting. One pass, nothing allocated.
 */
export function isPlainMessagePack(data: Uint8Array): boolean {
  const scan = new Scan(data);
  return scan.value(0) && scan.at === data.length;
}

class Scan {
  readonly #view: DataView;
  readonly #end: number;
  at = 0;

  constructor(data: Uint8Array) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#end = data.byteLength;
  }

  value(depth: number): boolean {
    if (this.at >= this.#end || depth > MAX_DEPTH) return false;
    const type = this.#view.getUint8(this.at++);
    if (type <= 0x7f || type >= 0xe0) return true;
    if (type <= 0x8f) return this.#values(2 * (type & 0x0f), depth);
    if (type <= 0x9f) return this.#values(type & 0x0f, depth);
    if (type <= 0xbf) return this.#skip(type & 0x1f);
    switch (type) {
      case 0xc0: // nil, false, true
      case 0xc2:
      case 0xc3:
        return true;
      case 0xc4: // bin 8, 16, 32
      case 0xd9: // str 8, 16, 32
        return this.#skip(this.#length(1));
      case 0xc5:
      case 0xda:
        return this.#skip(this.#length(2));
      case 0xc6:
      case 0xdb:
        return this.#skip(this.#length(4));
      case 0xcc: // numbers, by their size
      case 0xd0:
        return this.#skip(1);
      case 0xcd:
      case 0xd1:
        return this.#skip(2);
      case 0xca:
      case 0xce:
      case 0xd2:
        return this.#skip(4);
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return this.#skip(8);
      case 0xdc:
        return this.#values(this.#length(2), depth);
      case 0xdd:
        return this.#values(this.#length(4), depth);
      case 0xde:
        return this.#values(2 * this.#length(2), depth);
      case 0xdf:
        return this.#values(2 * this.#length(4), depth);
      default: // extensions, and what no version of MessagePack has
        return false;
    }
  }

  #values(count: number, depth: number): boolean {
    if (count > this.#end - this.at) return false;
    for (let i = 0; i < count; i++) if (!this.value(depth + 1)) return false;
    return true;
  }

  #skip(bytes: number): boolean {
    this.at += bytes;
    return this.at <= this.#end;
  }

  /** A length of so many bytes; one that is cut off is longer than anything. */
  #length(bytes: 1 | 2 | 4): number {
    const at = this.at;
    this.at += bytes;
    if (this.at > this.#end) return Number.POSITIVE_INFINITY;
    return bytes === 1 ? this.#view.getUint8(at) : bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }
}
