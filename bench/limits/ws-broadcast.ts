/**
 * The limit for deliveries: a plain `ws` server that sends each message it gets to every socket. With `corked`, what one turn
 * of the event loop brought goes to each socket in one write.
 */
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';

const corked = process.argv.includes('corked');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
let turn: Uint8Array[] = [];

server.on('connection', (socket) => {
  socket.on('error', () => undefined);
  socket.on('message', (data: Buffer) => {
    if (!corked) {
      for (const client of server.clients) client.send(data, { binary: true });
      return;
    }
    turn.push(frameOnWire(msgpackCodec, data));
    if (turn.length === 1) setImmediate(flush);
  });
});

function flush(): void {
  const bytes = Buffer.concat(turn);
  turn = [];
  for (const client of server.clients) (client as unknown as { _socket: Socket })._socket.write(bytes);
}

server.once('listening', () => process.send?.({ port: (server.address() as { port: number }).port }));
