/** Accounts from a backend's request and a client's command to the log of people, through real gateways. */
import t from 'tap';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, stop } = await startTestGateway({ worker: false });
t.teardown(stop);
const other = await more();

interface Answer extends Record<string, unknown> {
  readonly status: number;
}

async function call(method: string, path: string, body?: unknown, credential = API_KEY): Promise<Answer> {
  const isText = typeof body === 'string';
  const response = await fetch(gateway.address + path, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': isText ? 'application/x-ndjson' : 'application/json' }),
      authorization: `Bearer ${credential}`,
    },
    ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { ...(text ? (JSON.parse(text) as object) : {}), status: response.status };
}

const command = (command: object, clientMsgId: string = crypto.randomUUID()) => ({
  t: 'command',
  clientMsgId,
  command,
});
const query = (query: object) => ({ t: 'query', query });
const longId = '陈'.repeat(42);

t.test('a backend creates an account, changes it, and finds it', async (t) => {
  const profile = { name: 'Alice', avatar: 'https://example.org/a.png', fields: { city: 'Rīga' } };
  t.match(await call('POST', '/v1/accounts', { user: 'alice', profile }), { status: 201, user: 'alice', active: true });
  t.match(await call('POST', '/v1/accounts', { user: 'alice', profile }), { status: 409, code: 'ACCOUNT_EXISTS' });
  const changes = { profile: { fields: { city: null, team: 'rooks' } }, settings: { messagesFrom: 'contacts' } };
  t.match(await call('PATCH', '/v1/accounts/alice', changes), { status: 200 });
  t.match(await call('PATCH', '/v1/accounts/alice', changes), { status: 200 }, 'what is so already stays');
  const found = await call('GET', '/v1/accounts/alice');
  t.same(found, {
    status: 200,
    user: 'alice',
    kind: 'person',
    active: true,
    profile: { ...profile, fields: { team: 'rooks' } },
    settings: { quietHours: null, lastSeenFor: 'everybody', messagesFrom: 'contacts' },
  });
  t.match(await call('GET', '/v1/accounts/nobody'), { status: 404, code: 'ACCOUNT_UNKNOWN' });
  const path = `/v1/accounts/${encodeURIComponent(longId)}`;
  t.match(await call('POST', '/v1/accounts', { user: longId, kind: 'bot' }), { status: 201, kind: 'bot', tokens: [] });
  t.match(await call('GET', path), { status: 200, user: longId });
});

t.test('only a backend with its key, and only what is well-formed', async (t) => {
  t.match(await call('GET', '/v1/accounts/alice', undefined, await tokenFor('alice')), { status: 401 });
  const wrong: object[] = [
    { profile: {} },
    { user: '' },
    { user: 'x', kind: 'cat' },
    { user: 'x', profile: { name: 'n'.repeat(129) } },
    { user: 'x', profile: { fields: { __proto__x: '1' } } },
    { user: 'x', profile: { fields: { 'a b': '1' } } },
    { user: 'x', profile: { fields: { a: 1 } } },
    { user: 'x', sudo: true },
  ];
  for (const body of wrong) {
    t.match(await call('POST', '/v1/accounts', body), { status: 400, code: /^BAD_/ }, JSON.stringify(body));
  }
  t.match(await call('PATCH', '/v1/accounts/alice', {}), { status: 400 });
  t.match(
    await call('PATCH', '/v1/accounts/alice', { settings: { quietHours: { from: 1, to: 1_440, timeZone: 'UTC' } } }),
    {
      status: 400,
    },
  );
  t.match(await call('PATCH', '/v1/accounts/nobody', { profile: { name: 'x' } }), { code: 'ACCOUNT_UNKNOWN' });
});

