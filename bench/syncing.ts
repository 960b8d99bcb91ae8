/**
 * First sync and far behind, through the SDK against a whole deployment: gateway, fan-out and read-model worker, each a process. The
 * SDK runs in this one. A long past is written straight into the log, and goes the way of every message from there.
 */
import { signDevToken } from '../src/adapters/jwt/tokens.ts';
import { createClient, MemoryStorage, type Storage, type StoredState } from '../src/sdk/index.ts';
import { user } from '../test/support/given.ts';
import { type Past, writePast } from '../test/support/long-past.ts';
import { type Deployment, deploy } from './deployment.ts';
import type { Row } from './rows.ts';

const CONVERSATIONS = 1_000;
const PAGE = 50;
const FIRST_SYNCS = 40;
const RETURNS = 10;
const TOKEN_LIFETIME_MS = 3_600_000;
/** Until fan-out and read model have all of the past. */
const SETTLED_WITHIN_MS = 170_000;
const POLL_MS = 100;

const [reader, light] = [user('reader'), user('light')];

interface Away {
  readonly storage: MemoryStorage;
  readonly tookMs: number;
  readonly told: ReadonlySet<string>;
}

/**
 * @param messages behind the reader; another user has a tenth of it in as many conversations
 * @returns `first-sync`, `first-sync-tenth`, `far-behind`
 */
export async function measureSyncing(messages: number): Promise<Row[]> {
  const deployment = await deploy({ profile: 'default', profileDir: undefined, isRead: true });
  try {
    const { nc } = await deployment.log.connect('operator');
    const [home] = [await comesUp(deployment, reader, 'away', new MemoryStorage(), false)];
    const past = (to: typeof reader, count: number): Past => ({
      ...{ to, conversations: CONVERSATIONS, friends: 'friend', messages: count },
    });
    await writePast(nc, past(light, messages / 10));
    await writePast(nc, past(reader, messages));
    await settled(deployment, messages);
    const first = await firstSyncs(deployment, reader);
    const tenth = await firstSyncs(deployment, light);
    const left = await home.storage.load();
    const back: Away[] = [];
    for (let i = 0; i < RETURNS; i++) back.push(await comesUp(deployment, reader, 'away', await copyOf(left), false));
    const untold = back.reduce((sum, { told }) => sum + CONVERSATIONS - told.size, 0);
    return [
      row('first-sync', first, 'syncs/s'),
      row('first-sync-tenth', tenth, 'syncs/s'),
      {
        ...row(
          'far-behind',
          back.map(({ tookMs }) => tookMs),
          'syncs/s',
        ),
        lost: untold,
      },
    ];
  } finally {
    await deployment.stop();
  }
}

async function copyOf({ cursor, marks }: StoredState): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  await storage.commit(cursor, marks);
  return storage;
}

/** Of devices with nothing: from the call of `start` to the first page of the list and the newest page of its first conversation. */
async function firstSyncs(deployment: Deployment, who: typeof reader): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i <= FIRST_SYNCS; i++) {
    const { tookMs } = await comesUp(deployment, who, `new-${i}`, new MemoryStorage(), true);
    // The first one warms this process up as well.
    if (i > 0) times.push(tookMs);
  }
  return times;
}

/** @param opens whether the newest page of the first conversation belongs to it */
async function comesUp(
  { url, secretFile }: Deployment,
  who: typeof reader,
  device: string,
  storage: MemoryStorage,
  opens: boolean,
): Promise<Away> {
  const token = await signDevToken(secretFile, who, TOKEN_LIFETIME_MS);
  const client = await createClient({ url, token, device, storage: storage as Storage, sync: 'recent' });
  const told = new Set<string>();
  const failed = new Promise<never>((_, reject) => client.on('failed', reject));
  const synced = new Promise<void>((resolve) => client.on('synced', () => resolve()));
  client.on('changed', ({ conversation }) => void told.add(conversation));
  const before = performance.now();
  client.start();
  await Promise.race([synced, failed]);
  const [newest] = told;
  if (opens && newest !== undefined) await client.history(newest, { limit: PAGE });
  const tookMs = performance.now() - before;
  await client.close();
  return { storage, tookMs, told };
}

/** All of it is in the inboxes and in the read model: the badge says so. */
async function settled(deployment: Deployment, messages: number): Promise<void> {
  const token = await signDevToken(deployment.secretFile, reader, TOKEN_LIFETIME_MS);
  const client = await createClient({ url: deployment.url, token, device: 'watch', resume: 'latest' });
  client.start();
  const deadline = performance.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const page = await client.conversations({ limit: 1 }).catch(() => undefined);
    if (page?.badge?.unread === messages) break;
    if (performance.now() > deadline) throw new Error(`${page?.badge?.unread} of ${messages} are in the read model`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await client.close();
  await inboxesHaveAll(deployment);
}

/** The fan-out worker has nothing left. */
async function inboxesHaveAll({ log }: Deployment): Promise<void> {
  const { jsm } = await log.connect('operator');
  const deadline = performance.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const { num_pending, num_ack_pending } = await jsm.consumers.info('CONV_0', 'fan-out');
    if (num_pending + num_ack_pending === 0) return;
    if (performance.now() > deadline) throw new Error(`${num_pending} are not in the inboxes`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function row(name: string, times: number[], unit: string): Row {
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? 0;
  const total = times.reduce((sum, ms) => sum + ms, 0);
  const measures = { value: times.length / (total / 1_000), p50Ms: at(0.5), p99Ms: at(0.99) };
  return { name, unit, ...measures, lost: 0, doubled: 0, outOfOrder: 0, durability: 'default' };
}
