/**
 * The generator's WebSocket client: a TCP socket and as much of RFC 6455 as the bench needs, so that the generator takes as
 * little as can be of the cores it shares with what it measures. It masks with a zero key, which a client may.
 *
 * All sockets read into one buffer that is parsed before the next read, so receiving allocates nothing. Measured on a
 * broadcast to 500 sockets, CPU of the receiving process a delivery: README.md.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const FINAL_BINARY = 0x82;
const FINAL_PONG = 0x8a;
const MASKED = 0x80;
const OPCODE_BITS = 0x0f;
const CLOSE = 8;
const PING = 9;
const READ_BYTES = 262_144;
const CONNECT_WITHIN_MS = 30_000;
/** Longer than any frame of the bench: a length beyond it means that the stream is out of step. */
const MAX_FRAME_BYTES = 16 * 1_048_576;

/** Shared by all sockets of the process: a read is parsed before libuv begins the next one. */
const readBuffer = Buffer.allocUnsafe(READ_BYTES);

/** Gets each message; the bytes are a view that is gone when the call returns. */
export type OnMessage = (payload: Buffer) => void;

export class LightSocket {
  readonly #parser: FrameParser;
  #socket: Socket;
  #queue: Uint8Array[] = [];
  #closed = false;
  #opened: ((head: string) => void) | undefined;
  #head = '';

  /** @throws when the server refuses the upgrade, or does not answer in time */
  static async open(url: URL, subprotocol: string | undefined, onMessage: OnMessage): Promise<LightSocket> {
    const light = new LightSocket(url, onMessage);
    const protocol = subprotocol ? `Sec-WebSocket-Protocol: ${subprotocol}\r\n` : '';
    light.#socket.write(
      `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n${protocol}\r\n`,
    );
    const head = await new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${url.host} did not answer`)), CONNECT_WITHIN_MS);
      const settle = (error?: Error, answer = ''): void => {
        clearTimeout(late);
        if (error) reject(error);
        else resolve(answer);
      };
      light.#opened = (answer) => settle(undefined, answer);
      light.#socket.once('error', settle);
      light.#socket.once('close', () => settle(new Error(`${url.host} closed the connection`)));
    });
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(`${url.host}: ${head.split('\r\n')[0]}`);
    return light;
  }

  private constructor(url: URL, onMessage: OnMessage) {
    this.#parser = new FrameParser(onMessage, (payload) => this.#pong(payload));
    const onread = {
      buffer: readBuffer,
      callback: (bytes: number) => {
        this.#received(readBuffer.subarray(0, bytes));
        return true;
      },
    };
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true, onread });
    this.#socket.on('error', () => undefined);
    this.#socket.once('close', () => (this.#closed = true));
  }

  get closed(): boolean {
    return this.#closed || this.#parser.sawClose;
  }

  /** Sends a binary message; those of one turn leave in one write. */
  send(payload: Uint8Array): void {
    if (this.#queue.push(frameOf(FINAL_BINARY, payload)) === 1) queueMicrotask(() => this.#flush());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#socket.write(queue.length === 1 ? (queue[0] as Uint8Array) : Buffer.concat(queue));
  }

  #received(chunk: Buffer): void {
    if (!this.#opened) return this.#parser.push(chunk);
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.#opened(this.#head);
    this.#opened = undefined;
    const behind = Buffer.from(this.#head.slice(end + 4), 'latin1');
    if (behind.length > 0) this.#parser.push(behind);
  }

  #pong(payload: Buffer): void {
    if (!this.#closed) this.#socket.write(frameOf(FINAL_PONG, payload));
  }
}

/** A client's frame, masked with zeros: the payload stands in it as it is. */
function frameOf(kind: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  if (length > 0xffff) throw new Error('the bench sends no frame of more than 64 KiB');
  const headerBytes = length < 126 ? 6 : 8;
  const frame = Buffer.alloc(headerBytes + length);
  frame[0] = kind;
  frame[1] = MASKED | (length < 126 ? length : 126);
  if (length >= 126) frame.writeUInt16BE(length, 2);
  frame.set(payload, headerBytes);
  return frame;
}

/** Frames of a server out of a stream of bytes, however it was cut. */
export class FrameParser {
  readonly #onMessage: OnMessage;
  readonly #onPing: OnMessage;
  /** The beginning of a frame that is not whole yet. */
  #rest: Buffer | undefined;
  #restBytes = 0;
  sawClose = false;

  constructor(onMessage: OnMessage, onPing: OnMessage) {
    this.#onMessage = onMessage;
    this.#onPing = onPing;
  }

  /** Hot path. */
  push(chunk: Buffer): void {
    if (this.#restBytes === 0) {
      const used = this.#parse(chunk);
      if (used < chunk.length) this.#keep(chunk.subarray(used));
      return;
    }
    this.#keep(chunk);
    const whole = (this.#rest as Buffer).subarray(0, this.#restBytes);
    const used = this.#parse(whole);
    if (used === 0) return;
    whole.copyWithin(0, used);
    this.#restBytes -= used;
  }

  #keep(bytes: Buffer): void {
    const needed = this.#restBytes + bytes.length;
    if (!this.#rest || this.#rest.length < needed) {
      const grown = Buffer.allocUnsafe(2 ** Math.ceil(Math.log2(needed)));
      if (this.#rest) this.#rest.copy(grown, 0, 0, this.#restBytes);
      this.#rest = grown;
    }
    bytes.copy(this.#rest, this.#restBytes);
    this.#restBytes = needed;
  }

  /** How many bytes were whole frames. */
  #parse(data: Buffer): number {
    let at = 0;
    for (;;) {
      if (data.length - at < 2) return at;
      let length = (data[at + 1] as number) & 0x7f;
      let headerBytes = 2;
      if (length === 126) {
        if (data.length - at < 4) return at;
        length = data.readUInt16BE(at + 2);
        headerBytes = 4;
      } else if (length === 127) {
        if (data.length - at < 10) return at;
        length = data.readUInt32BE(at + 2) * 0x1_0000_0000 + data.readUInt32BE(at + 6);
        headerBytes = 10;
      }
      if (length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes`);
      const end = at + headerBytes + length;
      if (data.length < end) return at;
      this.#handle((data[at] as number) & OPCODE_BITS, data.subarray(at + headerBytes, end));
      at = end;
    }
  }

  #handle(opcode: number, payload: Buffer): void {
    if (opcode < CLOSE) this.#onMessage(payload);
    else if (opcode === PING) this.#onPing(payload);
    else if (opcode === CLOSE) this.sawClose = true;
  }
}
