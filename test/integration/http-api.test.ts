/** The HTTP API over real servers: what the WebSocket's queries and commands do, for a backend, and what describes it. */
import { Validator } from '@seriousme/openapi-schema-validator';
import t from 'tap';
import { scopes } from '../../src/ports/api-keys.ts';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, nats, stop } = await startTestGateway();
t.teardown(stop);
const { credentialsFile, url } = nats.server;
const readModel = await startReadModelWorker(
  {
    ...{ nats: { servers: [url], credentialsFile }, topology: nats.topology, logLevel: 'silent' },
    stateDir: `${nats.dataDir}/read-model`,
  },
  quiet,
);
t.teardown(() => readModel.drain());

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as it came
  readonly body: any;
}

async function ask(path: string, credential?: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(credential && { authorization: `Bearer ${credential}` }) };
  const response = await fetch(gateway.address + path, { ...init, headers });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

const get = (path: string, credential = API_KEY): Promise<Answer> => ask(path, credential);
const command = (user: string, clientMsgId: string, order: object, credential = API_KEY): Promise<Answer> =>
  ask(`/v1/users/${encodeURIComponent(user)}/commands`, credential, {
    method: 'POST',
    body: JSON.stringify({ clientMsgId, command: order }),
  });
const say = (from: string, conversation: string, clientMsgId: string, text: string): Promise<Answer> =>
  ask('/v1/messages', API_KEY, {
    method: 'POST',
    body: JSON.stringify({ from, conversation, clientMsgId, contentType: 'text/plain', text }),
  });

t.test('a backend leads a group and reads it as its members do', async (t) => {
  const made = { type: 'createGroup', conversation: 'crew 🐦', name: 'Crew', members: ['bob', '鸦'] };
  t.match(await command('alice', 'make', made), { status: 200, body: { pos: Number } });
  t.match(
    await command('alice', 'make', made),
    { status: 200, body: { duplicate: true } },
    'the same id, the same command',
  );
  t.match(await say('alice', 'crew 🐦', 'm1', 'ravens tomorrow'), { status: 200 });
  const path = `/v1/users/${encodeURIComponent('鸦')}/conversations`;
  const list = await eventually(async () => {
    const { body } = await get(path);
    return body.conversations?.[0]?.unread === 1 ? body : undefined;
  }, 'the list shows it');
  t.equal(list.conversations[0].conversation, 'crew 🐦');
  const crew = `${path}/${encodeURIComponent('crew 🐦')}`;
  t.match(await get(crew), { status: 200, body: { name: 'Crew' } });
  const { body: page } = await get(`${crew}/messages?limit=10`);
  t.match(page.entries.at(-1), { type: 'message', by: 'alice', text: 'ravens tomorrow' });
  t.equal((await get(`${crew}/members?limit=2`)).body.members.length, 2);
  const { n, id, pos } = page.entries.at(-1);
  t.ok(n > 0 && id && pos, 'an entry is told whole');
  t.match(await get(`${crew}/messages/${n}/receipts`), { status: 200 });
  t.match(await get(`/v1/users/bob/search?words=ravens`), { status: 200, body: { hits: [{}] } });
  const edited = {
    type: 'editMessage',
    conversation: 'crew 🐦',
    target: 'm1',
    contentType: 'text/plain',
    text: 'today',
  };
  t.match(await command('alice', 'edit', edited), { status: 200 });
  await eventually(
    async () => (await get(`${crew}/messages/${n}/edits`)).body.versions?.length > 0,
    'what it said before',
  );
});

t.test("a user's own token asks for that user alone; what is not one's own is as what is not there", async (t) => {
  const token = await tokenFor('mallory');
  t.match(await get('/v1/users/mallory/conversations', token), { status: 200, body: { conversations: [] } });
  t.match(await get('/v1/users/alice/conversations', token), { status: 403, body: { code: 'FORBIDDEN' } });
  t.match(await command('alice', 'x', { type: 'leaveGroup', conversation: 'c' }, token), { status: 403 });
  const theirs = await get(`/v1/users/mallory/conversations/${encodeURIComponent('crew 🐦')}/messages`, token);
  const nobodys = await get('/v1/users/mallory/conversations/nowhere/messages', token);
  t.match(theirs, { status: 403, body: { code: 'NOT_A_MEMBER' } });
  t.same(theirs, nobodys);
});

