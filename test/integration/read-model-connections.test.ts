/** The two connections of a read-model worker: what waits on the one for answers does not hold up what follows the log. */
import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { askStanding } from '../../src/adapters/jetstream/between-processes/standing.ts';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { API_KEY, startTestGateway } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

/** In front of nats-server: carries bytes, but holds what comes from a client of this name back for a while. */
async function hold(t: Test, target: number, name: string) {
  const sockets: Socket[] = [];
  let isHeld = false;
  const held: [Socket, Buffer][] = [];
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    let isNamed = false;
    client.on('data', (data) => {
      isNamed ||= data.includes(`"name":"${name}"`);
      if (isNamed && isHeld) held.push([upstream, data]);
      else upstream.write(data);
    });
    upstream.on('data', (data) => client.write(data));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => undefined).on('close', () => other.destroy());
      sockets.push(one);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    begin: () => (isHeld = true),
    heldBytes: () => held.reduce((sum, [, data]) => sum + data.length, 0),
    end: () => {
      isHeld = false;
      for (const [upstream, data] of held.splice(0)) upstream.write(data);
    },
  };
}

t.test('a worker whose answers nobody takes follows the log all the same', async (t) => {
  const { gateway, nats, stop } = await startTestGateway();
  t.teardown(stop);
  const { credentialsFile, url } = nats.server;
  const held = await hold(t, Number(new URL(url).port), 'read-model questions');
  const worker = await startReadModelWorker(
    {
      ...{ nats: { servers: [`nats://127.0.0.1:${held.port}`], credentialsFile }, topology: nats.topology },
      ...{ logLevel: 'silent', stateDir: `${nats.dataDir}/read-model` },
    },
    quiet,
  );
  t.teardown(() => worker.drain());
  const http = async (method: string, path: string, body?: object) => {
    const headers = { authorization: `Bearer ${API_KEY}`, ...(body && { 'content-type': 'application/json' }) };
    const response = await fetch(gateway.address + path, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as { pos: number; conversations: object[] } };
  };
  let sent = 0;
  const send = () =>
    http('POST', '/v1/messages', { from: 'alice', to: 'bob', clientMsgId: `m${++sent}`, text: 'x'.repeat(60_000) });
  for (let n = 0; n < 20; n++) t.equal((await send()).status, 200);
  const history = '/v1/users/bob/conversations/direct:alice:bob/messages?limit=20';
  await eventually(async () => (await http('GET', history)).status === 200, 'it answers');
  held.begin();
  const asked = Promise.all(Array.from({ length: 8 }, () => http('GET', history)));
  await eventually(() => held.heldBytes() > 1_000_000, 'answers wait');
  const { body } = await send();
  const operator = await nats.connect('operator');
  await eventually(async () => {
    const standing = await askStanding(operator.nc);
    return standing.some(({ lanes }) => lanes.some(({ position }) => position >= body.pos));
  }, 'the worker has read on');
  for (const { status } of await asked) t.equal(status, 503, 'what was asked is refused in time');
  held.end();
  await eventually(async () => (await http('GET', history)).status === 200, 'and it answers again');
});
