/** A client's socket whose reading a test controls, and what was written to it, as frames. */
import type { ClientConnection } from '../../src/ports/client-connection.ts';
import { type Codec, msgpackCodec } from '../../src/protocol/codec.ts';
import type { Cursor, Entry, ServerFrame } from '../../src/protocol/frames.ts';

export class TestConnection implements ClientConnection {
  readonly codec: Codec;
  readonly frames: ServerFrame[] = [];
  /** Each array as it was given: shared bytes are the same array. */
  readonly written: Uint8Array[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** The most that was ever unsent. */
  peakBytes = 0;
  #isReading = true;
  #unsent = 0;
  #onDrain: (() => void) | undefined;

  constructor(codec: Codec = msgpackCodec) {
    this.codec = codec;
  }

  get isOpen(): boolean {
    return this.closed === undefined;
  }

  get bufferedBytes(): number {
    return this.#unsent;
  }

  write(wire: Uint8Array): void {
    if (this.closed) return;
    this.written.push(wire);
    this.frames.push(...framesIn(wire, this.codec));
    if (this.#isReading) return;
    this.#unsent += wire.length;
    this.peakBytes = Math.max(this.peakBytes, this.#unsent);
  }

  flush(): void {}

  takeWholeFrames(): void {}

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
  }

  /** From now on all that is written stays unsent. */
  stopReading(): void {
    this.#isReading = false;
  }

  /** Takes all that is unsent, and goes on as it did before. */
  drain(): void {
    this.#unsent = 0;
    this.#onDrain?.();
  }

  readOn(): void {
    this.#isReading = true;
    this.drain();
  }

  get entries(): Entry[] {
    return this.frames.flatMap((frame) => (frame.t === 'deliver' ? frame.entries : []));
  }

  /** Positions in the log of what was delivered, in order. */
  get positions(): number[] {
    return this.entries.map(({ pos }) => pos);
  }

  /** The newest one, before which all has been written. */
  get cursor(): Cursor | undefined {
    return this.frames.findLast((frame) => frame.t === 'cursor' && !frame.more) as Cursor | undefined;
  }

  /** The newest one of all: from where another connection goes on. */
  get place(): Cursor | undefined {
    return this.frames.findLast((frame) => frame.t === 'cursor');
  }

  get resyncs(): string[] {
    return this.frames.flatMap((frame) => (frame.t === 'resync' ? [frame.reason] : []));
  }
}

/** Unmasked frames of a server (RFC 6455, 5.2), each a whole message. */
export function framesIn(wire: Uint8Array, codec: Codec): ServerFrame[] {
  const view = new DataView(wire.buffer, wire.byteOffset, wire.byteLength);
  const frames: ServerFrame[] = [];
  for (let at = 0; at < wire.length; ) {
    const short = view.getUint8(at + 1);
    const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length = short < 126 ? short : short === 126 ? view.getUint16(at + 2) : Number(view.getBigUint64(at + 2));
    frames.push(codec.decode(wire.subarray(at + headerBytes, at + headerBytes + length)) as ServerFrame);
    at += headerBytes + length;
  }
  return frames;
}
