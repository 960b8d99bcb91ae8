/**
 * Deliveries taken from what the socket has brought, before nats.js makes objects of them: of millions that costs more than all else. It
 * stands before the parser of a connection, hands on whole what nobody here takes, and is gone with it when the connection is made anew:
 * then everything comes by nats.js, as it does for whoever reads otherwise.
 */
import type { NatsConnection } from '@nats-io/nats-core';

/** Something that may stand in the bytes of a socket. */
export interface InPlace {
  /** @returns where it ends; 0: it does not stand there, or not all of it before `end` */
  read(bytes: Buffer, start: number, end: number): number;
}

interface Parser {
  parse(chunk: Uint8Array): void;
}

/** Of a parser between two operations. */
const BETWEEN = 0;

/** As every connection of nats.js has; its interface does not tell. */
interface Parsed {
  readonly protocol: { parser: Parser & { readonly state?: number } };
}

interface Taker {
  readonly delivery: InPlace;
  readonly take: () => void;
  readonly heard: () => void;
}

/** As much as a socket of Node brings at a time, and the beginning of a message before it. */
const FIRST_BYTES = 131_072;
const [NEW_LINE, M, H, ZERO, NINE] = [0x0a, 0x6d, 0x68, 0x30, 0x39];
const LOWER_CASE = 0x20;
const LINE_END_BYTES = 2;

export class DeliveriesInPlace implements Parser {
  readonly #inner: Parser & { readonly state?: number };
  #taker: Taker | undefined;
  /** Of what has come: what is not taken yet, at most one message and what came last. */
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #used = 0;

  private constructor(inner: Parser) {
    this.#inner = inner;
  }

  /**
   * From now on `take` is told of each such delivery, in its order among all else, which comes as ever; `heard`, whenever something has
   * come. Where the connection has another taker, or nats.js is in the middle of a message, all comes as ever.
   * @returns ends it
   */
  static take(nc: NatsConnection, taker: Taker): () => void {
    const { protocol } = nc as unknown as Parsed;
    const { parser } = protocol;
    const all = parser instanceof DeliveriesInPlace ? parser : new DeliveriesInPlace(parser);
    // What is held back here begins with a message: then nats.js has nothing half.
    if (all.#taker || (all.#used === 0 && all.#inner.state !== BETWEEN)) return () => undefined;
    protocol.parser = all;
    all.#taker = taker;
    return () => {
      all.#taker = undefined;
    };
  }

  parse(chunk: Uint8Array): void {
    if (!this.#taker && this.#used === 0) return this.#inner.parse(chunk);
    this.#keep(chunk);
    this.#taker?.heard();
    let at = 0;
    for (let end = this.#next(at); end > 0; end = this.#next(at)) at = end;
    this.#buffer.copyWithin(0, at, this.#used);
    this.#used -= at;
  }

  #keep(chunk: Uint8Array): void {
    const used = this.#used + chunk.length;
    if (used > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * used);
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#used);
    this.#used = used;
    // The socket made it for this alone: it is given back at once, and no garbage. A small one may share its memory with others.
    const isAlone = chunk.length > Buffer.poolSize && chunk.length === chunk.buffer.byteLength;
    if (isAlone) (chunk.buffer as ArrayBuffer).transfer(0);
  }

  /** Has what stands from `at` on taken by whoever takes it. @returns where it ends; 0 where it is not there to its end */
  #next(at: number): number {
    const [buffer, used, taker] = [this.#buffer, this.#used, this.#taker];
    if (taker) {
      const end = taker.delivery.read(buffer, at, used);
      if (end > 0) {
        taker.take();
        return end;
      }
    }
    const end = this.#operationEnd(at);
    // A copy: what nats.js makes of it may live on.
    if (end > 0) this.#inner.parse(Uint8Array.prototype.slice.call(buffer, at, end));
    return end;
  }

  /** A line, and behind it as many bytes as it says at its end where it is a message. */
  #operationEnd(at: number): number {
    const buffer = this.#buffer;
    const newLine = buffer.indexOf(NEW_LINE, at);
    if (newLine < 0 || newLine >= this.#used) return 0;
    const first = (buffer[at] as number) | LOWER_CASE;
    if (first !== M && first !== H) return newLine + 1;
    let [size, unit] = [0, 1];
    for (let i = newLine - 2; (buffer[i] as number) >= ZERO && (buffer[i] as number) <= NINE; i--) {
      size += unit * ((buffer[i] as number) - ZERO);
      unit *= 10;
    }
    const end = newLine + 1 + size + LINE_END_BYTES;
    return end > this.#used ? 0 : end;
  }
}
