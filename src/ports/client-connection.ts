/** A connected client's socket as the application sees it. */
import type { Codec } from '../protocol/codec.ts';

export interface ClientConnection {
  readonly codec: Codec;
  /** Neither side has begun to close it, as far as was read. */
  readonly isOpen: boolean;
  /**
   * Queues whole WebSocket frames. All that is queued within one turn of the event loop leaves in one write to the socket.
   * The bytes may be shared by many connections: nobody changes them. After `close` it does nothing.
   */
  write(wire: Uint8Array): void;
  /** Sends what is queued at once, for who knows that nothing more comes in this turn. */
  flush(): void;
  /** Bytes taken by `write` that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /** One listener, called each time `bufferedBytes` has come down to 0 after the socket had pushed back. */
  onDrain(listener: () => void): void;
  /** From now on frames up to the largest size are read; until then none longer than a hello may be. */
  takeWholeFrames(): void;
  /** Sends a close frame after what is queued; `code` is one of protocol/close-codes.ts. */
  close(code: number, reason: string): void;
}

/**
 * A payload in one codec as the bytes of a WebSocket frame: server to client, so unmasked, final, uncompressed.
 *
 * @param memory where the frame shall stand, for who keeps it; else in memory for what is soon let go
 */
export type FrameOnWire = (codec: Codec, payload: Uint8Array, memory?: (bytes: number) => Buffer) => Uint8Array;
