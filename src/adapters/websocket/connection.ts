/**
 * A client's socket. What is written within one turn of the event loop leaves in one write, straight to the TCP socket: a
 * write per frame costs 6 to 7 µs, a frame within a larger write 1 to 2. `ws` still reads, answers pings and closes; its
 * own frames are whole, so the two may interleave.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { ClientConnection } from '../../ports/client-connection.ts';
import type { Codec } from '../../protocol/codec.ts';
import type { ClosingSockets } from './closing-sockets.ts';

/** Chunks up to this size are copied into one; a larger one is written by itself, without a copy. */
const MAX_JOINED_BYTES = 65_536;

/** How much of a message that is not here whole a socket may hold. */
export interface FrameBounds {
  /** Bytes of one message. A longer one closes the socket with 1009. */
  readonly maxPayload: number;
  /** Pieces as they came from the kernel, each of which costs some hundred bytes beside its own. Beyond: 1008. */
  readonly maxBufferedChunks: number;
}

/** Connections with something queued in this turn. */
let dirty: WebSocketConnection[] = [];

function flushAll(): void {
  const turn = dirty;
  dirty = [];
  for (const connection of turn) connection.flush();
}

export class WebSocketConnection implements ClientConnection {
  readonly codec: Codec;
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #closing: ClosingSockets;
  readonly #whole: FrameBounds;
  #isStranger = true;
  #first: Uint8Array | undefined;
  #more: Uint8Array[] | undefined;
  #queuedBytes = 0;
  #onDrain: (() => void) | undefined;
  #awaitsDrain = false;

  /**
   * @param closing the bound of those that are closed before `takeWholeFrames`
   * @param whole what it may hold from then on; until then what `ws` was set up with
   */
  constructor(ws: WebSocket, codec: Codec, closing: ClosingSockets, whole: FrameBounds) {
    this.#ws = ws;
    this.codec = codec;
    this.#closing = closing;
    this.#whole = whole;
    // Not public in `ws`, and the only way to hand the same bytes to many sockets in one write each.
    this.#socket = (ws as unknown as { _socket: Socket })._socket;
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  write(wire: Uint8Array): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    this.#queuedBytes += wire.length;
    if (this.#first) {
      this.#more ??= [];
      this.#more.push(wire);
      return;
    }
    this.#first = wire;
    if (dirty.push(this) === 1) setImmediate(flushAll);
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  takeWholeFrames(): void {
    this.#isStranger = false;
    // `ws` has options for a server alone, not for one socket; a test holds that these are what its receiver goes by.
    const { _receiver } = this.#ws as unknown as { _receiver: { _maxPayload: number; _maxBufferedChunks: number } };
    _receiver._maxPayload = this.#whole.maxPayload;
    _receiver._maxBufferedChunks = this.#whole.maxBufferedChunks;
  }

  close(code: number, reason: string): void {
    this.flush();
    if (this.#isStranger) this.#closing.close(this.#ws, code, reason);
    else this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  ping(): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.ping();
  }

  pong(data: Uint8Array): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.pong(data);
  }

  /** Until what is buffered is gone: a peer that asks and does not read must not fill our memory with answers. */
  pauseReading(): void {
    if (this.#socket.writableNeedDrain) this.#ws.pause();
  }

  flush(): void {
    const first = this.#first;
    if (!first) return;
    const more = this.#more;
    this.#first = undefined;
    this.#more = undefined;
    const bytes = this.#queuedBytes;
    this.#queuedBytes = 0;
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    let flushed: boolean;
    if (!more) {
      flushed = this.#socket.write(first);
    } else if (bytes <= MAX_JOINED_BYTES) {
      flushed = this.#socket.write(Buffer.concat([first, ...more], bytes));
    } else {
      this.#socket.cork();
      this.#socket.write(first);
      flushed = more.reduce((_, wire) => this.#socket.write(wire), true);
      this.#socket.uncork();
    }
    if (!flushed && !this.#awaitsDrain) this.#awaitDrain();
  }

  #awaitDrain(): void {
    this.#awaitsDrain = true;
    this.#socket.once('drain', () => {
      this.#awaitsDrain = false;
      if (this.#ws.isPaused) this.#ws.resume();
      this.#onDrain?.();
    });
  }
}
