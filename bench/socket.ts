/**
 * The load generator's WebSocket client: a TCP socket and the least of RFC 6455, so that the generator costs as little as
 * can be. It masks with a zero key, which a client may.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const BINARY = 0x82;
const MASKED = 0x80;

export class LightSocket {
  readonly #socket: Socket;
  readonly #onFrame: (payload: Buffer) => void;
  #rest: Buffer | undefined;
  #queue: Buffer[] = [];
  closed = false;

  static open(url: URL, subprotocol: string | undefined, onFrame: (payload: Buffer) => void): Promise<LightSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
      socket.once('error', reject);
      const key = randomBytes(16).toString('base64');
      const protocol = subprotocol ? `Sec-WebSocket-Protocol: ${subprotocol}\r\n` : '';
      socket.write(
        `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n${protocol}\r\n`,
      );
      let head = '';
      const onHead = (chunk: Buffer): void => {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onHead);
        socket.off('error', reject);
        if (!head.startsWith('HTTP/1.1 101')) {
          reject(new Error(head.split('\r\n')[0]));
          return;
        }
        const light = new LightSocket(socket, onFrame);
        const behind = Buffer.from(head.slice(end + 4), 'latin1');
        if (behind.length > 0) light.#received(behind);
        resolve(light);
      };
      socket.on('data', onHead);
    });
  }

  private constructor(socket: Socket, onFrame: (payload: Buffer) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
  }

  /** Sends a binary message; all of one turn leave in one write. */
  send(payload: Uint8Array): void {
    const long = payload.length >= 126;
    const frame = Buffer.alloc((long ? 4 : 2) + 4 + payload.length);
    frame[0] = BINARY;
    frame[1] = MASKED | (long ? 126 : payload.length);
    if (long) frame.writeUInt16BE(payload.length, 2);
    frame.set(payload, (long ? 4 : 2) + 4);
    if (this.#queue.push(frame) === 1) {
      queueMicrotask(() => {
        const queue = this.#queue;
        this.#queue = [];
        this.#socket.write(queue.length === 1 ? (queue[0] as Buffer) : Buffer.concat(queue));
      });
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    const data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    for (;;) {
      if (data.length - at < 2) break;
      let length = (data[at + 1] as number) & 0x7f;
      let header = 2;
      if (length === 126) {
        if (data.length - at < 4) break;
        length = data.readUInt16BE(at + 2);
        header = 4;
      } else if (length === 127) {
        if (data.length - at < 10) break;
        length = Number(data.readBigUInt64BE(at + 2));
        header = 10;
      }
      if (data.length - at < header + length) break;
      const opcode = (data[at] as number) & 0x0f;
      if (opcode <= 2) this.#onFrame(data.subarray(at + header, at + header + length));
      else if (opcode === 9) this.#pong(data.subarray(at + header, at + header + length));
      at += header + length;
    }
    this.#rest = at < data.length ? data.subarray(at) : undefined;
  }

  #pong(payload: Buffer): void {
    this.#socket.write(Buffer.concat([Buffer.from([0x8a, MASKED | payload.length, 0, 0, 0, 0]), payload]));
  }
}
