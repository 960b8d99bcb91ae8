/** Devices that are brought up by what has changed: the SDK, real gateways, real workers, a real log. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Gateway } from '../../src/processes/gateway.ts';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import {
  type ChangedConversation,
  type Client,
  createClient,
  type Entry,
  MemoryStorage,
  type Storage,
} from '../../src/sdk/index.ts';
import { FileStorage } from '../../src/sdk/node/file-storage.ts';
import { startTestGateway, type TestGateways, tokenFor } from '../support/gateway.ts';
import { user } from '../support/given.ts';
import { directWith, type Past, writePast } from '../support/long-past.ts';
import { freePort, quiet } from '../support/nats.ts';
import { startProcess } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

/** Little is read for one device: who was away for more than that cannot go on from its cursor. */
const LIMITS = { ringMaxEntries: 500, maxColdEntries: 64 };
/** Written while the device is away. Tried with 200,000, which takes a minute; `make bench` has a row of as many. */
const MESSAGES = 20_000;
const alice = user('alice');

async function scene(t: Test): Promise<TestGateways> {
  const gateways = await startTestGateway({ limits: LIMITS });
  t.teardown(() => gateways.stop());
  const { nats } = gateways;
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const stateDir = join(nats.dataDir, 'read-model');
  const worker = await startReadModelWorker(
    { nats: access, topology: nats.topology, logLevel: 'silent', stateDir },
    quiet,
  );
  t.teardown(() => worker.drain());
  return gateways;
}

/** What an app shows of a conversation. */
interface Shown {
  lastIndex: number;
  /** Position of the newest message. */
  pos: number;
  unread: number;
}

/** An app that keeps its list from whatever it is given: what is told, and entries. */
class App {
  readonly client: Client;
  readonly list = new Map<string, Shown>();
  readonly told: string[] = [];
  /** Indexes that came as entries. */
  readonly entries = new Map<string, number[]>();
  readonly resyncs: string[] = [];
  synced = 0;

  static async start(
    t: Test,
    gateway: Gateway | string,
    device: string,
    { sync = 'recent', storage = new MemoryStorage() }: { sync?: 'recent' | 'replay'; storage?: Storage } = {},
  ): Promise<App> {
    const address = typeof gateway === 'string' ? gateway : gateway.address;
    const url = `${address.replace('http', 'ws')}/v1/ws`;
    const app = new App(await createClient({ url, token: () => tokenFor('alice'), device, sync, storage }));
    t.teardown(() => app.client.close());
    app.client.start();
    return app;
  }

  constructor(client: Client) {
    this.client = client;
    client.on('changed', (changed) => this.#change(changed));
    client.on('entry', (conversation, entry) => this.#take(conversation, entry));
    client.on('resync', (reason) => void this.resyncs.push(reason));
    client.on('synced', () => {
      this.synced += 1;
    });
  }

  live(): Promise<true> {
    return eventually(() => this.client.status.phase === 'live' || undefined, 'the device is live', 120_000);
  }

  #change(changed: ChangedConversation): void {
    this.told.push(changed.conversation);
    if ('left' in changed) return;
    const { conversation, lastIndex, last, unread } = changed;
    const before = this.list.get(conversation);
    // What came as entries meanwhile is not in what is told.
    const since = (this.entries.get(conversation) ?? []).filter((n) => n > lastIndex).length;
    if (before && before.lastIndex > lastIndex) this.list.set(conversation, { ...before, unread: unread + since });
    else this.list.set(conversation, { lastIndex, pos: last.pos, unread });
  }

  #take(conversation: string, entry: Entry): void {
    if (!('n' in entry)) return;
    this.entries.set(conversation, [...(this.entries.get(conversation) ?? []), entry.n]);
    const before = this.list.get(conversation) ?? { lastIndex: 0, pos: 0, unread: 0 };
    if (before.lastIndex >= entry.n) return;
    this.list.set(conversation, { lastIndex: entry.n, pos: entry.pos, unread: before.unread + 1 });
  }
}

const listOf = ({ list }: App): [string, Shown][] => [...list].sort(([a], [b]) => (a < b ? -1 : 1));
const messagesIn = ({ list }: App): number => [...list.values()].reduce((sum, { lastIndex }) => sum + lastIndex, 0);

