/** A raw WebSocket that takes its time: it stops reading, reads on, and says now and then that it has gone on from a cursor. */
import { WebSocket } from 'ws';
import { jsonCodec } from '../../../src/protocol/codec.ts';
import type { Cursor, ServerFrame } from '../../../src/protocol/frames.ts';
import type { Random } from '../random.ts';
import type { Recorder } from './recorder.ts';

const READS_MS = [500, 3_000] as const;
const STALLS_MS = [1_000, 6_000] as const;
const RECONNECT_MS = 300;
const PING_EVERY_MS = 2_000;
/** Who reads and hears nothing for so long, though it asks, is on a half-open connection. */
const SILENT_MS = 10_000;

export interface SlowReaderParts {
  readonly user: string;
  readonly device: string;
  readonly gateways: readonly string[];
  readonly token: () => Promise<string>;
  readonly recorder: Recorder;
  readonly random: Random;
}

export class SlowReader {
  readonly #parts: SlowReaderParts;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #heardAt = 0;
  /** Where the next connection goes on; `deliver` frames behind it may come once more. */
  #cursor: Cursor | undefined;
  #ended = false;
  #isCurrent = false;
  #stalls = true;

  constructor(parts: SlowReaderParts) {
    this.#parts = parts;
  }

  /** Whether it has had a cursor on this connection: all that was there when it connected. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  start(): void {
    void this.#connect();
  }

  /** From now on it reads as fast as it can. */
  catchUp(): void {
    this.#stalls = false;
    this.#socket?.resume();
  }

  stop(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  async #connect(): Promise<void> {
    const { gateways, token, random, device } = this.#parts;
    this.#isCurrent = false;
    const jwt = await token();
    const socket = new WebSocket(random.pick(gateways), jsonCodec.subprotocol, { handshakeTimeout: SILENT_MS });
    this.#socket = socket;
    const watch = setInterval(() => this.#findOutWhetherHalfOpen(socket), PING_EVERY_MS);
    socket.on('open', () => {
      const hello = { t: 'hello', id: 1, token: jwt, device, resume: this.#cursor ?? 'everything' };
      socket.send(jsonCodec.encode(hello), { binary: false });
      this.#heardAt = performance.now();
      this.#takeTurns(socket);
    });
    socket.on('message', (data) => {
      this.#heardAt = performance.now();
      this.#received(jsonCodec.decode(data as Buffer) as ServerFrame);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(watch);
      if (!this.#ended) this.#timer = setTimeout(() => void this.#connect(), RECONNECT_MS);
    });
  }

  /** While it does not read it cannot know. */
  #findOutWhetherHalfOpen(socket: WebSocket): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.isPaused) this.#heardAt = performance.now();
    else if (performance.now() - this.#heardAt > SILENT_MS) socket.terminate();
    else socket.send(jsonCodec.encode({ t: 'ping' }), { binary: false });
  }

  #received(frame: ServerFrame): void {
    const { user, device, recorder } = this.#parts;
    if (frame.t === 'deliver') recorder.delivered(user, device, frame.conversation, frame.entries);
    if (frame.t !== 'cursor') return;
    this.#cursor = { epoch: frame.epoch, seq: frame.seq };
    this.#isCurrent = true;
    recorder.cursor(user, device, this.#cursor);
  }

  #takeTurns(socket: WebSocket): void {
    const { random } = this.#parts;
    const stall = (): void => {
      if (!this.#stalls || socket !== this.#socket) return;
      socket.pause();
      this.#timer = setTimeout(read, random.between(...STALLS_MS));
    };
    const read = (): void => {
      socket.resume();
      this.#timer = setTimeout(stall, random.between(...READS_MS));
    };
    read();
  }
}
