/**
 * A log with churn, exported, imported into an empty deployment and proved to be the same: `node bench/archive.ts [events]`. With `rates`
 * behind it, without the read models, which take the longest. Each command runs as a process of its own; its rate stands beside what JetStream itself does in the same run, and its peak of memory.
 * Ends with 1 where anything differs.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeliverPolicy } from '@nats-io/jetstream';
import { FileArchiveReader } from '../src/adapters/archive/archive-reader.ts';
import type { Nats } from '../src/adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../src/adapters/jetstream/log/log-reader.ts';
import { JetstreamRecordAppender } from '../src/adapters/jetstream/records/record-appender.ts';
import { batchedStreams } from '../src/adapters/jetstream/records/record-batches.ts';
import { logStreams } from '../src/adapters/jetstream/records/record-reader.ts';
import { SqliteReadModel } from '../src/adapters/sqlite/read-model.ts';
import { ReadModelSnapshot } from '../src/adapters/sqlite/read-model-digests.ts';
import { foldLog } from '../src/application/read-model/rebuild.ts';
import { startNats, type TestNats } from '../test/support/nats.ts';
import { append, churnedLog } from './churned-log.ts';
import { cpuSeconds } from './usage.ts';

const CLI = join(import.meta.dirname, '..', 'src', 'cli', 'rookery.ts');
/** In the limits that write. */
const BARE_MESSAGES = 200_000;
const POLL_MS = 100;

const wanted = Number(process.argv[2] ?? 1_000_000);
const isProof = process.argv[3] !== 'rates';
const dir = mkdtempSync(join(tmpdir(), 'rookery-archive-'));
const archive = join(dir, 'log.rookery');
let differs = false;

const tell = (what: string, count: number, seconds: number, more = ''): void =>
  console.log(
    `${what.padEnd(34)} ${String(count).padStart(9)} in ${seconds.toFixed(2).padStart(7)} s  ${String(Math.round(count / seconds)).padStart(8)}/s  ${more}`,
  );

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = performance.now();
  const result = await work();
  return [result, (performance.now() - before) / 1_000];
}

interface Ran {
  readonly result: Record<string, unknown>;
  /** Resident, at the ends of the four quarters of the time it took, and at most. */
  readonly memory: string;
}

/** @throws what it wrote to stderr where it did not end well */
function rookery(nats: TestNats, ...args: string[]): Promise<Ran> {
  const config = join(dir, `${crypto.randomUUID()}.json`);
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  writeFileSync(config, JSON.stringify({ nats: access, topology: nats.topology }));
  const child = spawn(process.execPath, [CLI, ...args, '--json', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr, peakMib] = ['', '', 0];
  const residentMib: number[] = [];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const poll = setInterval(() => {
    peakMib = Math.max(peakMib, mibOf(child.pid, 'VmHWM'));
    residentMib.push(mibOf(child.pid, 'VmRSS'));
  }, POLL_MS);
  return new Promise((resolve, reject) =>
    child.once('close', (code) => {
      clearInterval(poll);
      if (code !== 0) reject(new Error(`${args.join(' ')} ended with ${code}: ${stderr}`));
      else
        resolve({ result: JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), memory: memoryOf(residentMib, peakMib) });
    }),
  );
}