t.test('contacts, preferences, account and profiles, as their user has them', async (t) => {
  await ask('/v1/accounts', API_KEY, {
    method: 'POST',
    body: JSON.stringify({ user: 'erin', profile: { name: 'Erin' } }),
  });
  t.match(await command('erin', 'ask', { type: 'requestContact', user: '鸦', greeting: 'hello' }), { status: 200 });
  const preferences = { pinned: true, remark: 'Corvus' };
  const about = 'direct:erin:鸦';
  t.match(await command('erin', 'set', { type: 'changePreferences', about, preferences }), { status: 200 });
  const contacts = await eventually(async () => {
    const { body } = await get('/v1/users/erin/contacts?limit=10');
    return body.contacts?.[0]?.remark && body.contacts;
  }, 'the contact is listed with its remark');
  t.match(contacts, [{ user: '鸦', conversation: about, state: 'requested', remark: 'Corvus' }]);
  t.match((await get(`/v1/users/${encodeURIComponent('鸦')}/contacts`)).body.contacts, [
    { user: 'erin', state: 'asked' },
  ]);
  t.match(await get(`/v1/users/erin/preferences?about=${encodeURIComponent(about)}`), {
    status: 200,
    body: preferences,
  });
  t.same(await get('/v1/users/erin/preferences'), { status: 200, body: {} }, 'about all: nothing');
  t.match(await get('/v1/users/erin/account'), { status: 200, body: { user: 'erin', name: 'Erin', settings: {} } });
  const { body } = await get('/v1/users/bob/profiles?users=erin&users=nobody');
  t.match(body.profiles, [{ user: 'erin', name: 'Erin' }]);
  t.equal((await get('/v1/users/bob/profiles?users=erin')).body.profiles.length, 1, 'also one alone');
});

t.test('the devices of a user, and who is online', async (t) => {
  const client = await RawClient.open(gateway);
  t.teardown(() => client.end());
  const about = { device: 'phone-1', resume: 'latest', kind: 'phone', name: 'Pixel', agent: 'nest/1.0' };
  t.match(await client.ask({ t: 'hello', token: await tokenFor('frank'), ...about }), { t: 'welcome' });
  const devices = await eventually(async () => {
    const { body } = await get('/v1/users/frank/devices');
    return body.devices?.[0]?.online && body.devices;
  }, 'the device is listed');
  const { addedAt, since } = devices[0];
  t.same(devices, [
    { device: 'phone-1', kind: 'phone', name: 'Pixel', addedAt, online: true, since, agent: 'nest/1.0' },
  ]);
  t.ok(addedAt > 0 && since > 0);
  t.same(await get('/v1/users/grace/presence?users=frank&users=nobody'), {
    status: 200,
    body: {
      presence: [
        { user: 'frank', online: true },
        { user: 'nobody', online: false },
      ],
    },
  });
  t.equal((await get('/v1/users/grace/presence?users=frank')).body.presence.length, 1, 'also one alone');
  const many = Array.from({ length: 101 }, (_, i) => `users=u${i}`).join('&');
  t.match(await get(`/v1/users/grace/presence?${many}`), { status: 400, body: { code: 'BAD_REQUEST' } });
  t.match(await get('/v1/users/frank/devices', await tokenFor('grace')), { status: 403, body: { code: 'FORBIDDEN' } });
});

t.test('a backend sees who is online as it is, whatever its users let each other see', async (t) => {
  const client = await RawClient.greeted(gateway, 'hermit');
  t.teardown(() => client.end());
  const hiding = { type: 'changeSettings', settings: { lastSeenFor: 'nobody' } };
  t.match(await client.ask({ t: 'command', clientMsgId: 'hide', command: hiding }), { t: 'done' });
  await eventually(async () => (await get('/v1/presence?users=hermit')).body.presence?.[0]?.online, 'online');
  t.same((await get('/v1/users/grace/presence?users=hermit')).body.presence, [{ user: 'hermit', online: false }]);
  t.same((await get('/v1/presence?users=hermit&users=nobody&users=hermit')).body, {
    presence: [
      { user: 'hermit', online: true },
      { user: 'nobody', online: false },
    ],
  });
  const refused: readonly [number, string, string, string?][] = [
    [400, 'BAD_REQUEST', ''],
    [400, 'BAD_REQUEST', `?${'users=x&'.repeat(101)}`],
    [400, 'BAD_REQUEST', '?users=x&more=1'],
    [400, 'BAD_ID', '?users='],
    [401, 'TOKEN_INVALID', '?users=hermit', await tokenFor('hermit')],
  ];
  for (const [status, code, query, credential] of refused)
    t.match(await get(`/v1/presence${query}`, credential), { status, body: { code } }, `${code} ${query.slice(0, 20)}`);
});

