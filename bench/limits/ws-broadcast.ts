/**
 * The limit for deliveries: a plain `ws` server that sends each message it gets to every socket of the room, one write a
 * delivery. With `corked`, what one turn of the event loop brought goes to each socket in one write: the bytes are framed
 * once and the same for all, which is as little as a broadcast can cost.
 */
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';

interface Room {
  readonly clients: Set<WebSocket>;
  /** Framed messages of this turn. */
  turn: Uint8Array[];
}

const isCorked = process.argv.includes('corked');
const rooms = new Map<string, Room>();
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });

server.on('connection', (client, { url = '/' }) => {
  const room = rooms.get(url) ?? { clients: new Set(), turn: [] };
  rooms.set(url, room);
  room.clients.add(client);
  client.on('error', () => undefined);
  client.on('close', () => room.clients.delete(client));
  client.on('message', (data: Buffer) => (isCorked ? cork(room, data) : broadcast(room, data)));
});

function broadcast({ clients }: Room, data: Buffer): void {
  for (const client of clients) client.send(data, { binary: true });
}

function cork(room: Room, data: Buffer): void {
  if (room.turn.push(frameOnWire(msgpackCodec, data)) > 1) return;
  setImmediate(() => {
    const bytes = Buffer.concat(room.turn);
    room.turn = [];
    // `ws` has no call for bytes that are framed already: its socket is written to as the gateway's is.
    for (const client of room.clients) (client as unknown as { _socket: Socket })._socket.write(bytes);
  });
}

server.once('listening', () => process.send?.({ port: (server.address() as { port: number }).port }));
process.on('disconnect', () => process.exit(0));
