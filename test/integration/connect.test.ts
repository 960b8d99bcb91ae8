/** What passes between a process and its nats-server, and what does not. */
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import t from 'tap';
import { connectNats } from '../../src/adapters/jetstream/connect.ts';
import { quiet, startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

/** A server in front of the real one. While it is `busy` it reads too late who its clients are. */
async function startFront(to: number) {
  const sockets = new Set<Socket>();
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const front = { busy: false, turnedAway: 0, port: 0, drop };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (front.busy) {
      front.turnedAway += 1;
      socket.write('INFO {"server_id":"x","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n');
      socket.end("-ERR 'Authentication Timeout'\r\n");
      return;
    }
    const real = connectSocket(to, '127.0.0.1');
    real.on('error', () => undefined);
    sockets.add(real);
    socket.pipe(real).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  front.port = (server.address() as { port: number }).port;
  return { front, stop: () => server.close() };
}

t.test('a server that is too busy to hear who connects, several times, loses nobody for good', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { front, stop } = await startFront(Number(new URL(nats.server.url).port));
  t.teardown(stop);
  const { credentialsFile } = nats.server;
  const access = { servers: [`nats://127.0.0.1:${front.port}`], credentialsFile };
  const { nc, ended } = await connectNats(access, 'gateway', 'test', quiet);
  front.busy = true;
  front.drop();
  await eventually(() => front.turnedAway >= 4, 'it was turned away four times');
  front.busy = false;
  await eventually(
    () =>
      nc.flush().then(
        () => true,
        () => false,
      ),
    'it is back',
  );
  await nc.close();
  await t.resolves(ended, 'closed by us');
});