t.test('what is wrong gets its code, and never a 500', async (t) => {
  const long = 'x'.repeat(200);
  const cases: readonly [number, string, Promise<Answer>][] = [
    [401, 'TOKEN_INVALID', ask('/v1/users/alice/conversations')],
    [401, 'TOKEN_INVALID', get('/v1/users/alice/conversations', `${API_KEY}x`)],
    [400, 'BAD_ID', get(`/v1/users/${long}/conversations`)],
    [400, 'BAD_REQUEST', get('/v1/users/alice/conversations?limit=many')],
    [400, 'BAD_REQUEST', get('/v1/users/alice/conversations?limit=100000')],
    [400, 'BAD_REQUEST', get('/v1/users/alice/conversations?colour=red')],
    [400, 'BAD_REQUEST', get('/v1/users/alice/conversations?cursor=nonsense')],
    [400, 'BAD_REQUEST', get('/v1/users/alice/conversations/c/messages?before=1&after=2')],
    [400, 'BAD_REQUEST', get('/v1/users/alice/conversations/c/messages/first/receipts')],
    [400, 'BAD_REQUEST', get('/v1/users/alice/search')],
    [400, 'BAD_REQUEST', command('alice', 'c1', { type: 'flyAway' })],
    [400, 'BAD_ID', command('alice', '', { type: 'leaveGroup', conversation: 'c' })],
    [400, 'BAD_FRAME', ask('/v1/users/alice/commands', API_KEY, { method: 'POST', body: '{"clientMsgId":' })],
    [400, 'BAD_REQUEST', ask('/v1/users/alice/commands', API_KEY, { method: 'POST', body: '[]' })],
    [404, 'NOT_FOUND', get('/v1/users/alice/nothing')],
  ];
  for (const [status, code, answer] of cases) t.match(await answer, { status, body: { code } }, code);
  let seed = 7;
  const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  const pieces = [
    '{',
    '}',
    '"',
    ':',
    ',',
    '[',
    ']',
    'null',
    '1e999',
    '-1',
    '\\u0000',
    '"command"',
    '"type"',
    'x',
    '💥',
  ];
  for (let i = 0; i < 200; i++) {
    const body = Array.from({ length: 1 + random() * 12 }, () => pieces[Math.floor(random() * pieces.length)]).join('');
    const { status } = await ask('/v1/users/alice/commands', API_KEY, { method: 'POST', body });
    if (status < 400 || status >= 500) t.fail(`${status} for ${body}`);
  }
});

t.test('the API describes itself: valid OpenAPI, every route in it, and a page to browse it', async (t) => {
  const { body: description } = await ask('/openapi.json');
  const { valid, errors } = await new Validator().validate(description);
  t.ok(valid, JSON.stringify(errors)?.slice(0, 400));
  t.equal(description.openapi, '3.1.0');
  for (const path of [
    '/v1/messages',
    '/v1/accounts',
    '/v1/users/{user}/conversations',
    '/v1/users/{user}/conversations/{conversation}/messages',
    '/v1/users/{user}/search',
    '/v1/users/{user}/commands',
  ])
    t.ok(description.paths[path], path);
  for (const [path, operations] of Object.entries(description.paths as Record<string, Record<string, object>>))
    for (const [method, operation] of Object.entries(operations)) {
      t.match(operation, { responses: { '4XX': {} } }, path);
      if (method === 'get' && !path.includes('{')) continue;
      const codes = { enum: /BAD_REQUEST/ };
      const badRequest = {
        description: /names the field/,
        content: { 'application/json': { schema: { properties: { code: codes } } } },
      };
      t.match(operation, { responses: { '400': badRequest } }, `${method} ${path} says what a bad request is`);
    }
  type Operation = { readonly security?: readonly Record<string, readonly string[]>[] };
  for (const [path, operations] of Object.entries(description.paths as Record<string, Record<string, Operation>>)) {
    if (!path.startsWith('/v1/')) continue;
    for (const [method, { security }] of Object.entries(operations)) {
      const named = security?.flatMap((one) => one.apiKey ?? []) ?? ['nothing said'];
      const isOpen = named.length === 0 && /^\/v1\/(login|password|sign-in)$/.test(path);
      const isKnown = named.length > 0 && named.every((scope) => scopes.some((known) => known === scope));
      t.ok(isOpen || isKnown, `${method} ${path} says who may: ${named}`);
    }
  }
  const page = await fetch(`${gateway.address}/docs/`);
  t.match([page.status, page.headers.get('content-type')], [200, /html/]);
  const policy = page.headers.get('content-security-policy') ?? '';
  t.match(policy, /^default-src 'none';.* frame-ancestors 'none'$/);
  t.notMatch(policy, /unsafe|https?:|\*/, 'nothing inline, nothing from elsewhere');
  t.notMatch(await page.text(), /https?:\/\/(?!127\.0\.0\.1)[a-z.]*(cdn|unpkg|jsdelivr)/, 'nothing from elsewhere');
});
