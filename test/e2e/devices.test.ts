/** Devices with the real SDK, on real gateways, a real worker and a real nats-server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Gateway } from '../../src/processes/gateway.ts';
import { type Client, createClient, type Entry, MemoryStorage, type Storage } from '../../src/sdk/index.ts';
import { FileStorage } from '../../src/sdk/node/file-storage.ts';
import { refusalOf } from '../support/code-of.ts';
import { startTestGateway, type TestGateways, tokenFor } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

interface Device {
  readonly client: Client;
  /** What the app was handed, in order. */
  readonly entries: (Entry & { readonly conversation: string })[];
}

const urlOf = ({ address }: Gateway): string => `${address.replace('http', 'ws')}/v1/ws`;

interface DeviceOptions {
  readonly name?: string;
  readonly storage?: Storage;
  readonly resume?: 'latest' | 'everything';
  readonly codec?: 'json' | 'msgpack';
}

async function device(t: Test, gateway: Gateway, user: string, options: DeviceOptions = {}): Promise<Device> {
  const { name = 'phone', storage = new MemoryStorage(), ...rest } = options;
  const client = await createClient({
    url: urlOf(gateway),
    token: await tokenFor(user),
    device: name,
    storage,
    ...rest,
  });
  const entries: Device['entries'] = [];
  client.on('entry', (conversation, entry) => void entries.push({ ...entry, conversation }));
  client.start();
  t.teardown(() => client.close());
  await eventually(() => client.status.phase === 'live', `${user} is live`);
  return { client, entries };
}

async function scene(t: Test, options: Parameters<typeof startTestGateway>[0] = {}): Promise<TestGateways> {
  const gateways = await startTestGateway(options);
  t.teardown(() => gateways.stop());
  return gateways;
}

const textOf = (entry: Entry): string => (entry.type === 'message' ? new TextDecoder().decode(entry.body) : entry.type);
const texts = ({ entries }: Device): string[] => entries.map(textOf);
const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `m${from + i}`);
/** Messages only, and each index one more than the last. */
function inOrder(t: Test, { entries }: Device, expected: readonly string[]): void {
  const messages = entries.filter(({ type }) => type === 'message');
  t.same(messages.map(textOf), expected);
  const indexes = messages.map((entry) => ('n' in entry ? entry.n : 0));
  t.ok(
    indexes.every((n, i) => i === 0 || n === (indexes[i - 1] ?? 0) + 1),
    'gapless',
  );
}

t.test('a message crosses from one device to every other of both, in either encoding', async (t) => {
  const { gateway } = await scene(t);
  const alice = await device(t, gateway, 'alice');
  const tablet = await device(t, gateway, 'alice', { name: 'tablet', codec: 'json' });
  const bob = await device(t, gateway, '鲍勃', { codec: 'json' });
  const { pos } = await alice.client.sendText({ to: '鲍勃' }, '你好 🪺').durable;
  for (const one of [alice, tablet, bob]) {
    await eventually(() => one.entries.length === 1, 'the message');
    t.match(one.entries, [{ type: 'message', pos, n: 1, by: 'alice', conversation: 'direct:alice:鲍勃' }]);
    t.same(texts(one), ['你好 🪺']);
  }
});

t.test('a group: created, joined, left, dissolved; each sees what lies between', async (t) => {
  const { gateway } = await scene(t);
  const [alice, bob, carol] = [
    await device(t, gateway, 'alice'),
    await device(t, gateway, 'bob'),
    await device(t, gateway, 'carol'),
  ];
  const room = { conversation: 'rooks' };
  await alice.client.createGroup('rooks', 'Rooks', ['bob']).durable;
  await eventually(() => bob.entries.length === 1, 'the group');
  await bob.client.sendText(room, 'before').durable;
  await alice.client.addMembers('rooks', ['carol']).durable;
  await eventually(() => carol.entries.length === 1, 'carol’s joining');
  await carol.client.sendText(room, 'during').durable;
  await alice.client.removeMembers('rooks', ['carol']).durable;
  await eventually(() => texts(carol).includes('membersRemoved'), 'carol’s leaving');
  t.equal(await refusalOf(() => carol.client.sendText(room, 'too late').durable), 'NOT_A_MEMBER');
  await bob.client.sendText(room, 'after').durable;
  await alice.client.dissolveGroup('rooks').durable;
  await eventually(() => texts(bob).includes('groupDissolved'), 'the end');
  t.same(texts(carol), ['membersAdded', 'during', 'membersRemoved']);
  t.same(texts(bob), ['groupCreated', 'before', 'membersAdded', 'during', 'membersRemoved', 'after', 'groupDissolved']);
  t.same(texts(alice), texts(bob));
  t.equal(await refusalOf(() => bob.client.sendText(room, 'x').durable), 'CONVERSATION_DISSOLVED');
});

