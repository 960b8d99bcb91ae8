/**
 * The two encodings of a frame. Both give plain objects; nothing is validated here beyond being well-formed
 * (validation.ts does that), and both throw RookeryError BAD_FRAME for what is not.
 */

import { RookeryError } from './error-codes.ts';
import { SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK } from './frames.ts';
import { isPlainMessagePack, packr } from './messagepack.ts';

export interface Codec {
  readonly subprotocol: typeof SUBPROTOCOL_MSGPACK | typeof SUBPROTOCOL_JSON;
  /** Whether its frames are binary WebSocket messages. */
  readonly binary: boolean;
  encode(frame: object): Uint8Array;
  /** @throws RookeryError BAD_FRAME */
  decode(data: Uint8Array): unknown;
}

export const msgpackCodec: Codec = {
  subprotocol: SUBPROTOCOL_MSGPACK,
  binary: true,
  encode: (frame) => packr.pack(frame),
  decode(data) {
    if (!isPlainMessagePack(data)) throw new RookeryError('BAD_FRAME', 'the frame is not plain MessagePack');
    try {
      return packr.unpack(data);
    } catch (cause) {
      throw new RookeryError('BAD_FRAME', 'the frame is not valid MessagePack', { cause });
    }
  },
};

const utf8 = new TextEncoder();
/** A byte order mark is part of the text: without `ignoreBOM` a body that begins with one would come out shorter. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Bytes have no form of their own in JSON: `body` is written as `text` where it is UTF-8, else as `base64`. Both are read
 * back into `body`.
 */
export const jsonCodec: Codec = {
  subprotocol: SUBPROTOCOL_JSON,
  binary: false,
  encode: (frame) => utf8.encode(JSON.stringify(frame, bodiesToText)),
  decode(data) {
    try {
      return JSON.parse(strictUtf8.decode(data), textToBodies);
    } catch (cause) {
      if (cause instanceof RookeryError) throw cause;
      throw new RookeryError('BAD_FRAME', 'the frame is not valid JSON', { cause });
    }
  },
};

/** A Buffer's own toJSON runs before a replacer sees it, so the object that holds the body is rewritten instead. */
function bodiesToText(_key: string, value: unknown): unknown {
  if (!isObject(value) || !(value.body instanceof Uint8Array)) return value;
  const { body, ...rest } = value;
  try {
    return { ...rest, text: strictUtf8.decode(body) };
  } catch {
    return { ...rest, base64: toBase64(body) };
  }
}

/** The free fields of a profile may have any names, `text` among them. */
function textToBodies(key: string, value: unknown): unknown {
  if (!isObject(value) || key === 'fields') return value;
  if (typeof value.text === 'string' && value.base64 === undefined) {
    const { text, ...rest } = value;
    return { ...rest, body: utf8.encode(text as string) };
  }
  if (typeof value.base64 === 'string') {
    const { base64, ...rest } = value;
    return { ...rest, body: fromBase64(base64 as string) };
  }
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new RookeryError('BAD_FRAME', '`base64` is not base64', { cause });
  }
}

export const codecs: readonly Codec[] = [msgpackCodec, jsonCodec];
