/** Accounts as an app and its backend have them: created over HTTP, logged in to, changed and seen through the SDK. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { type Client, changePassword, createClient, login, type Status } from '../../src/sdk/index.ts';
import { codeOf } from '../support/code-of.ts';
import { API_KEY, startTestGateway } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const gateways = await startTestGateway({ accounts: 'required', login: { enabled: true } });
t.teardown(() => gateways.stop());
const server = gateways.gateway.address;
const url = `${server.replace('http', 'ws')}/v1/ws`;

async function backend(method: string, path: string, body: object): Promise<void> {
  const response = await fetch(server + path, {
    method,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
}

async function signUp(user: string, password: string): Promise<void> {
  await backend('POST', '/v1/accounts', { user, profile: { name: user.toUpperCase() } });
  await backend('PUT', `/v1/accounts/${user}/password`, { password });
}

/** Asks for a new token each time it needs one, as an app does that has the password at hand. */
async function connected(t: Test, user: string, credentials: { password: string }): Promise<Client> {
  const token = async () => (await login(server, { user, ...credentials })).token;
  const client = await createClient({ url, token, device: 'd' });
  client.start();
  t.teardown(() => client.close());
  return client;
}

const isLive = ({ phase }: Status): boolean => phase === 'live';

t.test(
  'signed up by a backend, logged in, named, seen by others, and back after a change of the password',
  async (t) => {
    await signUp('alice', 'correct horse');
    await signUp('bob', 'bobs password');
    const credentials = { password: 'correct horse' };
    const [alice, bob] = [
      await connected(t, 'alice', credentials),
      await connected(t, 'bob', { password: 'bobs password' }),
    ];
    await alice.changeProfile({ name: 'Alice', fields: { city: 'Riga' } }).durable;
    await alice.changeSettings({ quietHours: { from: 1_320, to: 420, timeZone: 'Europe/Riga' } }).durable;
    t.match(await alice.account(), { user: 'alice', name: 'Alice', settings: { quietHours: { from: 1_320 } } });
    t.same(await bob.profiles(['alice', 'nobody', 'bob']), [
      { user: 'alice', kind: 'person', name: 'Alice', avatar: '', fields: { city: 'Riga' } },
      { user: 'bob', kind: 'person', name: 'BOB', avatar: '', fields: {} },
    ]);

    await changePassword(server, { user: 'alice', password: 'correct horse', newPassword: 'battery staple' });
    credentials.password = 'battery staple';
    await bob.sendText({ to: 'alice' }, 'still there?').durable;
    const back = await alice.account();
    t.equal(back.name, 'Alice', 'the client has come back by itself');
    await eventually(() => isLive(alice.status), 'live again');
    t.equal(await codeOf(login(server, { user: 'alice', password: 'correct horse' })), 'LOGIN_REFUSED');
  },
);

t.test('who is deactivated is sent away for good', async (t) => {
  await signUp('carol', 'carols password');
  const carol = await connected(t, 'carol', { password: 'carols password' });
  await eventually(() => isLive(carol.status), 'live');
  await backend('PATCH', '/v1/accounts/carol', { active: false });
  await eventually(() => carol.status.phase === 'stopped', 'stopped');
  t.match(carol.status, { phase: 'stopped', reason: /4210/ });
});

t.test('who writes to nobody is told so, and to whom wants contacts alone as well', async (t) => {
  const password = { password: 'bobs password' };
  const bob = await connected(t, 'bob', password);
  t.equal(await codeOf(bob.sendText({ to: 'nobody' }, 'hello?').durable), 'ACCOUNT_UNKNOWN');
  await backend('PATCH', '/v1/accounts/alice', { settings: { messagesFrom: 'contacts' } });
  await eventually(
    async () => (await codeOf(bob.sendText({ to: 'alice' }, 'psst').durable)) === 'NOT_A_CONTACT',
    'refused',
  );
});

t.test('contacts with one’s own names and groups for them, page by page', async (t) => {
  const worker = await startReadModelWorker(
    {
      nats: { servers: [gateways.nats.server.url], credentialsFile: gateways.nats.server.credentialsFile },
      ...{ topology: gateways.nats.topology, logLevel: 'silent', stateDir: join(gateways.nats.dataDir, 'read-model') },
    },
    quiet,
  );
  t.teardown(() => worker.drain());
  await signUp('dora', 'doras password');
  const [bob, dora] = [
    await connected(t, 'bob', { password: 'bobs password' }),
    await connected(t, 'dora', { password: 'doras password' }),
  ];
  await eventually(() => isLive(bob.status) && isLive(dora.status), 'both are live');
  await bob.requestContact('dora', 'hello').durable;
  await dora.requestContact('bob').durable;
  await bob.setContact('dora', { remark: 'Dodo', labels: ['rooks'] }).durable;
  await bob.requestContact('alice').durable;
  const page = await eventually(async () => {
    const page = await bob.contacts().catch(() => undefined);
    return page?.contacts.length === 2 ? page : undefined;
  }, 'both are listed');
  t.match(page.contacts, [
    { user: 'alice', state: 'requested' },
    { user: 'dora', conversation: 'direct:bob:dora', state: 'contacts', remark: 'Dodo', labels: ['rooks'] },
  ]);
  const first = await bob.contacts({ limit: 1 });
  const second = await bob.contacts({ limit: 1, cursor: first.cursor as string });
  t.same([...first.contacts, ...second.contacts], page.contacts);
});

t.test('what no server of ours has answered is an error all the same', async (t) => {
  t.equal(await codeOf(login(server, { user: '', password: 'x' })), 'BAD_ID');
  const proxy = createServer((_request, response) => response.writeHead(502).end('<h1>Bad gateway</h1>'));
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => proxy.close());
  const { port } = proxy.address() as AddressInfo;
  t.equal(await codeOf(login(`http://127.0.0.1:${port}`, { user: 'alice', password: 'x' })), 'INTERNAL');
});
