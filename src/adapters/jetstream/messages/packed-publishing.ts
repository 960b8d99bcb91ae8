/**
 * Publishes messages packed: written one behind the other into a buffer that leaves as a whole. nats.js makes three small buffers of
 * each message and copies them together, which costs a writer of millions more than all else it does.
 */
import type { NatsConnection, PublishOptions } from '@nats-io/nats-core';
import type { Outgoing } from './fast-ingest.ts';
import { WrittenHeaders } from './written-headers.ts';

/** What leaves at a time, and waits at most. */
const PACK_BYTES = 65_536;
/** What is larger, with all that is written around it, goes by itself. */
const MAX_PACKED_BYTES = 32_768;
/** Packs that are on their way, or wait to be written into again; beyond it they are left to the garbage collector. */
const MAX_PACKS = 64;
/** UTF-8 of a UTF-16 code unit at most. */
const MAX_BYTES_PER_CHAR = 3;
const SUBJECT = /^\S+$/;
const [CR, LF] = [0x0d, 0x0a];

/** As every connection of nats.js has; its interface does not tell. */
interface Commanded {
  readonly protocol: { sendCommand(command: Uint8Array): void; flushPending(): void };
}

/** A message that writes itself, as it goes over the wire. */
export interface SelfWritten {
  readonly mostBytes: number;
  /** @returns where it ends */
  write(into: Buffer, at: number): number;
}

export class PackedPublishing implements Outgoing {
  readonly #nc: NatsConnection;
  #buffer = Buffer.allocUnsafeSlow(PACK_BYTES);
  #used = 0;
  /** Messages, of all that was ever given. */
  #given = 0;
  /** Packs on their way, oldest first, each with what was given up to its end. */
  #away: { readonly buffer: Buffer<ArrayBuffer>; readonly upTo: number }[] = [];
  #free: Buffer<ArrayBuffer>[] = [];

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  publish(subject: string, data: Uint8Array, options: PublishOptions): void {
    this.#given += 1;
    const { reply = '', headers } = options;
    const text = headers instanceof WrittenHeaders ? headers.text : '';
    // What is no subject is refused by the connection itself.
    if ((headers !== undefined && text === '') || !SUBJECT.test(subject)) {
      this.#sendPack(this.#given - 1);
      this.#nc.publish(subject, data, options);
      return;
    }
    const headerBytes = Buffer.byteLength(text);
    const bytes = headerBytes + data.length;
    const sizes = text === '' ? `${bytes}` : `${headerBytes} ${bytes}`;
    const head = `${text === '' ? 'PUB' : 'HPUB'} ${subject} ${reply === '' ? '' : `${reply} `}${sizes}\r\n${text}`;
    const most = MAX_BYTES_PER_CHAR * head.length + data.length + 2;
    if (most > MAX_PACKED_BYTES) return this.#sendAlone(head, data, bytes, most);
    if (this.#used + most > PACK_BYTES) this.#sendPack(this.#given - 1);
    this.#used = written(this.#buffer, this.#used, head, data);
  }

  publishWritten(message: SelfWritten): void {
    this.#given += 1;
    const most = message.mostBytes;
    if (most > MAX_PACKED_BYTES || this.#used + most > PACK_BYTES) this.#sendPack(this.#given - 1);
    if (most <= MAX_PACKED_BYTES) {
      this.#used = message.write(this.#buffer, this.#used);
      return;
    }
    const alone = Buffer.allocUnsafeSlow(most);
    this.leave(alone.subarray(0, message.write(alone, 0)));
  }

  /** All that was given is on its way. */
  sendAll(): void {
    this.#sendPack(this.#given);
  }

  /**
   * So many of all messages that were ever given have come to where they were sent to: the packs they left in are written into again. A
   * new one for each would be half a gigabyte of a million messages, and the garbage collector goes through all there is for each 64 MiB.
   */
  arrived(messages: number): void {
    while ((this.#away[0]?.upTo ?? Number.POSITIVE_INFINITY) <= messages) {
      const { buffer } = this.#away.shift() as { buffer: Buffer<ArrayBuffer> };
      if (this.#free.length < MAX_PACKS) this.#free.push(buffer);
    }
  }

  #sendAlone(head: string, data: Uint8Array, bytes: number, most: number): void {
    this.#sendPack(this.#given - 1);
    // As the connection does: the server would end it.
    if (bytes > (this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY))
      throw new RangeError('it is larger than max_payload');
    const alone = Buffer.allocUnsafeSlow(most);
    this.leave(alone.subarray(0, written(alone, 0, head, data)));
  }

  #sendPack(upTo: number): void {
    if (this.#used === 0) return;
    const packed = this.#buffer.subarray(0, this.#used);
    this.#away.push({ buffer: this.#buffer, upTo });
    if (this.#away.length > MAX_PACKS) this.#away.shift();
    this.#buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(PACK_BYTES);
    this.#used = 0;
    this.leave(packed);
  }

  /** A pack, or a large one by itself. */
  protected leave(bytes: Buffer): void {
    const { protocol } = this.#nc as unknown as Commanded;
    protocol.sendCommand(bytes);
    // At once: of two that wait nats.js makes a third.
    protocol.flushPending();
  }
}

/** Where it ends. */
function written(buffer: Buffer, from: number, head: string, data: Uint8Array): number {
  let at = from + buffer.write(head, from);
  buffer.set(data, at);
  at += data.length;
  buffer[at] = CR;
  buffer[at + 1] = LF;
  return at + 2;
}