/** What the kernel says; where there is no /proc, or the process is gone, 0. */
function mibOf(pid: number | undefined, what: 'VmHWM' | 'VmRSS'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`${what}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1_024;
  } catch {
    return 0;
  }
}

function memoryOf(residentMib: readonly number[], peakMib: number): string {
  const seen = residentMib.filter((mib) => mib > 0);
  const quarters = [1, 2, 3, 4].map((quarter) => seen[Math.ceil((seen.length * quarter) / 4) - 1] ?? 0);
  return `memory ${quarters.map((mib) => mib.toFixed(0)).join(', ')} MiB, at most ${peakMib.toFixed(0)}`;
}

/** All of a stream, counted and thrown away. */
async function bareRead({ js, jsm }: Nats, stream: string): Promise<number> {
  const { state } = await jsm.streams.info(stream);
  const consumer = await js.consumers.get(stream, { deliver_policy: DeliverPolicy.All });
  let count = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const messages = await consumer.consume({
    max_messages: 8_192,
    callback: () => {
      if (++count === state.messages) resolve();
    },
  });
  await promise;
  messages.stop();
  return count;
}

function* bareMessages(count: number) {
  const data = new Uint8Array(200).fill(0x61);
  for (let i = 0; i < count; i++) yield { subject: 'conv.0.bare.m', id: `bare-${i}`, data };
}

/** What an import writes, and nothing else of it: neither looked at before nor read back. */
async function storedOnly({ nc, jsm, inboxPrefix }: Nats, { topology }: TestNats): Promise<number> {
  const batched = await batchedStreams(jsm, logStreams(topology));
  const appender = new JetstreamRecordAppender({ nc, jsm, inboxPrefix, ends: new Map(), batched });
  const reader = await FileArchiveReader.open(archive);
  let count = 0;
  for await (const block of reader.blocks()) {
    const name = reader.header.streams[block.stream]?.name ?? '';
    const next = block.inPlace();
    for (let record = next(); record; record = next()) {
      const room = appender.restore(name, record);
      if (room) await room;
    }
    count += block.events;
    if (count >= BARE_MESSAGES) break;
  }
  await appender.settled();
  appender.stop();
  await reader.close();
  return count;
}

/** Of nats-server, each of so many messages. */
const cpuEach = (seconds: number, count: number): string =>
  `${((1e6 * seconds) / count).toFixed(1)} µs of nats-server's CPU each`;

async function digestsOf({ nc, jsm, inboxPrefix }: Nats, name: string) {
  const path = join(dir, `${name}.sqlite`);
  const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: 0 });
  const model = new SqliteReadModel({ path, log: 'CONV_0' });
  await foldLog(reader, model, await reader.lastPos(), () => undefined);
  model.close();
  const snapshot = new ReadModelSnapshot(path);
  const digests = snapshot.digests();
  snapshot.close();
  return digests;
}

const servers = await Promise.all([startNats(), startNats(), startNats(), startNats()]);
const [from, to, bare, empty] = servers;
const cpuOf = ({ server }: TestNats): number => cpuSeconds(server.pid ?? 0);
try {
  const [source, target, limit, storing] = await Promise.all([
    from.connect('operator'),
    to.connect('operator'),
    bare.connect('operator'),
    empty.connect('operator'),
  ]);
  const [made, makingS] = await timed(() => append(source.nc, source.inboxPrefix, churnedLog(wanted)));
  tell('appended, with ids', made, makingS);
  const [published, publishS] = await timed(() => append(limit.nc, limit.inboxPrefix, bareMessages(BARE_MESSAGES)));
  tell('limit: bare JetStream publish', published, publishS, '200 bytes, with ids');
  const [read, readS] = await timed(() => bareRead(source, 'CONV_0'));
  tell('limit: bare ordered consumer', read, readS);

  const exported = await rookery(from, 'export', archive);
  tell(
    'rookery export',
    made,
    Number(exported.result.seconds),
    `${exported.memory}, file ${(statSync(archive).size / 2 ** 20).toFixed(1)} MiB`,
  );
  const beforeS = cpuOf(empty);
  const [put, putS] = await timed(() => storedOnly(storing, empty));
  tell('limit: this log stored, no more', put, putS, cpuEach(cpuOf(empty) - beforeS, put));
  const importingS = cpuOf(to);
  const imported = await rookery(to, 'import', archive);
  const cpu = cpuEach(cpuOf(to) - importingS, made);
  tell('rookery import, all of it', made, Number(imported.result.seconds), `${imported.memory}; ${cpu}`);
  const events = new Map(
    (exported.result.streams as { name: string; events: number }[]).map((one) => [one.name, one.events]),
  );
  for (const [step, seconds] of Object.entries(imported.result.steps as Record<string, number>)) {
    tell(`  ${step}`, events.get(step.replace('verifying ', '')) ?? made, seconds);
  }
  const again = await rookery(to, 'import', archive);
  const stored = (again.result.streams as { stored: number }[]).reduce((sum, stream) => sum + stream.stored, 0);
  tell('rookery import, a second time', stored, Number(again.result.seconds), `stored, ${again.memory}`);
  differs ||= stored !== 0;

  const [one, other] = isProof ? [await digestsOf(source, 'source'), await digestsOf(target, 'target')] : [[], []];
  for (const [i, { table, digest, ...more }] of one.entries()) {
    const isSame = other[i]?.digest === digest;
    differs ||= !isSame;
    console.log(`${isSame ? 'same   ' : 'DIFFERS'} ${table.padEnd(18)} ${digest.slice(0, 16)} ${JSON.stringify(more)}`);
  }
} finally {
  await Promise.all(servers.map((nats) => nats.stop()));
  rmSync(dir, { recursive: true, force: true });
}
process.exitCode = differs ? 1 : 0;
