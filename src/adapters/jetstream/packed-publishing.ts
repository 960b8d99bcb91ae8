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
/** UTF-8 of a UTF-16 code unit at most. */
const MAX_BYTES_PER_CHAR = 3;
const SUBJECT = /^\S+$/;
const [CR, LF] = [0x0d, 0x0a];

/** As every connection of nats.js has; its interface does not tell. */
interface Commanded {
  readonly protocol: { sendCommand(command: Uint8Array): void };
}

export class PackedPublishing implements Outgoing {
  readonly #nc: NatsConnection;
  #buffer = Buffer.allocUnsafeSlow(PACK_BYTES);
  #used = 0;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  publish(subject: string, data: Uint8Array, options: PublishOptions): void {
    const { reply = '', headers } = options;
    const text = headers instanceof WrittenHeaders ? headers.text : '';
    const most = MAX_BYTES_PER_CHAR * (text.length + subject.length + reply.length) + data.length + 64;
    // What is no subject is refused by the connection itself.
    if (text === '' || most > MAX_PACKED_BYTES || !SUBJECT.test(subject)) {
      this.sendAll();
      this.#nc.publish(subject, data, options);
      return;
    }
    if (this.#used + most > PACK_BYTES) this.sendAll();
    const headerBytes = Buffer.byteLength(text);
    const buffer = this.#buffer;
    const head = `HPUB ${subject} ${reply} ${headerBytes} ${headerBytes + data.length}\r\n${text}`;
    let at = this.#used + buffer.write(head, this.#used);
    buffer.set(data, at);
    at += data.length;
    buffer[at] = CR;
    buffer[at + 1] = LF;
    this.#used = at + 2;
  }

  /** All that was given is on its way. */
  sendAll(): void {
    if (this.#used === 0) return;
    const packed = this.#buffer.subarray(0, this.#used);
    this.#buffer = Buffer.allocUnsafeSlow(PACK_BYTES);
    this.#used = 0;
    (this.#nc as unknown as Commanded).protocol.sendCommand(packed);
  }
}
