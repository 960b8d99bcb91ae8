/**
 * `make bench`: measures a whole deployment beside the limits of the same run, prints a table with ratios, and writes
 * bench/results/latest.json. See README.md here for what each row does.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNatsServer } from '../src/cli/nats-server-binary.ts';
import { deploy, generate, residentKiB, startLimit } from './deployment.ts';
import type { Result } from './job.ts';
import { measurePublish } from './limits/jetstream-publish.ts';
import { topFunctions } from './profile.ts';
import { type Row, table } from './report.ts';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '' },
    seconds: { type: 'string', default: '6' },
    profile: { type: 'boolean', default: false },
  },
});
const measureMs = Number(flags.seconds) * 1_000;
const warmupMs = 2_500;
const wanted = flags.rows ? new Set(flags.rows.split(',')) : undefined;
const profiles = flags.profile ? join(tmpdir(), `rookery-profiles-${process.pid}`) : undefined;
const rows: Row[] = [];

interface LiveRow {
  readonly name: string;
  readonly groups: number;
  readonly members: number;
  /** Messages of a group on their way. */
  readonly window: number;
  readonly limit?: string;
  readonly profile?: 'sync';
}

/** Windows saturate and keep p99 within 250 ms; a closed loop, so queues stay bounded. */
const LIVE: readonly LiveRow[] = [
  { name: 'direct-1', groups: 1, members: 2, window: 1 },
  { name: 'direct-512', groups: 64, members: 2, window: 8, limit: 'jetstream-publish' },
  { name: 'direct-512-sync', groups: 64, members: 2, window: 8, limit: 'jetstream-publish-sync', profile: 'sync' },
  { name: 'group-10', groups: 1, members: 10, window: 256, limit: 'ws-broadcast-10' },
  { name: 'group-10x20', groups: 20, members: 10, window: 24, limit: 'ws-broadcast-10' },
  { name: 'group-100', groups: 1, members: 100, window: 256, limit: 'ws-broadcast-100' },
  { name: 'group-500', groups: 1, members: 500, window: 128, limit: 'ws-broadcast-500' },
];

const isWanted = (name: string): boolean => !wanted || wanted.has(name);

for (const row of LIVE) if (isWanted(row.name)) await measureLive(row);
if (isWanted('idle-5000')) await measureIdle();
if (isWanted('catch-up-ring')) await measureCatchUp('catch-up-ring', {});
// A ring of one entry: everything lies past it.
if (isWanted('catch-up-cold')) await measureCatchUp('catch-up-cold', { ringMaxEntries: 1, maxColdEntries: 100_000 });

const binary = await findNatsServer();
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, nats-server ${binary.version}`;
console.log(`\n${machine}\n\n${table(rows)}`);
if (!wanted) {
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'latest.json'), `${JSON.stringify({ machine, rows }, null, 2)}\n`);
}

async function measureLive({ name, groups, members, window, limit, profile }: LiveRow): Promise<void> {
  const limitValue = limit ? await limitOf(limit, members) : undefined;
  const deployment = await deploy({ ...(profile && { profile }), profiles });
  try {
    const { url, secretFile } = deployment;
    const result = await generate({ kind: 'live', url, secretFile, groups, members, window, warmupMs, measureMs });
    const perMessage = members === 2;
    add({
      name,
      ...result,
      value: perMessage ? (result.messagesPerS ?? 0) : result.value,
      unit: perMessage ? 'messages/s' : 'deliveries/s',
      durability: profile ?? 'default',
      ...(limit &&
        limitValue && { limit, ratio: (perMessage ? (result.messagesPerS ?? 0) : result.value) / limitValue }),
    });
  } finally {
    await deployment.stop();
    if (profiles) for (const line of topFunctions(profiles)) console.log(line);
  }
}

/** Measured once a run, beside the first row that asks for it. */
async function limitOf(name: string, members: number): Promise<number> {
  const known = rows.find((row) => row.name === name);
  if (known) return known.value;
  if (name.startsWith('jetstream-publish')) {
    const profile = name.endsWith('sync') ? 'sync' : 'default';
    const { startNats } = await import('../test/support/nats.ts');
    const nats = await startNats({ profile });
    const value = await measurePublish(nats.server.url, nats.server.credentialsFile, measureMs);
    await nats.stop();
    add({ name, value, unit: 'messages/s', durability: profile, lost: 0, doubled: 0, outOfOrder: 0 });
    return value;
  }
  for (const corked of [false, true]) {
    const { url, child } = await startLimit('ws-broadcast.ts', corked ? ['corked'] : []);
    const window = members >= 500 ? 64 : 128;
    const result = await generate({ kind: 'broadcast', url, members, window, warmupMs, measureMs });
    child.kill('SIGKILL');
    add({ name: corked ? `${name}-corked` : name, ...result, unit: 'deliveries/s', durability: 'none' });
  }
  return rows.find((row) => row.name === name)?.value ?? 0;
}

async function measureIdle(): Promise<void> {
  const connections = 5_000;
  const { url, child } = await startLimit('ws-broadcast.ts');
  const rawBefore = residentKiB(child.pid);
  let raw = 0;
  await generate({ kind: 'idle', url, secretFile: undefined, connections }, () => {
    raw = (residentKiB(child.pid) - rawBefore) / connections;
  });
  child.kill('SIGKILL');
  add({
    name: 'raw-ws-idle',
    value: raw,
    unit: 'KiB/connection',
    durability: 'none',
    lost: 0,
    doubled: 0,
    outOfOrder: 0,
  });

  const deployment = await deploy();
  // What the first connections set up once and for all is not charged to the others.
  const { url: gateway, secretFile } = deployment;
  await generate({ kind: 'idle', url: gateway, secretFile, connections: 200 });
  const before = residentKiB(deployment.gateway.pid);
  let each = 0;
  const result = await generate({ kind: 'idle', url: gateway, secretFile, connections }, async () => {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    each = (residentKiB(deployment.gateway.pid) - before) / connections;
  });
  await deployment.stop();
  const lost = connections - result.value;
  add({
    name: 'idle-5000',
    ...result,
    value: each,
    unit: 'KiB/connection',
    durability: 'default',
    limit: 'raw-ws-idle',
    ratio: each / raw,
    lost,
  });
}

async function measureCatchUp(name: string, limits: Record<string, number>): Promise<void> {
  const deployment = await deploy({ limits, profiles });
  try {
    const { url, secretFile } = deployment;
    const result = await generate({ kind: 'catch-up', url, secretFile, conversations: 200, messages: 20_000 });
    add({ name, ...result, unit: 'messages/s', durability: 'default' });
  } finally {
    await deployment.stop();
    if (profiles) for (const line of topFunctions(profiles)) console.log(line);
  }
}

function add(row: Row & Partial<Result>): void {
  rows.push(row);
  console.log(table([row]).split('\n').at(-1));
}

process.on('exit', () => {
  if (profiles) rmSync(profiles, { recursive: true, force: true });
});
