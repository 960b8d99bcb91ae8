/** The built-in login: from a password to a session, and what guessing meets. */
import t from 'tap';
import { ScryptPasswords } from '../../src/adapters/system/scrypt-passwords.ts';
import { gatewaySchema } from '../../src/processes/configuration/gateway.ts';
import { loadConfiguration } from '../../src/processes/configuration/load.ts';
import { startGateway } from '../../src/processes/gateway.ts';
import { codeOf } from '../support/code-of.ts';
import { API_KEY, RawClient, startTestGateway } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, nats, more, stop } = await startTestGateway({
  worker: false,
  login: { enabled: true },
  trustedProxies: ['127.0.0.1'],
});
t.teardown(stop);

interface Answer extends Record<string, unknown> {
  readonly status: number;
}

/** @param from the client's address, as a proxy that is trusted tells it */
async function call(method: string, path: string, body: unknown, from = '192.0.2.1', at = gateway): Promise<Answer> {
  const isBackend = path.startsWith('/v1/accounts');
  const response = await fetch(at.address + path, {
    method,
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': from,
      ...(isBackend && { authorization: `Bearer ${API_KEY}` }),
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { ...(text ? (JSON.parse(text) as object) : {}), status: response.status };
}

const login = (user: string, password: string, from?: string) => call('POST', '/v1/login', { user, password }, from);

async function hello(token: unknown) {
  const client = await RawClient.open(gateway);
  return { client, answer: await client.ask({ t: 'hello', token, device: 'd', resume: 'latest' }) };
}

async function withPassword(user: string, password: string): Promise<void> {
  await call('POST', '/v1/accounts', { user });
  t.equal((await call('PUT', `/v1/accounts/${user}/password`, { password })).status, 204);
}

t.test('a password gives a token, and that a session; a change ends it and takes the old one', async (t) => {
  await withPassword('alice', 'correct horse');
  const first = await login('alice', 'correct horse');
  t.match(first, { status: 200, expiresAt: Number });
  const { client, answer } = await hello(first.token);
  t.match(answer, { t: 'welcome', user: 'alice' });
  const change = { user: 'alice', password: 'correct horse', newPassword: 'battery staple' };
  t.match(await call('POST', '/v1/password', { ...change, password: 'wrong' }), { status: 401, code: 'LOGIN_REFUSED' });
  t.equal((await call('POST', '/v1/password', change)).status, 204);
  t.equal(await client.closeCode(), 4102);
  t.match((await hello(first.token)).answer, { code: 'TOKEN_REVOKED' });
  t.match(await login('alice', 'correct horse'), { status: 401, code: 'LOGIN_REFUSED' });
  const second = await login('alice', 'battery staple');
  t.match((await hello(second.token)).answer, { t: 'welcome', user: 'alice' });
});

t.test('who has no account, no password or a wrong one gets the same answer', async (t) => {
  await withPassword('bob', 'bobs password');
  await call('POST', '/v1/accounts', { user: 'no-password' });
  const answers = [await login('bob', 'x'), await login('no-password', 'x'), await login('nobody', 'x')];
  t.same(answers, new Array(3).fill({ status: 401, code: 'LOGIN_REFUSED', message: 'user or password is wrong' }));
  await call('PATCH', '/v1/accounts/bob', { active: false });
  t.match(await login('bob', 'x'), { code: 'LOGIN_REFUSED' });
  t.match(await login('bob', 'bobs password'), { status: 403, code: 'ACCOUNT_DEACTIVATED' });
});

t.test('who guesses waits; the user elsewhere does not', async (t) => {
  await withPassword('carol', 'carols password');
  for (let i = 0; i < 5; i++) t.match(await login('carol', `guess ${i}`), { status: 401 });
  // Each costs as much as a check takes, so on a slow machine the first waits are over before the next guess.
  const refused = async (): Promise<boolean> => (await login('carol', 'another guess')).status === 429;
  await eventually(refused, 'a wait');
  const waits = await login('carol', 'carols password');
  t.match(waits, { status: 429, code: 'TOO_MANY_ATTEMPTS' });
  t.ok((waits.retryAfterMs as number) > 0);
  t.match(await login('carol', 'carols password', '192.0.2.2'), { status: 200 });
});

t.test('who guesses at several gateways waits at all of them', async (t) => {
  await withPassword('dora', 'doras password');
  const gateways = [gateway, await more(), await more()];
  const login = (k: number, password: string) =>
    call('POST', '/v1/login', { user: 'dora', password }, '192.0.2.3', gateways[k % gateways.length]);
  for (let i = 0; i < 5; i++) t.match(await login(i, `guess ${i}`), { status: 401 });
  for (const [k] of gateways.entries()) {
    // As above: the first waits may be over before the next guess.
    await eventually(async () => (await login(k, 'another guess')).status === 429, `a wait at gateway ${k}`);
  }
});

t.test('what is no login is told so', async (t) => {
  t.match(await login('', 'x'), { status: 400, code: 'BAD_ID' });
  t.match(await login('alice', 'x'.repeat(257)), { status: 400, code: 'BAD_REQUEST' });
  t.match(await call('POST', '/v1/login', { user: 'alice' }), { status: 400 });
  t.match(await call('PUT', '/v1/accounts/alice/password', { password: 'short' }), { status: 400 });
  t.match(await call('PUT', '/v1/accounts/nobody/password', { password: 'long enough' }), { code: 'ACCOUNT_UNKNOWN' });
});

t.test('where it is not chosen there is none, and with the keys of others there cannot be', async (t) => {
  const without = await startTestGateway({ worker: false });
  t.teardown(without.stop);
  const response = await fetch(`${without.gateway.address}/v1/login`, { method: 'POST' });
  t.equal(response.status, 404);
  const flags = { login: { enabled: true }, auth: { mode: 'jwks', jwks: 'x' } };
  const { config } = loadConfiguration(gatewaySchema, { environment: {}, flags });
  t.equal(await codeOf(startGateway(config, quiet)), 'CONFIGURATION_INVALID');
});

t.test('no password stands in the log, and the same one never twice the same', async (t) => {
  const { jsm } = await nats.connect('operator');
  const { state } = await jsm.streams.info('USER');
  for (let seq = 1; seq <= state.last_seq; seq++) {
    const message = await jsm.streams.getMessage('USER', { seq });
    t.notMatch(Buffer.from(message?.data ?? []).toString('latin1'), /correct horse|battery staple/);
  }
  const hasher = new ScryptPasswords();
  const [one, other] = await Promise.all([hasher.hash('ångström'), hasher.hash('ångström')]);
  t.not(one, other);
  t.equal(await hasher.verify('ångström'.normalize('NFD'), one), true, 'as another keyboard writes it');
  t.equal(await hasher.verify('angstrom', one), false);
  t.equal(await hasher.verify('ångström', undefined), false);
  for (const foreign of ['', 'plain', one.replace('ln=14', 'ln=31'), one.slice(0, -1)]) {
    t.equal(await codeOf(hasher.verify('ångström', foreign)), 'EVENT_UNREADABLE', foreign.slice(0, 20));
  }
});
