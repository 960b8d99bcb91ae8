/** API keys: what each may do, how much, until when; made and revoked while the gateway runs, and known by their names alone. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  createApiKeyFile,
  hashOfApiKey,
  newApiKey,
  removeApiKeyFile,
  type StoredKey,
} from '../../src/adapters/system/api-key-files.ts';
import { type Scope, scopes } from '../../src/ports/api-keys.ts';
import type { LogLine } from '../../src/ports/log.ts';
import { gatewaySchema } from '../../src/processes/configuration/gateway.ts';
import { loadConfiguration } from '../../src/processes/configuration/load.ts';
import { startGateway } from '../../src/processes/gateway.ts';
import { API_KEY, startTestGateway } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const apiKeyDir = mkdtempSync(join(tmpdir(), 'rookery-keys-'));
t.teardown(() => rmSync(apiKeyDir, { recursive: true }));

function create(name: string, allowed: readonly (Scope | 'all')[], more: Partial<StoredKey> = {}): string {
  const key = newApiKey();
  const fields = { scopes: allowed, createdAt: Date.now(), expiresAt: 0, ...more };
  createApiKeyFile(apiKeyDir, { name, hash: hashOfApiKey(key), ...fields });
  return key;
}

const keys = Object.fromEntries(scopes.map((scope) => [scope, create(scope.replace(':', '-'), [scope])]));
const all = create('all-of-it', ['all']);
const lines: LogLine[] = [];
const write = (line: LogLine) => void lines.push(line);
const log = { info: write, warn: write, error: write };
const { gateway, stop } = await startTestGateway({
  worker: false,
  login: { enabled: true },
  auth: { apiKeyDir },
  log,
});
t.teardown(stop);

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly retryAfter: string | null;
}

async function ask(key: string, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(gateway.address + path, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const { code, retryAfterMs } = text.startsWith('{') ? JSON.parse(text) : ({} as Partial<Answer>);
  return { status: response.status, code, retryAfterMs, retryAfter: response.headers.get('retry-after') };
}

/** The simplest request that a key may be used for. */
const profile = (key: string) => ask(key, 'GET', '/v1/users/alice/account');
const commandOf = (command: object) => ({ clientMsgId: crypto.randomUUID(), command });

t.test('a key may do what its scopes say, and nothing else', async (t) => {
  const edit = { type: 'editMessage', conversation: 'c', target: 'm', contentType: 'text/plain', text: 'x' };
  const requests: readonly [Scope, string, string, object?][] = [
    ['messages:write', 'POST', '/v1/messages', { from: 'alice', to: 'bob', clientMsgId: 'm', text: 'hi' }],
    ['messages:write', 'POST', '/v1/users/alice/commands', commandOf(edit)],
    ['conversations:read', 'GET', '/v1/users/alice/conversations/c'],
    ['conversations:read', 'GET', '/v1/users/alice/contacts?limit=0'],
    ['conversations:write', 'POST', '/v1/users/alice/commands', commandOf({ type: 'blockUser', user: 'bob' })],
    ['accounts:read', 'GET', '/v1/accounts/alice'],
    ['accounts:read', 'GET', '/v1/users/alice/profiles?users=bob'],
    ['accounts:write', 'POST', '/v1/accounts', { user: 'alice' }],
    ['accounts:write', 'PATCH', '/v1/accounts/alice', { active: true }],
    ['accounts:write', 'POST', '/v1/accounts/alice/sign-out'],
    ['accounts:write', 'POST', '/v1/accounts/import', []],
    ['accounts:write', 'POST', '/v1/users/alice/commands', commandOf({ type: 'signOut' })],
    ['tokens:write', 'POST', '/v1/accounts/alice/tokens', { name: 'x' }],
    ['tokens:write', 'DELETE', '/v1/accounts/alice/tokens/x'],
    ['passwords:write', 'PUT', '/v1/accounts/alice/password', { password: 'long enough' }],
  ];
  for (const [scope, ...request] of requests) {
    for (const [of, key] of Object.entries(keys)) {
      const { status, code } = await ask(key, ...request);
      const what = `${of}: ${request[0]} ${request[1]} ${status} ${code}`;
      if (of === scope) t.notMatch(code ?? '', /SCOPE_MISSING|TOKEN_INVALID|INTERNAL|FORBIDDEN/, what);
      else t.same([status, code], [403, 'SCOPE_MISSING'], what);
    }
    t.not((await ask(all, ...request)).code, 'SCOPE_MISSING');
    t.not((await ask(API_KEY, ...request)).code, 'SCOPE_MISSING', 'a key of the configuration may do everything');
    t.match(await ask(newApiKey(), ...request), { status: 401, code: 'TOKEN_INVALID' }, 'one that nobody made');
  }
});

t.test('a key made while the gateway runs counts within a moment, and no more once it is revoked', async (t) => {
  const key = create('made-later', ['accounts:read']);
  await eventually(async () => (await profile(key)).status === 200, 'the key is taken');
  const next = create('made-later-2', ['accounts:read']);
  await eventually(async () => (await profile(next)).status === 200, 'the next one beside it');
  removeApiKeyFile(apiKeyDir, 'made-later');
  await eventually(async () => (await profile(key)).code === 'TOKEN_INVALID', 'the old one is not');
  t.match(await profile(next), { status: 200 });
});