t.test('an import creates, changes and leaves, says so line by line, and may be repeated', async (t) => {
  const lines = [
    { user: 'i1', profile: { name: 'One' } },
    { user: 'alice', profile: { name: 'Alicia' } },
    { user: '', profile: {} },
    { user: 'i2', kind: 'bot' },
  ];
  const expected = (...results: string[]) => results.map((result, i) => ({ line: i + 1, result }));
  t.match(await call('POST', '/v1/accounts/import', lines), {
    status: 200,
    results: expected('created', 'changed', 'failed', 'created'),
  });
  const text = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"user":\n{"user":"i2","kind":"person"}\n`;
  const again = await call('POST', '/v1/accounts/import', text);
  t.match(again, { results: expected('unchanged', 'unchanged', 'failed', 'unchanged', 'failed', 'failed') });
  t.match((again.results as object[])[5], { code: 'ACCOUNT_EXISTS', message: /another kind/ });
  const many = Array.from({ length: 1_000 }, (_, i) => ({ user: `many-${i}`, profile: { name: `M ${i}` } }));
  const { results } = (await call('POST', '/v1/accounts/import', many)) as unknown as { results: { result: string }[] };
  t.same([results.length, results.every(({ result }) => result === 'created')], [1_000, true]);
  t.match(await call('POST', '/v1/accounts/import', [...many, ...many]), { status: 400, code: 'BAD_REQUEST' });
});

t.test(
  'a user changes what is their own, once for each id; others see the profile alone, at every gateway',
  async (t) => {
    const bob = await RawClient.greeted(gateway, 'bob');
    const carol = await RawClient.greeted(other, 'carol');
    const profilesOf = async (...users: string[]) =>
      ((await carol.ask(query({ type: 'profiles', users }))).result as { profiles: Record<string, unknown>[] })
        .profiles;
    t.same(await profilesOf('bob'), [], 'nobody has said anything of him');
    const change = command({ type: 'changeProfile', profile: { name: 'Bob', fields: { mood: 'ok' } } }, 'c1');
    const done = await bob.ask(change);
    t.match(done, { t: 'done' });
    t.match(await bob.ask(command({ type: 'changeProfile', profile: { name: 'Robert' } })), { t: 'done' });
    t.match(await bob.ask(change), { t: 'done', duplicate: true }, 'a retry undoes nothing');
    const quietHours = { from: 1_320, to: 420, timeZone: 'Asia/Shanghai' };
    t.match(await bob.ask(command({ type: 'changeSettings', settings: { quietHours } })), { t: 'done' });
    t.match(await bob.ask(command({ type: 'changeSettings', settings: { quietHours } })), { code: 'NO_CHANGE' });
    t.same((await bob.ask(query({ type: 'account' }))).result, {
      user: 'bob',
      kind: 'person',
      name: 'Robert',
      avatar: '',
      fields: { mood: 'ok' },
      settings: { quietHours, lastSeenFor: 'everybody', messagesFrom: 'everybody' },
    });
    const seen = await eventually(
      async () => (await profilesOf('bob', 'nobody'))[0],
      'the other gateway has heard of it',
    );
    t.same(seen, { user: 'bob', kind: 'person', name: 'Robert', avatar: '', fields: { mood: 'ok' } });
    for (const client of [bob, carol]) client.end();
  },
);

t.test('what a client says of its account wrongly is told so', async (t) => {
  const dora = await RawClient.greeted(gateway, 'dora');
  const wrong: object[] = [
    { type: 'changeProfile' },
    { type: 'changeProfile', profile: {} },
    { type: 'changeProfile', profile: { name: 'n'.repeat(129) } },
    { type: 'changeSettings', settings: { lastSeenFor: 'me' } },
    { type: 'changeSettings', settings: { quietHours: { from: 0, to: 1, timeZone: 'Moon/Base' } } },
    { type: 'changeSettings', settings: { sudo: true } },
  ];
  for (const one of wrong) t.match(await dora.ask(command(one)), { code: 'BAD_REQUEST' }, JSON.stringify(one));
  const users = Array.from({ length: 101 }, (_, i) => `u${i}`);
  t.match(await dora.ask(query({ type: 'profiles', users })), { code: 'BAD_REQUEST' });
  const fields = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`f${i}`, 'x']));
  t.match(await dora.ask(command({ type: 'changeProfile', profile: { fields } })), { code: 'TOO_MANY_FIELDS' });
  dora.end();
});
