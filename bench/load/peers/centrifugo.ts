/** Centrifugo's client protocol in its binary form (Protobuf: github.com/centrifugal/protocol, definitions/client.proto), as much as the bench needs. */
import { LightSocket } from '../socket.ts';
import type { PeerDevice, PeerProtocol, Received, Seat } from './protocol.ts';

const SUBPROTOCOL = 'centrifuge-protobuf';
/** Numbers of fields. */
const COMMAND = { id: 1, connect: 4, subscribe: 5, publish: 7 } as const;
const REPLY = { id: 1, error: 2, push: 4 } as const;
const PUSH_PUBLICATION = 4;
const PUBLICATION = { data: 4, offset: 6 } as const;
const [CHANNEL, DATA] = [1, 2];
/** Wire types. */
const [VARINT, FIXED64, BYTES] = [0, 1, 2];
/** Ids of a device's commands: these, and its messages' numbers behind them. */
const [CONNECT_ID, SUBSCRIBE_ID, FIRST_MESSAGE_ID] = [1, 2, 3];
/** The answer to an empty reply, which is a ping. */
const PONG = Buffer.of(0);

export const centrifugo: PeerProtocol = {
  echoes: true,
  make: async () => undefined,
  async enter({ url, room }: Seat, received: Received): Promise<PeerDevice> {
    const waiting = new Map<number, PromiseWithResolvers<void>>();
    const answered = (id: number, isError: boolean): void => {
      const waits = waiting.get(id);
      if (waits && isError) waits.reject(new Error('centrifugo refused'));
      else if (waits) waits.resolve();
      else if (isError) received.refused(id - FIRST_MESSAGE_ID, 'an error');
      else received.acked(id - FIRST_MESSAGE_ID);
    };
    const replies = new Replies(answered, received);
    const socket = await LightSocket.open(new URL(url), SUBPROTOCOL, (payload) => {
      if (replies.read(payload)) socket.send(PONG);
    });
    const ask = async (id: number, field: number, request: Uint8Array): Promise<void> => {
      const waits = Promise.withResolvers<void>();
      waiting.set(id, waits);
      socket.send(command(id, field, request));
      await waits.promise;
      waiting.delete(id);
    };
    await ask(CONNECT_ID, COMMAND.connect, new Uint8Array(0));
    const channel = lengthDelimited(CHANNEL, Buffer.from(`room-${room}`));
    await ask(SUBSCRIBE_ID, COMMAND.subscribe, channel);
    return {
      get isClosed() {
        return socket.closed;
      },
      send: (number, body) =>
        socket.send(
          command(FIRST_MESSAGE_ID + number, COMMAND.publish, Buffer.concat([channel, lengthDelimited(DATA, body)])),
        ),
    };
  },
};

/** With its length before it, as several may stand in one frame. */
function command(id: number, field: number, request: Uint8Array): Uint8Array {
  const body = Buffer.concat([varint((COMMAND.id << 3) | VARINT), varint(id), lengthDelimited(field, request)]);
  return Buffer.concat([varint(body.length), body]);
}

const lengthDelimited = (field: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([varint((field << 3) | BYTES), varint(bytes.length), bytes]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.of(...bytes, rest);
}

/** Reads what a server sends, without making an object of any of it. */
class Replies {
  readonly #answered: (id: number, isError: boolean) => void;
  readonly #received: Received;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(answered: (id: number, isError: boolean) => void, received: Received) {
    this.#answered = answered;
    this.#received = received;
  }

  /** Hot path. @returns whether there was a ping among them */
  read(payload: Buffer): boolean {
    let isPinged = false;
    this.#bytes = payload;
    for (this.#at = 0; this.#at < payload.length; ) {
      const end = this.#end();
      if (end === this.#at) isPinged = true;
      else this.#reply(end);
    }
    return isPinged;
  }

  #reply(end: number): void {
    let [id, isError] = [0, false];
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag >> 3 === REPLY.id) id = this.#varint();
      else if (tag >> 3 === REPLY.push) this.#push(this.#end());
      else {
        isError ||= tag >> 3 === REPLY.error;
        this.#skip(tag);
      }
    }
    if (id > 0) this.#answered(id, isError);
  }

  #push(end: number): void {
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag >> 3 === PUSH_PUBLICATION) this.#publication(this.#end());
      else this.#skip(tag);
    }
  }

  #publication(end: number): void {
    let [dataStart, dataEnd, offset] = [0, 0, 0];
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag >> 3 === PUBLICATION.offset) offset = this.#varint();
      else if (tag >> 3 === PUBLICATION.data) {
        dataEnd = this.#end();
        dataStart = this.#at;
        this.#at = dataEnd;
      } else this.#skip(tag);
    }
    this.#received.message(offset, this.#bytes.subarray(dataStart, dataEnd));
  }

  /** Where what stands behind its length ends. */
  #end(): number {
    const length = this.#varint();
    return this.#at + length;
  }

  #skip(tag: number): void {
    const type = tag & 0x07;
    if (type === VARINT) this.#varint();
    else if (type === BYTES) this.#at = this.#end();
    else this.#at += type === FIXED64 ? 8 : 4;
  }

  #varint(): number {
    let [value, unit] = [0, 1];
    for (;;) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
      unit *= 128;
    }
  }
}
