/**
 * What people do while everything breaks, in a process of its own: they send to each other and to groups through the SDK,
 * repeat old ids, and change devices and gateways. What was asked, what was answered and what every device was handed goes
 * into a history, one JSON line each; whether that is right is judged elsewhere (verdict.ts).
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { signDevToken } from '../../src/adapters/jwt/tokens.ts';
import { type Client, createClient, directConversationId, MemoryStorage, type UserId } from '../../src/sdk/index.ts';
import type { Recorded } from './history.ts';
import { Random } from './random.ts';

export interface TrafficSettings {
  readonly seed: number;
  /** WebSocket addresses of the gateways; devices move among them. */
  readonly urls: readonly string[];
  readonly secretFile: string;
  readonly historyFile: string;
}

export type ToTraffic = { readonly begin: TrafficSettings } | { readonly end: true };
export type FromTraffic = { readonly begun: true } | { readonly ended: true } | { readonly error: string };

const USERS = 10;
/** Above 20 recipients a group's messages go into packs: those beyond the users are never there. */
const ABSENT = 20;
const SEND_EVERY_MS = [20, 160] as const;
const MOVE_EVERY_MS = [3_000, 12_000] as const;
/** Of the sends, so many repeat an id of at least so long ago: past the duplicate window. */
const REPEAT_SHARE = 0.03;
const REPEAT_AFTER_MS = 4_000;
/** After the last fault is healed: what is not sent and received by then is stuck. */
const FLUSHED_WITHIN_MS = 60_000;
const QUIET_MS = 3_000;
const TOKEN_LIFETIME_MS = 24 * 3_600_000;

interface Conversation {
  readonly id: string;
  readonly members: readonly number[];
  readonly group: boolean;
}

interface Sent {
  readonly id: string;
  readonly conversation: Conversation;
  readonly at: number;
}

const everybody = Array.from({ length: USERS }, (_, i) => i);
const nameOf = (user: number): string => `user-${user}`;
const direct = (a: number, b: number): Conversation => ({
  id: directConversationId(nameOf(a) as UserId, nameOf(b) as UserId),
  members: [a, b],
  group: false,
});
const conversations: readonly Conversation[] = [
  ...[direct(0, 1), direct(2, 3), direct(4, 5), direct(0, 9)],
  { id: 'five', members: everybody.slice(0, 5), group: true },
  { id: 'thirty', members: everybody, group: true },
];

/** One installation of a user; while it moves to another gateway it has no client. */
class TrafficDevice {
  readonly user: number;
  readonly name: string;
  readonly #traffic: Traffic;
  readonly #storage = new MemoryStorage();
  #client: Client | undefined;

  constructor(traffic: Traffic, user: number, name: string) {
    this.#traffic = traffic;
    this.user = user;
    this.name = name;
  }

  get client(): Client | undefined {
    return this.#client;
  }

  async open(): Promise<void> {
    const { settings, random } = this.#traffic;
    const user = nameOf(this.user);
    const client = await createClient({
      url: random.pick(settings.urls),
      token: () => signDevToken(settings.secretFile, user, TOKEN_LIFETIME_MS),
      device: this.name,
      // Closing a client closes its storage; this one only lives in memory.
      storage: this.#storage,
      codec: this.user % 2 === 0 ? 'msgpack' : 'json',
    });
    const whose = { user, device: this.name };
    client.on('entry', (conversation, entry) => {
      const { type, pos } = entry;
      const about = type === 'message' ? { id: entry.id, by: entry.by } : {};
      const index = 'n' in entry ? { n: entry.n } : {};
      this.#traffic.record({ what: 'entry', ...whose, conversation, type, pos, ...index, ...about });
    });
    client.on('gap', (conversation, { lost }) => {
      if (lost) this.#traffic.record({ what: 'broken', ...whose, reason: `indexes of ${conversation} are lost` });
    });
    client.on('failed', (error) => this.#traffic.record({ what: 'broken', ...whose, reason: String(error) }));
    this.#client = client;
    client.start();
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
  }
}

class Traffic {
  readonly settings: TrafficSettings;
  readonly random: Random;
  readonly #file: number;
  readonly #devices: TrafficDevice[] = [];
  readonly #sent: Sent[] = [];
  readonly #open = new Set<Promise<void>>();
  #isEnding = false;
  #heardAt = performance.now();
  #loops: Promise<void>[] = [];

