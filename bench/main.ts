/**
 * `make bench`: measures a whole deployment beside the limits of the same run, prints a table with ratios, and writes
 * bench/results/latest.json. README.md says what each row does and how to read it.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNatsServer } from '../src/cli/nats-server-binary.ts';
import { PEERS, type PeerName } from './job.ts';
import {
  measureBroadcast,
  measureCatchUp,
  measureIdle,
  measureLive,
  measurePeer,
  measurePublish,
  measureRawIdle,
  type Run,
} from './measure.ts';
import { topFunctions } from './profile.ts';
import { measureIngest, measureRebuild, measureRebuiltRows, READS } from './reads.ts';
import { line, rounded, table } from './report.ts';
import {
  CATCH_UP_ROWS,
  EXTRA_CATCH_UP_ROWS,
  EXTRA_LIVE_ROWS,
  IDLE,
  LIVE_ROWS,
  type Must,
  PUBLISH_LIMITS,
  READ_EVENTS,
  READ_ROWS,
  type ReadRow,
  type Row,
  SYNC_EVENTS,
  SYNC_ROWS,
  verdict,
} from './rows.ts';
import { isStopping, stopAll } from './started.ts';
import { measureSyncing } from './syncing.ts';

const RESULTS = join(import.meta.dirname, 'results', 'latest.json');
const PEER_RESULTS = join(import.meta.dirname, 'results', 'peers.json');
/** What a desktop or a monitor takes in the background; beyond, a row is no measurement of ours alone. */
const UNDISTURBED_CORES = 0.1;
const USAGE = `Usage: make bench ARGS="…", or: node bench/main.ts …
  --rows a,b    only these rows and their limits (latest.json is left alone)
  --seconds n   measured of each row, after its warm-up; default 6
  --merge       puts rows asked for by --rows into latest.json, in place of those of their names
  --quick       2 seconds a row and a short warm-up: a look, no result (latest.json is left alone)
  --beside a,b  other messengers (centrifugo, wukongim) in the same shapes, each as a part of what ours makes of it: the live rows alone,
                written to results/peers.json
  --profile     CPU profiles of gateway, worker and generator; prints where their time went
  --help
`;

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string' },
    seconds: { type: 'string' },
    merge: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    beside: { type: 'string' },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const EXTRA_NAMES = [...EXTRA_LIVE_ROWS, ...EXTRA_CATCH_UP_ROWS].map(({ name }) => name);
const NAMES = [
  ...[...LIVE_ROWS, IDLE, ...CATCH_UP_ROWS, ...READ_ROWS, ...SYNC_ROWS].map(({ name }) => name),
  ...EXTRA_NAMES,
];
const ROWS_TEXT = `Rows: ${NAMES.join(', ')}\n(the last ${EXTRA_NAMES.length} only when asked for)`;

const rows: Row[] = [];
const failed: string[] = [];