t.test('a file that cannot be read changes nothing for its key, and holds up none of the others', async (t) => {
  const key = create('spoilt', ['accounts:read']);
  const other = create('other', ['accounts:read']);
  await eventually(async () => (await profile(other)).status === 200, 'both are taken');
  writeFileSync(join(apiKeyDir, 'spoilt.json'), '{"hash":');
  removeApiKeyFile(apiKeyDir, 'other');
  await eventually(async () => (await profile(other)).code === 'TOKEN_INVALID', 'what else changed is seen');
  t.match(await profile(key), { status: 200 });
  t.ok(lines.some(({ what, key }) => what === 'API key not read' && key === 'spoilt'));
  const away = `${apiKeyDir}-away`;
  renameSync(apiKeyDir, away);
  await eventually(() => lines.some(({ what }) => what === 'API keys not read'), 'the folder is gone');
  t.match(await profile(key), { status: 200 });
  renameSync(away, apiKeyDir);
  removeApiKeyFile(apiKeyDir, 'spoilt');
  await eventually(async () => (await profile(key)).code === 'TOKEN_INVALID', 'revoked');
});

t.test('beyond its rate a key waits, and no other one does', async (t) => {
  const key = create('slow', ['accounts:read'], { rate: { requestsPerSecond: 0.001, burst: 3 } });
  const other = create('quick', ['accounts:read']);
  await eventually(async () => (await profile(other)).status === 200, 'the keys are taken');
  for (let i = 0; i < 3; i++) t.match(await profile(key), { status: 200 });
  const refused = await profile(key);
  t.match(refused, { status: 429, code: 'RATE_LIMITED' });
  t.ok(refused.retryAfterMs !== undefined && refused.retryAfterMs > 900_000 && refused.retryAfterMs <= 1_000_000);
  t.equal(refused.retryAfter, String(Math.ceil((refused.retryAfterMs ?? 0) / 1_000)));
  t.match(await profile(other), { status: 200 });
  const more = create('one-more', ['accounts:read']);
  await eventually(async () => (await profile(more)).status === 200, 'the folder was read again');
  t.match(await profile(key), { code: 'RATE_LIMITED' }, 'what was used stays used');
});

t.test('a key that has ended says so', async (t) => {
  const ended = create('ended', ['all'], { expiresAt: Date.now() - 1 });
  await eventually(async () => (await profile(ended)).code === 'TOKEN_EXPIRED', 'known, and over');
  t.equal((await profile(ended)).status, 401);
});

t.test('log and metrics know keys by their names, never by what they are', async (t) => {
  t.match(await ask(keys['accounts:write'] as string, 'POST', '/v1/accounts/carol/sign-out'), { status: 404 });
  const told = (): boolean =>
    lines.some(({ what, key, route }) => {
      return what === 'administration' && key === 'accounts-write' && route === '/v1/accounts/:user/sign-out';
    });
  await eventually(told, 'what a backend did');
  const metrics = await (await fetch(`${gateway.address}/metrics`)).text();
  t.match(metrics, /^rookery_backend_requests_total\{key="accounts-write",status="404"\} \d+$/m);
  t.match(metrics, /^rookery_refused_total\{code="SCOPE_MISSING"\} \d+$/m);
  const said = JSON.stringify(lines) + metrics;
  for (const key of [...Object.values(keys), all, API_KEY]) t.notOk(said.includes(key));
});

t.test('what a folder cannot hold is refused at the start', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-keys-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const invalid = { code: 'CONFIGURATION_INVALID' };
  const fields = { hash: hashOfApiKey('x'), scopes: ['all'] as const, createdAt: 0, expiresAt: 0 };
  t.throws(() => createApiKeyFile(dir, { name: '../up', ...fields }), invalid);
  t.throws(() => createApiKeyFile(dir, { name: 'none', ...fields, scopes: [] }), invalid);
  t.throws(() => createApiKeyFile(dir, { name: 'odd', ...fields, scopes: ['everything' as 'all'] }), invalid);
  createApiKeyFile(dir, { name: 'twice', ...fields });
  t.throws(() => createApiKeyFile(dir, { name: 'twice', ...fields }), { code: 'CONFLICT' });
  t.throws(() => removeApiKeyFile(dir, 'nobody'), { code: 'NOT_FOUND' });
  writeFileSync(join(dir, 'bad.json'), JSON.stringify({ ...fields, hash: 'short' }));
  const start = (apiKeyDir: string) =>
    startGateway(loadConfiguration(gatewaySchema, { environment: {}, flags: { auth: { apiKeyDir } } }).config, log);
  await t.rejects(start(dir), { ...invalid, message: /API key bad: hash/ });
  await t.rejects(start(join(dir, 'nowhere')), { ...invalid, message: /API keys in .*nowhere/ });
});