  constructor(settings: TrafficSettings) {
    this.settings = settings;
    this.random = new Random(settings.seed);
    this.#file = openSync(settings.historyFile, 'a');
  }

  record(line: Recorded): void {
    this.#heardAt = performance.now();
    writeSync(this.#file, `${JSON.stringify({ at: performance.now(), ...line })}\n`);
  }

  async begin(): Promise<void> {
    for (const user of everybody) {
      const names = user < 4 ? ['phone', 'laptop'] : ['phone'];
      for (const name of names) this.#devices.push(new TrafficDevice(this, user, name));
    }
    for (const device of this.#devices) await device.open();
    const absent = Array.from({ length: ABSENT }, (_, i) => nameOf(USERS + i));
    const owner = this.#devices[0]?.client as Client;
    for (const { id, members } of conversations.filter(({ group }) => group)) {
      const others = [...members.slice(1).map(nameOf), ...(id === 'thirty' ? absent : [])];
      await owner.createGroup(id, id, others).durable;
    }
    this.#loops = [...everybody.map((user) => this.#sending(user)), this.#moving()];
  }

  /** Resolves when all was sent and nothing comes any more. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#loops);
    const late = new Promise<'late'>((resolve) => setTimeout(resolve, FLUSHED_WITHIN_MS, 'late'));
    const flushed = await Promise.race([late, Promise.all(this.#open)]);
    if (flushed === 'late') {
      const reason = `${this.#open.size} messages are not answered within ${FLUSHED_WITHIN_MS} ms`;
      this.record({ what: 'broken', user: '', device: '', reason });
    }
    this.#heardAt = performance.now();
    while (performance.now() - this.#heardAt < QUIET_MS) await sleep(100);
    for (const device of this.#devices) await device.close();
    closeSync(this.#file);
  }

  async #sending(user: number): Promise<void> {
    const mine = conversations.filter(({ members }) => members.includes(user));
    for (let count = 0; !this.#isEnding; count++) {
      await sleep(this.random.between(...SEND_EVERY_MS));
      const client = this.#devices.find((device) => device.user === user && device.client)?.client;
      if (!client) continue;
      const now = performance.now();
      const old = this.#sent.filter(({ id, at }) => id.startsWith(`${nameOf(user)}:`) && now - at > REPEAT_AFTER_MS);
      const repeated = old.length > 0 && this.random.chance(REPEAT_SHARE) ? this.random.pick(old) : undefined;
      const conversation = repeated?.conversation ?? this.random.pick(mine);
      const id = repeated?.id ?? `${nameOf(user)}:${String(count).padStart(7, '0')}`;
      this.#send(client, user, conversation, id, repeated !== undefined);
    }
  }

  #send(client: Client, user: number, conversation: Conversation, id: string, isRepeated: boolean): void {
    const by = nameOf(user);
    if (!isRepeated) this.#sent.push({ id, conversation, at: performance.now() });
    this.record({ what: 'send', by, conversation: conversation.id, id, isRepeated });
    const content = { contentType: 'text/plain', body: new TextEncoder().encode(id) };
    const acked = client.send({ conversation: conversation.id }, content, id).durable.then(
      ({ pos }) => this.record({ what: 'acked', by, conversation: conversation.id, id, pos }),
      ({ code }) => this.record({ what: 'refused', by, conversation: conversation.id, id, code: String(code) }),
    );
    this.#open.add(acked);
    void acked.finally(() => this.#open.delete(acked));
  }

  /** One device after the other goes away and comes back, mostly at another gateway. */
  async #moving(): Promise<void> {
    while (!this.#isEnding) {
      await sleep(this.random.between(...MOVE_EVERY_MS));
      const device = this.random.pick(this.#devices);
      await device.close();
      await device.open();
    }
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let traffic: Traffic | undefined;
const tell = (message: FromTraffic): void => {
  process.send?.(message);
};
process.on('message', (message: ToTraffic) => {
  const failed = (error: unknown): void => tell({ error: String((error as Error).stack ?? error) });
  if ('begin' in message) {
    traffic = new Traffic(message.begin);
    traffic.begin().then(() => tell({ begun: true }), failed);
  } else {
    traffic?.end().then(() => tell({ ended: true }), failed);
  }
});
process.on('disconnect', () => process.exit(0));