async function main(): Promise<number> {
  if (flags.help) {
    console.log(`${USAGE}\n${ROWS_TEXT}`);
    return 0;
  }
  const wanted = flags.rows?.split(',').map((name) => name.trim());
  const peers = flags.beside?.split(',').map((name) => name.trim());
  const unknown = [
    ...(wanted?.filter((name) => !NAMES.includes(name)) ?? []),
    ...(peers?.filter((name) => !isPeer(name)) ?? []),
  ];
  const seconds = Number(flags.seconds ?? (flags.quick ? 2 : 6));
  if (unknown.length > 0 || !(seconds > 0)) {
    console.error(
      `${unknown.length > 0 ? `no such row: ${unknown.join(', ')}\n` : ''}${USAGE}\nRows: ${NAMES.join(', ')}`,
    );
    return 2;
  }
  const machine = await describeMachine();
  console.log(`${machine}\n`);
  const isWanted = (name: string): boolean => (wanted ? wanted.includes(name) : !EXTRA_NAMES.includes(name));
  const timing = { warmupMs: flags.quick ? 1_000 : 2_500, measureMs: seconds * 1_000 };
  if (peers) await measureBeside(peers.filter(isPeer), isWanted, timing);
  else await measureAll(isWanted, timing);

  console.log(`\n${machine}\n\n${table(rows)}\n`);
  const ours = rows.filter(({ name }) => !isOfPeer(name));
  const wrong = ours.filter(({ lost, doubled, outOfOrder }) => lost + doubled + outOfOrder > 0).map(({ name }) => name);
  if (wrong.length > 0) console.error(`Deliveries were lost, doubled or out of order: ${wrong.join(', ')}`);
  const disturbed = rows.filter(({ cores }) => (cores?.others ?? 0) > UNDISTURBED_CORES).map(({ name }) => name);
  if (disturbed.length > 0) {
    console.error(`Other programs took more than ${UNDISTURBED_CORES} cores beside: ${disturbed.join(', ')}`);
  }
  if (failed.length > 0) console.error(`Not measured: ${failed.join(', ')}`);
  if (!flags.quick && !flags.profile && failed.length === 0) {
    if (peers) write({ machine, rows: rows.map(rounded) }, PEER_RESULTS);
    else if (!wanted) write({ machine, rows: rows.map(rounded) });
    else if (flags.merge) write(merged(machine));
  }
  return wrong.length + failed.length > 0 ? 1 : 0;
}

const isPeer = (name: string): name is PeerName => (PEERS as readonly string[]).includes(name);
const isOfPeer = (row: string): boolean => PEERS.some((peer) => row.startsWith(`${peer}-`));

/** Ours first, then the others in the same shape; each is compared with ours. What is synced by each append has no counterpart there. */
async function measureBeside(
  peers: readonly PeerName[],
  isWanted: (name: string) => boolean,
  timing: { warmupMs: number; measureMs: number },
): Promise<void> {
  for (const row of LIVE_ROWS.filter(({ name, profile }) => isWanted(name) && profile === 'default')) {
    await attempt(row.name, timing, async (run) => add(await measureLive(row, run)));
    for (const peer of peers) {
      await attempt(`${peer}-${row.name}`, timing, async (run) => add(await measurePeer(peer, row, run), [], row.name));
    }
  }
}

async function measureAll(isWanted: (name: string) => boolean, timing: { warmupMs: number; measureMs: number }) {
  for (const row of [...LIVE_ROWS, ...EXTRA_LIVE_ROWS].filter(({ name }) => isWanted(name))) {
    await attempt(row.name, timing, async (run) => {
      if (row.limit) await measureLimit(row.limit, run);
      add(await measureLive(row, run), row.musts, row.limit);
    });
  }
  if (isWanted(IDLE.name)) {
    await attempt(IDLE.name, timing, async () => {
      add(await measureRawIdle());
      add(await measureIdle(), IDLE.musts, IDLE.limit);
    });
  }
  for (const row of [...CATCH_UP_ROWS, ...EXTRA_CATCH_UP_ROWS].filter(({ name }) => isWanted(name))) {
    await attempt(row.name, timing, async (run) => add(await measureCatchUp(row, run), row.musts));
  }
  const reads = READ_ROWS.filter(({ name }) => isWanted(name));
  const [rebuild] = reads.filter(({ name }) => name === 'read-rebuild');
  if (rebuild) {
    await attempt(rebuild.name, timing, async () => {
      add(measureRebuiltRows());
      add(await measureRebuild(), ...boundsOf(rebuild.name));
    });
  }
  if (SYNC_ROWS.some(({ name }) => isWanted(name))) await attempt('first-sync', timing, addSyncing);
  if (reads.length > (rebuild ? 1 : 0)) await attempt('read-ingest', timing, async () => addReads(reads));
}

/** One deployment for all of them; what stands beside another comes first. */
async function addSyncing(): Promise<void> {
  const measured = await measureSyncing(flags.quick ? SYNC_EVENTS / 10 : SYNC_EVENTS);
  for (const one of measured.toReversed()) {
    const { musts = [], limit } = SYNC_ROWS.find(({ name }) => name === one.name) ?? {};
    if (limit === undefined) add(one, musts);
    else add(one, musts, limit);
  }
}