t.test('who is blocked gets the code, and nothing reaches the other', async (t) => {
  const { gateway } = await scene(t);
  const [alice, bob] = [await device(t, gateway, 'alice'), await device(t, gateway, 'bob')];
  await alice.client.block('bob').durable;
  await eventually(() => alice.entries.length === 1, 'the block is folded');
  t.equal(await refusalOf(() => bob.client.sendText({ to: 'alice' }, 'psst').durable), 'BLOCKED');
  await alice.client.unblock('bob').durable;
  await eventually(() => alice.entries.length === 2, 'the unblock is folded');
  await bob.client.sendText({ to: 'alice' }, 'hello again').durable;
  await eventually(() => texts(alice).includes('hello again'), 'the message');
  t.notOk(texts(alice).includes('psst'));
});

t.test('a device that moves between gateways under load misses nothing and gets nothing twice', async (t) => {
  const gateways = await scene(t);
  const other = await gateways.more();
  const alice = await device(t, gateways.gateway, 'alice');
  const storage = new MemoryStorage();
  const handed: string[] = [];
  const count = 2_000;
  const sending = Promise.all(numbered(count).map((text) => alice.client.sendText({ to: 'bob' }, text).durable));
  for (let move = 0; handed.length < count; move++) {
    const at = move % 2 === 0 ? gateways.gateway : other;
    const client = await createClient({ url: urlOf(at), token: await tokenFor('bob'), device: 'phone', storage });
    client.on('entry', (_conversation, entry) => void handed.push(textOf(entry)));
    client.start();
    const before = handed.length;
    await eventually(() => handed.length > before + 60 || handed.length >= count, 'some more');
    await client.close();
  }
  await sending;
  t.same(handed, numbered(count));
});

