/** Our frames beside those of `ws` on one socket: whole, in order, and few writes. */
import type { Socket } from 'node:net';
import t from 'tap';
import WebSocket, { WebSocketServer } from 'ws';
import { ClosingSockets } from '../../src/adapters/websocket/closing-sockets.ts';
import { WebSocketConnection } from '../../src/adapters/websocket/connection.ts';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { jsonCodec, msgpackCodec } from '../../src/protocol/codec.ts';
import { eventually } from '../support/waiting.ts';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
await new Promise((resolve) => server.once('listening', resolve));
t.teardown(() => server.close());

const closing = new ClosingSockets();
const WHOLE = { maxPayload: 1_000, maxBufferedChunks: 64 };

interface Pair {
  readonly connection: WebSocketConnection;
  readonly ws: WebSocket;
  /** The TCP socket beneath, to count writes. */
  readonly socket: Socket;
  readonly client: WebSocket;
  readonly received: { readonly data: Buffer; readonly isBinary: boolean }[];
}

async function pair(): Promise<Pair> {
  const accepted = new Promise<WebSocket>((resolve) => server.once('connection', resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as { port: number }).port}`);
  const received: Pair['received'][number][] = [];
  client.on('message', (data, isBinary) => received.push({ data: data as Buffer, isBinary }));
  await new Promise((resolve) => client.once('open', resolve));
  const ws = await accepted;
  const { _socket: socket } = ws as unknown as { _socket: Socket };
  t.teardown(() => client.terminate());
  const connection = new WebSocketConnection(ws, msgpackCodec, closing, WHOLE);
  return { connection, ws, socket, client, received };
}

const payload = (length: number): Buffer => Buffer.alloc(length, length % 251);

t.test('a frame of any length is read as it was written, text as text, binary as binary', async (t) => {
  const { connection, received } = await pair();
  const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000];
  for (const length of lengths) connection.write(frameOnWire(msgpackCodec, payload(length)));
  connection.write(frameOnWire(jsonCodec, Buffer.from('"你好"')));
  await eventually(() => received.length === lengths.length + 1, 'all arrive');
  t.same(
    received.map(({ data, isBinary }) => [data.length, isBinary]),
    [...lengths.map((length) => [length, true]), [8, false]],
  );
  t.ok(lengths.every((length, k) => received[k]?.data.equals(payload(length))));
});

t.test(
  'what is written in one turn leaves in one write, and what it holds is not copied when it is one frame',
  async (t) => {
    const { connection, socket, received } = await pair();
    const writes: Uint8Array[] = [];
    const { write } = socket;
    socket.write = ((chunk: Uint8Array) => {
      writes.push(chunk);
      return write.call(socket, chunk);
    }) as Socket['write'];
    for (let k = 0; k < 50; k++) connection.write(frameOnWire(msgpackCodec, payload(k)));
    t.equal(writes.length, 0, 'not before the turn is over');
    t.ok(connection.bufferedBytes > 50);
    await eventually(() => received.length === 50, 'all arrive');
    t.equal(writes.length, 1);
    const shared = frameOnWire(msgpackCodec, payload(1_000));
    connection.write(shared);
    await eventually(() => received.length === 51, 'it arrives');
    t.equal(writes[1], shared);
    t.equal(connection.bufferedBytes, 0);
  },
);

t.test('pings and the close frame keep their place behind what was written before', async (t) => {
  const { connection, client, received } = await pair();
  const seen: string[] = [];
  client.on('message', (data: Buffer) => seen.push(`message ${data.length}`));
  client.on('ping', () => seen.push('ping'));
  client.on('close', (code) => seen.push(`close ${code}`));
  connection.write(frameOnWire(msgpackCodec, payload(10)));
  connection.ping();
  connection.write(frameOnWire(msgpackCodec, payload(70_000)));
  connection.write(frameOnWire(msgpackCodec, payload(20)));
  connection.close(4000, 'enough');
  connection.write(frameOnWire(msgpackCodec, payload(30)));
  await eventually(() => seen.at(-1) === 'close 4000', 'it closes');
  t.same(
    seen.filter((what) => what !== 'ping'),
    ['message 10', 'message 70000', 'message 20', 'close 4000'],
  );
  t.ok(seen.includes('ping'));
  t.equal(received.length, 3, 'nothing is written after the close');
});

t.test('who reads slowly is told of, and again when all is taken', async (t) => {
  const { connection, client, received } = await pair();
  let drained = 0;
  connection.onDrain(() => (drained += 1));
  client.pause();
  const wire = frameOnWire(msgpackCodec, payload(1_000_000));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  let written = 0;
  while (connection.bufferedBytes < 4_000_000) {
    connection.write(wire);
    written += 1;
    await turn();
  }
  t.equal(drained, 0);
  client.resume();
  await eventually(() => drained === 1, 'it drains');
  t.equal(connection.bufferedBytes, 0);
  await eventually(() => received.length === written, 'nothing is lost');
});

t.test('a socket that is gone takes no more and throws nothing', async (t) => {
  const { connection, client } = await pair();
  connection.write(frameOnWire(msgpackCodec, payload(5)));
  client.terminate();
  connection.terminate();
  connection.write(frameOnWire(msgpackCodec, payload(5)));
  connection.flush();
  connection.ping();
  connection.pauseReading();
  connection.close(4000, 'gone');
  t.equal(connection.bufferedBytes, 0);
});

t.test('a stranger’s socket reads as much as the server was set up with, then as much as it is told to', async (t) => {
  const { connection, ws, client } = await pair();
  const read: number[] = [];
  ws.on('message', (data: Buffer) => read.push(data.length));
  ws.on('error', () => undefined);
  client.send(payload(2_000));
  await eventually(() => read.length === 1, 'it is read');
  connection.takeWholeFrames();
  client.send(payload(1_000));
  await eventually(() => read.length === 2, 'it is read');
  const closed = new Promise<number>((resolve) => client.once('close', resolve));
  client.send(payload(1_001));
  t.equal(await closed, 1009);
  t.same(read, [2_000, 1_000]);
});

t.test('strangers that were closed and do not answer are kept up to a bound', async (t) => {
  const few = new ClosingSockets(2);
  const strangers = [await pair(), await pair(), await pair()];
  for (const { client } of strangers) client.pause();
  for (const { ws } of strangers) few.close(ws, 4005, 'too many');
  t.same(
    strangers.map(({ socket }) => socket.destroyed),
    [false, false, true],
  );
  for (const { client } of strangers) client.resume();
  await eventually(() => strangers.every(({ ws }) => ws.readyState === WebSocket.CLOSED), 'they answer');
  const next = await pair();
  const code = new Promise<number>((resolve) => next.client.once('close', resolve));
  few.close(next.ws, 4005, 'too many');
  t.equal(await code, 4005, 'there is room again');
});