/** Whatever is asked for, a file is filled for it. */
function addReads(reads: readonly ReadRow[]): void {
  const { rows: taken, model, close } = measureIngest(flags.quick ? READ_EVENTS / 10 : READ_EVENTS);
  try {
    for (const one of taken) add(one, ...boundsOf(one.name));
    for (const { name } of reads) {
      const measure = READS[name];
      if (measure) add(measure(model), ...boundsOf(name));
    }
  } finally {
    close();
  }
}

function boundsOf(name: string): [musts: readonly Must[], limit?: string] {
  const found = READ_ROWS.find((one) => one.name === name);
  return found?.limit === undefined ? [found?.musts ?? []] : [found.musts, found.limit];
}

/** A row that fails is told of; the others are measured all the same. */
async function attempt(
  name: string,
  timing: { warmupMs: number; measureMs: number },
  measure: (run: Run) => Promise<void>,
): Promise<void> {
  const profileDir = flags.profile ? mkdtempSync(join(tmpdir(), 'rookery-bench-')) : undefined;
  let [fromUs, toUs] = [0, 0];
  const onMeasured = (from: number, to: number): void => {
    [fromUs, toUs] = [from, to];
  };
  try {
    await measure({ ...timing, profileDir, onMeasured });
    if (profileDir) console.log(`${topFunctions(profileDir, fromUs, toUs).join('\n')}\n`);
  } catch (error) {
    if (isStopping()) throw error;
    failed.push(name);
    console.error(`${name} failed: ${String((error as Error).stack ?? error)}`);
  } finally {
    if (profileDir) rmSync(profileDir, { recursive: true, force: true });
  }
}

/** Once a run, beside the first row that asks for it: the machine is then as it is for that row. */
async function measureLimit(name: string, run: Run): Promise<void> {
  if (rows.some((row) => row.name === name)) return;
  if (name in PUBLISH_LIMITS) add(await measurePublish(name, run));
  else for (const row of await measureBroadcast(name, run)) add(row);
}

function add(row: Row, musts: readonly Must[] = [], limit?: string): void {
  const limitValue = rows.find(({ name }) => name === limit)?.value;
  const compared: Row = limit && limitValue ? { ...row, limit, ratio: row.value / limitValue } : row;
  const judged: Row = { ...compared, ...verdict(compared, musts) };
  rows.push(judged);
  console.log(line(judged));
}

async function describeMachine(): Promise<string> {
  const { version } = await findNatsServer({ progress: (text) => console.error(`rookery: ${text}`) });
  const [cpu] = cpus();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const system = `${platform()}-${arch()}`;
  return `${cpus().length} × ${cpu?.model.trim()}, ${memoryGiB} GiB, ${system}, Node ${process.versions.node}, nats-server ${version}`;
}

interface Results {
  readonly machine: string;
  readonly rows: readonly Row[];
}

/** The rows of this run in those of the last whole one; measured on another machine, a row names it. */
function merged(machine: string): Results {
  const before = JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
  const measured = rows.map((row): Row => ({ ...rounded(row), ...(machine !== before.machine && { machine }) }));
  const kept = before.rows.filter(({ name }) => !measured.some((row) => row.name === name));
  return { machine: before.machine, rows: [...kept, ...measured] };
}

/** Whole or not at all. */
function write(results: Results, path = RESULTS): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(`${path}.tmp`, `${JSON.stringify(results, null, 2)}\n`);
  renameSync(`${path}.tmp`, path);
  console.log(`written: ${path}`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    console.error(`\n${signal}: stopping what was started …`);
    void stopAll().then(() => process.exit(130));
    process.once(signal, () => process.exit(130));
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isStopping()) console.error(error);
  process.exitCode = 1;
} finally {
  await stopAll();
}
