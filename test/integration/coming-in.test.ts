/** Who comes in and who stays: accounts that are required, deactivated, signed out; bots and their tokens. Over two gateways. */
import t from 'tap';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';

const { gateway, more, stop } = await startTestGateway({ worker: false, accounts: 'required' });
t.teardown(stop);
const other = await more();

interface Answer extends Record<string, unknown> {
  readonly status: number;
}

async function call(method: string, path: string, body?: unknown, credential = API_KEY): Promise<Answer> {
  const response = await fetch(gateway.address + path, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      authorization: `Bearer ${credential}`,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { ...(text ? (JSON.parse(text) as object) : {}), status: response.status };
}

const create = (user: string, kind = 'person') => call('POST', '/v1/accounts', { user, kind });

async function hello(token: string, at = gateway) {
  const client = await RawClient.open(at);
  const answer = await client.ask({ t: 'hello', token, device: 'd', resume: 'latest' });
  return { client, answer };
}

async function refused(token: string, code: string, closeCode: number): Promise<void> {
  const { client, answer } = await hello(token);
  t.match(answer, { t: 'error', code });
  t.equal(await client.closeCode(), closeCode, `${code} closes with ${closeCode}`);
}

t.test('who has no account does not come in where one is required', async (t) => {
  await refused(await tokenFor('nobody'), 'ACCOUNT_UNKNOWN', 4211);
  await create('alice');
  const { client, answer } = await hello(await tokenFor('alice'));
  t.match(answer, { t: 'welcome', user: 'alice' });
  client.end();
});

t.test(
  'a deactivated account’s sessions end at every gateway, and its token is refused until it is back',
  async (t) => {
    await create('bob');
    const token = await tokenFor('bob');
    const one = await hello(token);
    const two = await RawClient.greeted(other, 'bob', 'tablet');
    const bystander = await RawClient.greeted(other, 'alice', 'phone');
    t.match(await call('PATCH', '/v1/accounts/bob', { active: false }), { status: 200, active: false });
    t.same([await one.client.closeCode(), await two.closeCode()], [4210, 4210]);
    await refused(token, 'ACCOUNT_DEACTIVATED', 4210);
    const message = { to: 'alice', clientMsgId: 'm1', text: 'hello' };
    t.match(await call('POST', '/v1/messages', message, token), { status: 403, code: 'ACCOUNT_DEACTIVATED' });
    t.match(await call('PATCH', '/v1/accounts/bob', { active: true }), { status: 200, active: true });
    t.match((await hello(token)).answer, { t: 'welcome' });
    t.equal(bystander.closed, undefined, 'nobody else is sent away');
    bystander.end();
  },
);

t.test('who signs out everywhere needs a token that was issued later', async (t) => {
  await create('carol');
  const old = await tokenFor('carol', { issuedAt: Date.now() - 5_000 });
  const [one, two] = [await hello(old), await hello(old, other)];
  const second = await RawClient.open(gateway);
  await second.ask({ t: 'hello', token: old, device: 'e', resume: 'latest' });
  t.match(await second.ask({ t: 'command', clientMsgId: 'c1', command: { type: 'signOut' } }), { t: 'done' });
  t.equal(await two.client.closeCode(), 4102);
  t.equal(await second.closeCode(), 4102);
  t.equal(await one.client.closeCode(), 4200, 'replaced before');
  await refused(old, 'TOKEN_REVOKED', 4102);
  t.match((await hello(await tokenFor('carol', { issuedAt: Date.now() + 1 }))).answer, { t: 'welcome' });
});

t.test('a bot comes in with a token of its own, until it is revoked', async (t) => {
  await create('weather', 'bot');
  t.match(await call('POST', '/v1/accounts/alice/tokens', { name: 'x' }), { status: 409, code: 'NOT_A_BOT' });
  t.match(await call('POST', '/v1/accounts/alice/tokens', { name: 'a\u0000' }), { status: 400, code: 'BAD_NAME' });
  t.match(await call('POST', '/v1/accounts/nobody/tokens', { name: 'x' }), { status: 404 });
  t.match(await call('POST', '/v1/accounts/weather/tokens', {}), { status: 400 });
  const first = await call('POST', '/v1/accounts/weather/tokens', { name: 'production' });
  const second = await call('POST', '/v1/accounts/weather/tokens', {
    name: 'trial',
    expiresAt: Date.now() + 3_600_000,
  });
  const [token, trial] = [String(first.token), String(second.token)];
  const account = await call('GET', '/v1/accounts/weather');
  t.match(account, { tokens: [{ name: 'production' }, { name: 'trial' }] });
  t.notMatch(JSON.stringify(account), token.split('.')[3] as string, 'the secret stands nowhere');
  const [one, two] = [await hello(token, other), await hello(trial)];
  t.match(
    [one.answer, two.answer],
    [
      { t: 'welcome', user: 'weather' },
      { t: 'welcome', user: 'weather' },
    ],
  );
  const message = { to: 'alice', clientMsgId: 'm1', text: 'sunny' };
  // Nobody folds here: it is in the log, and what becomes of it is not known yet.
  t.match(await call('POST', '/v1/messages', message, token), { status: 202 });

  const three = await RawClient.open(other);
  t.match(await three.ask({ t: 'hello', token, device: 'e', resume: 'latest' }), { t: 'welcome' });
  t.equal((await call('DELETE', `/v1/accounts/weather/tokens/${first.id}`)).status, 204);
  t.equal(await three.closeCode(), 4102);
  await refused(token, 'TOKEN_REVOKED', 4102);
  t.equal(two.client.closed, undefined, 'its other token still counts');
  two.client.end();
});

t.test('what looks like a bot’s token and is none', async () => {
  const { token } = await call('POST', '/v1/accounts/weather/tokens', { name: 'x' });
  const [prefix, user, id, secret] = String(token).split('.');
  await refused(`${prefix}.${user}.${id}.${secret}x`, 'TOKEN_REVOKED', 4102);
  await refused(`${prefix}.${user}.other.${secret}`, 'TOKEN_REVOKED', 4102);
  await refused(`${prefix}.alice.${id}.${secret}`, 'TOKEN_REVOKED', 4102);
  for (const nonsense of ['rkb.', 'rkb.a.b', 'rkb.~*.b.c', `${token}.more`])
    await refused(nonsense, 'TOKEN_INVALID', 4101);
});
