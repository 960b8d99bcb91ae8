/** HTTP beside the socket: a backend that sends as a user, health, and what exists in development only. */
import t from 'tap';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, nats, stop } = await startTestGateway();
t.teardown(stop);

interface Answer extends Record<string, unknown> {
  readonly status: number;
}

async function post(path: string, body: unknown, credential?: string): Promise<Answer> {
  const response = await fetch(gateway.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(credential && { authorization: `Bearer ${credential}` }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { ...((await response.json()) as object), status: response.status };
}

const order = { from: 'shop', to: 'bob', clientMsgId: 'order-17', contentType: 'text/plain', text: 'on its way' };

t.test('a backend sends as a user, and the same id again is the same message', async (t) => {
  const bob = await RawClient.greeted(gateway, 'bob');
  const first = await post('/v1/messages', order, API_KEY);
  t.match(first, { status: 200, conversation: 'direct:bob:shop' });
  t.equal(first.duplicate, undefined);
  t.match(await post('/v1/messages', order, API_KEY), { status: 200, pos: first.pos, duplicate: true });
  const binary = { ...order, clientMsgId: 'order-18', text: undefined, base64: 'AP8=' };
  t.match(await post('/v1/messages', binary, API_KEY), { status: 200 });
  await eventually(() => bob.entries.length === 2, 'both are delivered');
  t.same(
    bob.entries.map(({ by, body }) => [by, Buffer.from(body as Uint8Array).toString('hex')]),
    [
      ['shop', Buffer.from('on its way').toString('hex')],
      ['shop', '00ff'],
    ],
  );
  bob.end();
});

t.test("a user's own token sends as that user alone", async (t) => {
  const token = await tokenFor('carol');
  t.match(await post('/v1/messages', { ...order, from: undefined, clientMsgId: 'c1' }, token), {
    status: 200,
    conversation: 'direct:bob:carol',
  });
  t.match(await post('/v1/messages', { ...order, clientMsgId: 'c2' }, token), { status: 403, code: 'FORBIDDEN' });
});

t.test('what is wrong gets its code and status', async (t) => {
  const cases: readonly [number, string, unknown, string?][] = [
    [401, 'TOKEN_INVALID', order],
    [401, 'TOKEN_INVALID', order, 'nonsense'],
    [401, 'TOKEN_INVALID', order, `${API_KEY}x`],
    [401, 'TOKEN_EXPIRED', order, await tokenFor('shop', { lifetimeMs: -60_000 })],
    [400, 'BAD_FRAME', '{"from":', API_KEY],
    [400, 'BAD_REQUEST', [], API_KEY],
    [400, 'BAD_REQUEST', { ...order, text: undefined }, API_KEY],
    [400, 'BAD_REQUEST', { ...order, base64: 'AP8=' }, API_KEY],
    [400, 'BAD_REQUEST', { ...order, conversation: 'team' }, API_KEY],
    [400, 'BAD_REQUEST', { ...order, clientMsgId: 17 }, API_KEY],
    [400, 'BAD_REQUEST', { ...order, sudo: true }, API_KEY],
    [400, 'BAD_REQUEST', { ...order, text: undefined, base64: '*not base64*' }, API_KEY],
    [400, 'BAD_ID', { ...order, from: undefined }, API_KEY],
    [400, 'BAD_ID', { ...order, to: 'x'.repeat(129) }, API_KEY],
    [400, 'BAD_ID', { ...order, to: undefined, conversation: 'direct:shop:bob' }, API_KEY],
    [403, 'NOT_A_MEMBER', { ...order, to: undefined, conversation: 'no-such-group' }, API_KEY],
    [413, 'BODY_TOO_LARGE', { ...order, text: 'x'.repeat(65_537) }, API_KEY],
    [413, 'FRAME_TOO_LARGE', { ...order, text: 'x'.repeat(2_000_000) }, API_KEY],
  ];
  for (const [status, code, body, credential] of cases) {
    t.match(await post('/v1/messages', body, credential), { status, code, message: /./ }, `${status} ${code}`);
  }
});

t.test('what does not exist is not found, the token endpoint among it', async (t) => {
  t.match(await post('/v1/dev/token', { user: 'alice' }), { status: 404, code: 'NOT_FOUND' });
  t.equal((await fetch(`${gateway.address}/v1/ws`)).status, 426, 'no upgrade, no page');
});

t.test('in development anybody gets a token for any user, and it opens a session', async (t) => {
  const dev = await startTestGateway({ auth: { devTokens: true } });
  t.teardown(dev.stop);
  const body = JSON.stringify({ user: '陈晨' });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${dev.gateway.address}/v1/dev/token`, { method: 'POST', headers, body });
  const { token } = (await response.json()) as { token: string };
  const client = await RawClient.open(dev.gateway);
  t.match(await client.ask({ t: 'hello', token, device: 'd', resume: 'latest' }), { t: 'welcome', user: '陈晨' });
  client.end();
});

t.test('a gateway that cannot reach the log is alive and not ready', async (t) => {
  const status = async (path: string) => (await fetch(gateway.address + path)).status;
  t.same([await status('/healthz'), await status('/readyz')], [200, 200]);
  nats.server.signal('SIGKILL');
  await eventually(async () => (await status('/readyz')) === 503, 'not ready');
  t.equal(await status('/healthz'), 200);
  await nats.server.respawn();
  await eventually(async () => (await status('/readyz')) === 200, 'ready again');
  const sent = () => post('/v1/messages', { ...order, clientMsgId: 'after' }, API_KEY);
  await eventually(async () => (await sent()).status === 200, 'it is sent, and the worker, back as well, has taken it');
});

t.test('metrics carry their units and name no user', async (t) => {
  const text = await (await fetch(`${gateway.address}/metrics`)).text();
  for (const name of [
    'rookery_sessions',
    'rookery_appends_in_flight',
    'rookery_unsent_bytes',
    'rookery_refused_total',
  ]) {
    t.match(text, new RegExp(`^${name}`, 'm'));
  }
  t.notMatch(text, /shop|carol/);
});

t.test('a backend’s retry is answered with where the message stands, also past the duplicate window', async (t) => {
  const { gateway, nats, stop } = await startTestGateway();
  t.teardown(stop);
  const body = { to: 'bob', clientMsgId: 'order-7', contentType: 'text/plain', text: 'hello' };
  const post = async (): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${await tokenFor('alice')}`, 'content-type': 'application/json' };
    const answer = await fetch(`${gateway.address}/v1/messages`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return (await answer.json()) as Record<string, unknown>;
  };
  const first = await post();
  const { jsm } = await nats.connect('operator');
  const forgotten = await jsm.streams.update('CONV_0', { duplicate_window: 1e8 });
  t.equal(forgotten.config.duplicate_window, 1e8);
  const shortenedAt = performance.now();
  await eventually(() => performance.now() - shortenedAt > 1_000, 'JetStream has forgotten what it saw');
  t.match(await post(), { pos: first.pos, duplicate: true });
});
