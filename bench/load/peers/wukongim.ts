/** WuKongIM's client protocol in its binary form (github.com/WuKongIM/WuKongIMGoProto, version 5), without encryption, as much as the bench needs. */
import { LightSocket } from '../socket.ts';
import type { PeerDevice, PeerProtocol, Received, Seat } from './protocol.ts';

const VERSION = 5;
const Packet = { connect: 1, connack: 2, send: 3, sendack: 4, recv: 5, recvack: 6, pong: 8 } as const;
const Channel = { person: 1, group: 2 } as const;
const SUCCESS = 1;
const MESSAGE_ID_BYTES = 8;

const userOf = (room: number, member: number): string => `g${room}m${member}`;
const groupOf = (room: number): string => `group-${room}`;

export const wukongim: PeerProtocol = {
  echoes: false,
  async make(apiUrl, room, members) {
    if (members === 2) return;
    const subscribers = Array.from({ length: members }, (_, member) => userOf(room, member));
    const made = await fetch(`${apiUrl}/channel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ channel_id: groupOf(room), channel_type: Channel.group, subscribers }),
    });
    if (!made.ok) throw new Error(`wukongim did not make a channel: ${await made.text()}`);
  },
  async enter({ url, room, member, members }: Seat, received: Received): Promise<PeerDevice> {
    const welcome = Promise.withResolvers<void>();
    const socket = await LightSocket.open(new URL(url), undefined, (payload) => {
      for (let at = 0; at < payload.length; ) at = read(payload, at, socket, welcome, received);
    });
    socket.send(connect(userOf(room, member)));
    await welcome.promise;
    const isDirect = members === 2;
    const channel = isDirect ? userOf(room, 1 - member) : groupOf(room);
    const type = isDirect ? Channel.person : Channel.group;
    return {
      get isClosed() {
        return socket.closed;
      },
      send: (number, body) => socket.send(send(number, channel, type, body)),
    };
  },
};

/** Hot path. One packet. @returns where it ends */
function read(
  bytes: Buffer,
  start: number,
  socket: LightSocket,
  welcome: PromiseWithResolvers<void>,
  received: Received,
): number {
  const first = bytes[start] as number;
  const kind = first >> 4;
  if (kind === Packet.pong) return start + 1;
  let [at, length, unit] = [start + 1, 0, 1];
  for (;;) {
    const byte = bytes[at++] as number;
    length += (byte & 0x7f) * unit;
    if (byte < 0x80) break;
    unit *= 128;
  }
  const end = at + length;
  if (kind === Packet.recv) recv(bytes, at, end, socket, received);
  else if (kind === Packet.sendack) sendack(bytes, at, received);
  else if (kind === Packet.connack) {
    const reason = bytes[at + (first & 1) + 8];
    if (reason === SUCCESS) welcome.resolve();
    else welcome.reject(new Error(`wukongim gave reason ${reason}`));
  }
  return end;
}

function recv(bytes: Buffer, start: number, end: number, socket: LightSocket, received: Received): void {
  const text = (at: number): number => at + 2 + bytes.readUInt16BE(at);
  // Setting, key, sender, channel, its type, expiry, the client's number.
  const idAt = text(text(text(text(start + 1))) + 1 + 4);
  const placeAt = idAt + MESSAGE_ID_BYTES;
  const place = bytes.readUInt32BE(placeAt);
  const bodyAt = placeAt + 4 + 4;
  socket.send(packet(Packet.recvack, bytes.subarray(idAt, placeAt + 4)));
  received.message(place, bytes.subarray(bodyAt, end));
}

function sendack(bytes: Buffer, start: number, received: Received): void {
  const number = bytes.readUInt32BE(start + MESSAGE_ID_BYTES);
  const reason = bytes[start + MESSAGE_ID_BYTES + 8];
  if (reason === SUCCESS) received.acked(number);
  else received.refused(number, `reason ${reason}`);
}

function connect(user: string): Uint8Array {
  const time = Buffer.alloc(8);
  return packet(Packet.connect, Buffer.of(VERSION, 0), text('bench'), text(user), text(''), time, text(''));
}

function send(number: number, channel: string, type: number, body: Uint8Array): Uint8Array {
  const sequence = Buffer.alloc(4);
  sequence.writeUInt32BE(number);
  const expiry = Buffer.alloc(4);
  const about = [Buffer.of(0), sequence, text(`m${number}`), text(channel), Buffer.of(type), expiry, text('')];
  return packet(Packet.send, ...about, body);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

function packet(kind: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [kind << 4];
  for (let rest = length; rest > 0 || head.length === 1; rest >>= 7)
    head.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.from(head), ...parts]);
}
