/** Entries of one conversation as they go to sockets: encoded and framed once a codec, the same bytes for every device. */
import type { FrameOnWire } from '../../ports/client-connection.ts';
import { type Codec, jsonCodec, msgpackCodec } from '../../protocol/codec.ts';

export class Run {
  /** Its own copy of a `deliver` frame in MessagePack, framed. */
  readonly #msgpackWire: Uint8Array;
  readonly #bodyAt: number;
  readonly #frameOnWire: FrameOnWire;
  /** Weak, so that all devices of one turn share it and the ring's bound in bytes holds nevertheless. */
  #jsonWire: WeakRef<Uint8Array> | undefined;
  /** Position in the ring of the newest entry that refers to it; the ring's own. */
  lastRingPosition = -1;

  /**
   * @param body a `deliver` frame in MessagePack; may be a view, it is copied
   * @param memory where the copy shall stand, for a run that is kept
   */
  constructor(body: Uint8Array, frameOnWire: FrameOnWire, memory?: (bytes: number) => Buffer) {
    this.#frameOnWire = frameOnWire;
    this.#msgpackWire = frameOnWire(msgpackCodec, body, memory);
    this.#bodyAt = this.#msgpackWire.length - body.length;
  }

  get body(): Uint8Array {
    return this.#msgpackWire.subarray(this.#bodyAt);
  }

  get bytes(): number {
    return this.#msgpackWire.length;
  }

  wire(codec: Codec): Uint8Array {
    if (codec === msgpackCodec) return this.#msgpackWire;
    const kept = this.#jsonWire?.deref();
    if (kept) return kept;
    const wire = this.#frameOnWire(jsonCodec, jsonCodec.encode(msgpackCodec.decode(this.body) as object));
    this.#jsonWire = new WeakRef(wire);
    return wire;
  }

  /** Whether another record's body is the same, byte by byte: copies of one run differ in nothing else. */
  hasBody(body: Uint8Array): boolean {
    return this.bytes - this.#bodyAt === body.length && Buffer.compare(this.body, body) === 0;
  }
}