t.test('everything restarts: what was acked is there, what was written offline goes out in order', async (t) => {
  const gateways = await scene(t);
  const dir = mkdtempSync(join(tmpdir(), 'rookery-device-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const bob = await device(t, gateways.gateway, 'bob');
  const alice = await device(t, gateways.gateway, 'alice', { storage: await FileStorage.open(dir) });
  const first = Promise.all(numbered(300).map((text) => alice.client.sendText({ to: 'bob' }, text).durable));
  await eventually(() => bob.entries.length > 50, 'the flow');
  gateways.nats.server.signal('SIGKILL');
  await gateways.nats.server.respawn();
  await first;
  await alice.client.close();
  // A device that is off writes into its outbox; a new process finds it there.
  const offline = await createClient({
    url: 'ws://127.0.0.1:9/',
    token: 'x',
    device: 'phone',
    storage: await FileStorage.open(dir),
  });
  for (const text of numbered(50, 300)) offline.sendText({ to: 'bob' }, text);
  await offline.close();
  const again = await device(t, gateways.gateway, 'alice', { storage: await FileStorage.open(dir) });
  await again.client.flushed();
  await eventually(() => bob.entries.length >= 350, 'all of it', 40_000);
  inOrder(t, bob, numbered(350));
});

t.test('a reader that takes nothing holds up nobody, and gets all of it when it reads again', async (t) => {
  const { gateway } = await scene(t, { limits: { maxBufferedBytes: 65_536 } });
  const alice = await device(t, gateway, 'alice');
  const fast = await device(t, gateway, 'bob');
  // The same user's second device stops reading at the TCP level.
  const stuck = await rawDevice(gateway, 'bob');
  stuck.socket.pause();
  const body = 'x'.repeat(20_000);
  const count = 600;
  await Promise.all(
    Array.from({ length: count }, (_, i) => alice.client.sendText({ to: 'bob' }, `${i} ${body}`).durable),
  );
  await eventually(() => fast.entries.length === count, 'the fast device has all');
  const metrics = await (await fetch(`${gateway.address}/metrics`)).text();
  const buffered = Number(/^rookery_unsent_bytes (\d+)/m.exec(metrics)?.[1]);
  t.ok(buffered < 2_000_000, `unsent bytes are bounded: ${buffered}`);
  stuck.socket.resume();
  await eventually(() => stuck.bytes() > count * body.length, 'the slow device gets the rest');
  stuck.socket.destroy();
});

t.test('a reconnect storm: a hundred devices come back at once and miss nothing', async (t) => {
  const gateways = await scene(t);
  const alice = await device(t, gateways.gateway, 'alice');
  const names = Array.from({ length: 100 }, (_, i) => `u${i}`);
  await alice.client.createGroup('crowd', 'Crowd', names).durable;
  const storages = names.map(() => new MemoryStorage());
  const handed = names.map(() => [] as string[]);
  const clients = await Promise.all(
    names.map(async (name, i) => {
      const client = await createClient({
        url: urlOf(gateways.gateway),
        token: await tokenFor(name),
        device: 'd',
        storage: storages[i] as Storage,
      });
      client.on('entry', (_conversation, entry) => void handed[i]?.push(textOf(entry)));
      client.start();
      return client;
    }),
  );
  t.teardown(() => Promise.all(clients.map((client) => client.close())));
  await eventually(() => handed.every((list) => list.length === 1), 'all are in the group');
  const room = { conversation: 'crowd' };
  await Promise.all(numbered(50).map((text) => alice.client.sendText(room, text).durable));
  // The gateway ends; all of them come back to a new one at the same port.
  const port = Number(new URL(gateways.gateway.address).port);
  await gateways.gateway.drain();
  const sending = Promise.all(numbered(50, 50).map((text) => alice.client.sendText(room, text).durable));
  await gateways.more({}, port);
  await sending;
  await eventually(() => handed.every((list) => list.length >= 101), 'all have all', 40_000);
  for (const list of handed) t.same(list, ['groupCreated', ...numbered(100)]);
});

t.test('a cursor of another epoch gets a resync, and nothing twice', async (t) => {
  const { gateway } = await scene(t);
  const storage = new MemoryStorage();
  const alice = await device(t, gateway, 'alice');
  const first = await device(t, gateway, 'bob', { storage });
  await alice.client.sendText({ to: 'bob' }, 'one').durable;
  await eventually(() => first.entries.length === 1, 'the first');
  await first.client.close();
  await alice.client.sendText({ to: 'bob' }, 'two').durable;
  await storage.commit({ epoch: 'another', seq: 77 }, []);
  const reasons: string[] = [];
  const client = await createClient({ url: urlOf(gateway), token: await tokenFor('bob'), device: 'phone', storage });
  const handed: string[] = [];
  client.on('entry', (_conversation, entry) => void handed.push(textOf(entry)));
  client.on('resync', (reason) => void reasons.push(reason));
  client.start();
  t.teardown(() => client.close());
  await eventually(() => client.status.phase === 'live', 'live');
  t.same(reasons, ['EPOCH_CHANGED']);
  await eventually(() => handed.length >= 1, 'the second');
  t.same(handed, ['two']);
});

/** A device without the SDK, whose socket a test may stop reading. */
async function rawDevice(gateway: Gateway, user: string) {
  const { hostname, port } = new URL(gateway.address);
  const socket = connect({ host: hostname, port: Number(port) });
  let bytes = 0;
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: rookery.v1.json\r\n\r\n',
  );
  socket.on('data', (chunk) => (bytes += chunk.length));
  await eventually(() => bytes > 0, 'the upgrade');
  const hello = JSON.stringify({ t: 'hello', id: 1, token: await tokenFor(user), device: 'stuck', resume: 'latest' });
  const header = Buffer.from([0x81, 0xfe, hello.length >> 8, hello.length & 0xff, 0, 0, 0, 0]);
  const upgraded = bytes;
  socket.write(Buffer.concat([header, Buffer.from(hello)]));
  await eventually(() => bytes > upgraded, 'the welcome');
  return { socket, bytes: () => bytes };
}
