/**
 * The events that a log is full of, read by hand: messages and read marks as `sealed` writes them today, field by field in that order.
 * Whatever else stands there is not read here, and left to who reads everything. In a third of the time, and half of what the fold does
 * afterwards is faster too: types are constants, and names that come again and again are the same string.
 */
import type { ConversationEvent } from '../domain/conversation.ts';
import { parseClientMsgId, type UserId } from '../domain/ids.ts';
import { packr } from './messagepack.ts';

const MAP_16 = 0xde;
const [STRING_8, BINARY_8, BINARY_16] = [0xd9, 0xc4, 0xc5];
const [UINT_8, UINT_16, UINT_32] = [0xcc, 0xcd, 0xce];
const MAP_HEAD_BYTES = 3;
const DELETE = 0x7f;

const keyBytes = (key: string): Uint8Array => new Uint8Array(packr.pack(key));
const [BY, ID, CONTENT_TYPE, BODY, UP_TO] = ['by', 'id', 'contentType', 'body', 'upTo'].map(keyBytes) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
/** Behind the map's head: version and type. */
const headBytes = (v: number, type: string): Uint8Array =>
  new Uint8Array(packr.pack({ v, type })).slice(MAP_HEAD_BYTES);

export class QuickEvents {
  readonly #message: Uint8Array;
  readonly #read: Uint8Array;
  #data: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** @param version the one that is written today */
  constructor(version: number) {
    this.#message = headBytes(version, 'messageSent');
    this.#read = headBytes(version, 'conversationRead');
  }

  /** Undefined where it is something else, or anything is unusual about it. Its body is a view. */
  read(data: Uint8Array, start = 0, end = data.length): ConversationEvent | undefined {
    if (data[start] !== MAP_16 || data[start + 1] !== 0) return undefined;
    this.#data = data;
    this.#at = start + MAP_HEAD_BYTES;
    this.#end = end;
    const fields = data[start + 2];
    if (fields === 6 && this.#passes(this.#message)) return this.#messageSent();
    if (fields === 5 && this.#passes(this.#read)) return this.#conversationRead();
    return undefined;
  }

  #messageSent(): ConversationEvent | undefined {
    const by = this.#passes(BY) ? this.#name() : undefined;
    const id = by !== undefined && this.#passes(ID) ? parseClientMsgId(this.#text()) : undefined;
    const contentType = id !== undefined && this.#passes(CONTENT_TYPE) ? this.#name() : undefined;
    const body = contentType !== undefined && this.#passes(BODY) ? this.#binary() : undefined;
    if (!body || this.#at !== this.#end) return undefined;
    return { type: 'messageSent', by, id, contentType, body } as ConversationEvent;
  }

  #conversationRead(): ConversationEvent | undefined {
    const by = this.#passes(BY) ? this.#name() : undefined;
    const id = by !== undefined && this.#passes(ID) ? parseClientMsgId(this.#text()) : undefined;
    const upTo = id !== undefined && this.#passes(UP_TO) ? this.#number() : undefined;
    if (upTo === undefined || this.#at !== this.#end) return undefined;
    return { type: 'conversationRead', by, id, upTo } as ConversationEvent;
  }

  #passes(bytes: Uint8Array): boolean {
    const [data, at] = [this.#data, this.#at];
    for (let i = 0; i < bytes.length; i++) if (data[at + i] !== bytes[i]) return false;
    this.#at = at + bytes.length;
    return true;
  }

  /** Where the string that begins here begins and how long it is; undefined unless it is short ASCII without controls. */
  #plain(): number | undefined {
    const data = this.#data;
    const head = data[this.#at++] as number;
    const length = head >= 0xa0 && head <= 0xbf ? head - 0xa0 : head === STRING_8 ? (data[this.#at++] as number) : 0;
    const end = this.#at + length;
    // No id is longer, nor any usual type of a content; and none of them is empty.
    if (length === 0 || length > MAX_LENGTH || end > this.#end) return undefined;
    for (let i = this.#at; i < end; i++) {
      const byte = data[i] as number;
      if (byte < 0x20 || byte >= DELETE) return undefined;
    }
    return length;
  }

  #text(): string | undefined {
    const length = this.#plain();
    if (length === undefined) return undefined;
    const start = this.#at;
    this.#at = start + length;
    return textAt(this.#data, start, length);
  }

  /** One that was read before, mostly: then it is the same string. */
  #name(): UserId | undefined {
    const length = this.#plain();
    if (length === undefined) return undefined;
    const [data, start] = [this.#data, this.#at];
    this.#at = start + length;
    let hash = length;
    for (let i = start; i < this.#at; i++) hash = Math.imul(hash ^ (data[i] as number), 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (NAMES - 1);
    const known = names[slot];
    if (known !== undefined && isAt(known, data, start, length)) return known as UserId;
    return (names[slot] = textAt(data, start, length)) as UserId;
  }

  #binary(): Uint8Array | undefined {
    const data = this.#data;
    const head = data[this.#at++];
    let length: number;
    if (head === BINARY_8) length = data[this.#at++] as number;
    else if (head === BINARY_16) length = this.#bigEndian(2);
    else return undefined;
    const start = this.#at;
    this.#at = start + length;
    return this.#at <= this.#end ? data.subarray(start, this.#at) : undefined;
  }

  #number(): number | undefined {
    const head = this.#data[this.#at++] as number;
    if (head < 0x80) return head;
    const bytes = head === UINT_8 ? 1 : head === UINT_16 ? 2 : head === UINT_32 ? 4 : 0;
    return bytes === 0 ? undefined : this.#bigEndian(bytes);
  }

  #bigEndian(bytes: number): number {
    let value = 0;
    for (const end = this.#at + bytes; this.#at < end; this.#at++) value = 256 * value + (this.#data[this.#at] ?? 0);
    return value;
  }
}

const MAX_LENGTH = 64;
/** A power of two. */
const NAMES = 4_096;
const names: string[] = Array(NAMES);

function isAt(text: string, data: Uint8Array, start: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== data[start + i]) return false;
  return true;
}

/** By length; used again and again: an array is given to a function of many arguments in half the time that a view of bytes is. */
const codes = Array.from({ length: MAX_LENGTH + 1 }, (_, length) => Array<number>(length).fill(0));

function textAt(data: Uint8Array, start: number, length: number): string {
  const units = codes[length] as number[];
  for (let i = 0; i < length; i++) units[i] = data[start + i] as number;
  return String.fromCharCode.apply(null, units);
}