t.test('a device that was far away comes back, and has the list of one that never left', async (t) => {
  const { gateway, nats } = await scene(t);
  const { nc } = await nats.connect('operator');
  const storage = new MemoryStorage();
  const first = await App.start(t, gateway, 'phone', { storage });
  await first.live();
  await first.client.close();
  const before = (await storage.load()).cursor;
  t.ok(before, 'it keeps a cursor');
  const online = await App.start(t, gateway, 'tablet', { sync: 'replay' });
  await online.live();

  const past: Past = { to: alice, conversations: 300, friends: 'friend', messages: MESSAGES };
  await writePast(nc, past);
  // More comes while it is brought up.
  let more = 0;
  let isOver = false;
  const going = (async () => {
    for (; !isOver; more += 50) await writePast(nc, { ...past, conversations: 50, messages: 50 });
  })();
  await eventually(() => messagesIn(online) >= MESSAGES, 'the tablet has it all', 120_000);
  const phone = await App.start(t, gateway, 'phone', { storage });
  await phone.live();
  const madeLive = messagesIn(phone);
  await eventually(() => messagesIn(phone) > madeLive + 50, 'what comes live');
  isOver = true;
  await going;
  await eventually(() => messagesIn(online) === MESSAGES + more && messagesIn(phone) === MESSAGES + more, 'all of it');
  t.same(listOf(phone), listOf(online));
  // A slow machine may fall behind once more meanwhile: then it is brought up once more.
  await phone.live();
  t.match(phone.resyncs, ['TOO_FAR_BEHIND']);
  t.equal(phone.synced, phone.resyncs.length);
  t.equal(new Set(phone.told).size, 300, 'each conversation was told');
  for (const [conversation, list] of phone.entries) {
    const jumps = list.flatMap((n, i) => (i > 0 && n !== (list[i - 1] ?? 0) + 1 ? [n] : []));
    // Some came as entries before it was seen that there are too many.
    t.ok(jumps.length <= 1, `${conversation} goes on without a gap: ${jumps}`);
  }
  const marks = new Map((await storage.load()).marks);
  await phone.client.close();
  const end = new Map((await storage.load()).marks);
  for (const [conversation, { lastIndex }] of online.list) t.equal(end.get(conversation as never)?.n, lastIndex);
  t.ok(marks.size <= end.size);

  // What lies in between is there to be looked at.
  const again = await App.start(t, gateway, 'phone', { storage });
  const page = await again.client.history(directWith(past, 7), { before: 20, limit: 10 });
  t.same(
    page.entries.map(({ n }) => n),
    Array.from({ length: 10 }, (_, i) => 10 + i),
  );
  await again.live();
  t.same(again.resyncs, [], 'and it goes on from its cursor');
});

t.test('a device with nothing has the first page of the list, then what comes, and pages on', async (t) => {
  const { gateway, nats } = await scene(t);
  const { nc } = await nats.connect('operator');
  const past: Past = { to: alice, conversations: 250, friends: 'friend', messages: 1_000 };
  const online = await App.start(t, gateway, 'tablet', { sync: 'replay' });
  await online.live();
  await writePast(nc, past);
  await eventually(() => messagesIn(online) === 1_000, 'the tablet has it all');
  const phone = await App.start(t, gateway, 'phone');
  const synced = new Promise<{ more?: string; badge?: { unread: number } }>((resolve) =>
    phone.client.on('synced', resolve),
  );
  const { more, badge } = await synced;
  t.equal(phone.told.length, 100, 'a page, no more');
  t.match(badge, { unread: 1_000, conversations: 250 });
  t.same(
    phone.told,
    (await phone.client.conversations({ limit: 100 })).conversations.map(({ conversation }) => conversation),
    'in the order of the list',
  );
  const second = await phone.client.conversations({ limit: 100, cursor: more as string });
  t.equal(second.conversations.length, 100);
  t.notOk(second.conversations.some(({ conversation }) => phone.told.includes(conversation)));
  await writePast(nc, { ...past, messages: 250 });
  await eventually(() => [...phone.entries.values()].flat().length === 250, 'what comes live');
  for (const [conversation, list] of phone.entries) t.same(list, [5], `once: ${conversation}`);
  t.same(phone.resyncs, ['NOTHING_KEPT']);
});

t.test('the app killed in any page, and its gateway in the middle: it ends with everything', async (t) => {
  const { gateway, nats } = await scene(t);
  const { nc } = await nats.connect('operator');
  const dir = mkdtempSync(join(tmpdir(), 'rookery-sync-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const first = await App.start(t, gateway, 'phone', { storage: await FileStorage.open(dir) });
  await first.live();
  await first.client.close();
  const online = await App.start(t, gateway, 'tablet', { sync: 'replay' });
  await online.live();
  const past: Past = { to: alice, conversations: 250, friends: 'friend', messages: 2_500 };
  await writePast(nc, past);
  await eventually(() => messagesIn(online) === 2_500, 'the tablet has it all');

  const startOwn = async () => {
    const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
    const auth = { secretFile: join(nats.dataDir, 'jwt-secret') };
    const started = startProcess('gateway', { nats: access, auth, limits: LIMITS, port }, nats.dataDir);
    await started.said('gateway started');
    t.teardown(() => started.child.kill());
    return started;
  };
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const gone = await startOwn();
  const told = new Set<string>();
  // Fewer in all than there are, so that something is left to be told, however much each run has stored before it died.
  for (const dieAfter of [1, 60, 130]) {
    const died = await killedAfter({ dir, address, dieAfter });
    for (const conversation of died) told.add(conversation);
  }
  const storage = await FileStorage.open(dir);
  const phone = await App.start(t, address, 'phone', { storage });
  await eventually(() => phone.told.length > 0, 'a page');
  gone.child.kill('SIGKILL');
  await gone.ended;
  await startOwn();
  await phone.live();
  for (const conversation of phone.told) told.add(conversation);
  t.equal(told.size, 250, 'each conversation was told, in one run or another');
  await eventually(async () => (await storage.load()).cursor?.sync === undefined, 'nothing is left');
  const marks = new Map((await storage.load()).marks);
  for (const [conversation, { lastIndex }] of online.list) t.equal(marks.get(conversation as never)?.n, lastIndex);
});

/** What was told to an app that was killed after so many conversations, or had been told all before. */
async function killedAfter(run: { dir: string; address: string; dieAfter: number }): Promise<string[]> {
  const app = join(import.meta.dirname, '..', 'support', 'app-to-be-killed.ts');
  const child = spawn(process.execPath, [app, JSON.stringify({ ...run, token: await tokenFor('alice') })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await once(child, 'close');
  return said.split('\n').slice(0, -1);
}
