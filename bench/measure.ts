/** Measures one row: starts what it needs, lets the generator do its job, stops everything, says what was found. */
import {
  type Deployment,
  deploy,
  generate,
  measureLimit,
  type ProfileDir,
  startLimit,
  startLog,
} from './deployment.ts';
import type { PeerName, Result, Shape, Timing } from './job.ts';
import { DURABILITY, startPeer } from './peers/servers.ts';
import { BROADCAST_LIMITS, type CatchUpRow, IDLE, type LiveRow, PUBLISH_LIMITS, type Row } from './rows.ts';
import { CpuWatch, settledKiB } from './usage.ts';

export interface Run extends Timing {
  readonly profileDir: ProfileDir;
  /** When the measuring of a row began and ended, on the monotonic clock: for its profiles. */
  readonly onMeasured: (fromUs: number, toUs: number) => void;
}

/** Kept out of the rows: how many messages a second were behind the deliveries. */
const measuresOf = ({ messagesPerS: _, ...measures }: Result): Omit<Result, 'messagesPerS'> => measures;

export async function measureLive({ name, shape, profile, counts }: LiveRow, run: Run): Promise<Row> {
  const { profileDir, warmupMs, measureMs } = run;
  const deployment = await deploy({ profile, profileDir });
  try {
    const { url, secretFile } = deployment;
    const watch = new Watch(deployment.pids, run);
    const job = { kind: 'live', url, secretFile, ...shape, warmupMs, measureMs } as const;
    const result = await generate(job, profileDir, watch.onPhase);
    const value = counts === 'messages' ? (result.messagesPerS ?? 0) : result.value;
    return { name, ...measuresOf(result), value, unit: `${counts}/s`, durability: profile, cores: watch.cores };
  } finally {
    await deployment.stop();
  }
}

/** Of the broadcasts the corked one as well: the other is what rows are measured by. */
export async function measureBroadcast(name: string, run: Run): Promise<Row[]> {
  const rows: Row[] = [];
  for (const isCorked of [false, true]) {
    const { url, process, stop } = await startLimit('ws-broadcast.ts', isCorked ? ['corked'] : []);
    try {
      const watch = new Watch({ server: process.pid as number }, run);
      const { warmupMs, measureMs } = run;
      const shape = BROADCAST_LIMITS[name] as Shape;
      const job = { kind: 'broadcast', url, ...shape, warmupMs, measureMs } as const;
      const result = measuresOf(await generate(job, undefined, watch.onPhase));
      const label = isCorked ? `${name}-corked` : name;
      rows.push({ name: label, ...result, unit: 'deliveries/s', durability: 'none', cores: watch.cores });
    } finally {
      await stop();
    }
  }
  return rows;
}

/** What another messenger makes of the same shape. */
export async function measurePeer(peer: PeerName, { name, shape, counts }: LiveRow, run: Run): Promise<Row> {
  const { url, apiUrl, pid, stop } = await startPeer(peer);
  try {
    const watch = new Watch({ server: pid }, run);
    const { warmupMs, measureMs } = run;
    const job = { kind: 'peer', peer, url, apiUrl, ...shape, warmupMs, measureMs } as const;
    const result = await generate(job, undefined, watch.onPhase);
    const value = counts === 'messages' ? (result.messagesPerS ?? 0) : result.value;
    const measures = { ...measuresOf(result), value, unit: `${counts}/s` };
    return { name: `${peer}-${name}`, ...measures, durability: DURABILITY[peer], cores: watch.cores };
  } finally {
    await stop();
  }
}

export async function measurePublish(name: string, { warmupMs, measureMs }: Run): Promise<Row> {
  const { inFlight, profile } = PUBLISH_LIMITS[name] as (typeof PUBLISH_LIMITS)[string];
  const { server, stop } = await startLog(profile);
  try {
    const args = [server.url, server.credentialsFile, inFlight, warmupMs, measureMs].map(String);
    const result = await measureLimit('jetstream-publish.ts', args);
    return { name, ...result, unit: 'messages/s', durability: profile };
  } finally {
    await stop();
  }
}

export async function measureRawIdle(): Promise<Row> {
  return idleRow(IDLE.limit, 'none', async () => {
    const { url, process, stop } = await startLimit('raw-ws-idle.ts');
    return { server: { url }, pid: process.pid as number, stop };
  });
}

export async function measureIdle(): Promise<Row> {
  return idleRow(IDLE.name, 'default', async () => {
    const { url, secretFile, pids, stop } = await deploy({ profile: 'default', profileDir: undefined });
    return { server: { url, secretFile }, pid: pids.gateway, stop };
  });
}

interface IdleServer {
  readonly server: { readonly url: string; readonly secretFile?: string };
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * Each time in a fresh process, and the median of all: how far V8 has grown its heap at the start differs. What the handshakes left is
 * collected when nothing has happened for some seconds.
 */
async function idleRow(name: string, durability: Row['durability'], start: () => Promise<IdleServer>): Promise<Row> {
  const { first, more, repeats, quietMs } = IDLE;
  const grownKiB: number[] = [];
  let lost = 0;
  for (let i = 0; i < repeats; i++) {
    const { server, pid, stop } = await start();
    try {
      let before = 0;
      let after = 0;
      const result = await generate({ kind: 'idle', ...server, first, more }, undefined, async (phase) => {
        await new Promise((resolve) => setTimeout(resolve, quietMs));
        const settled = await settledKiB(pid);
        if (phase === 'measuring') before = settled;
        else after = settled;
      });
      grownKiB.push(after - before);
      lost += result.lost;
    } finally {
      await stop();
    }
  }
  const median = grownKiB.sort((a, b) => a - b)[Math.floor(repeats / 2)] as number;
  return { name, value: median / more, unit: 'KiB/connection', lost, doubled: 0, outOfOrder: 0, durability };
}

export async function measureCatchUp(row: CatchUpRow, run: Run): Promise<Row> {
  const { name, limits, conversations, messages, resumes } = row;
  const { profileDir } = run;
  const deployment = await deploy({ profile: 'default', limits, profileDir });
  try {
    const { url, secretFile } = deployment;
    const watch = new Watch(deployment.pids, run);
    const job = { kind: 'catch-up', url, secretFile, conversations, messages, resumes } as const;
    const result = await generate(job, profileDir, watch.onPhase);
    return { name, ...result, unit: 'messages/s', durability: 'default', cores: watch.cores };
  } finally {
    await deployment.stop();
  }
}

/** Who was busy while the generator measured, and when that was. */
class Watch {
  cores: Record<string, number> = {};
  readonly #pids: Deployment['pids'] | Record<string, number>;
  readonly #run: Run;
  readonly #cpu = new CpuWatch();
  #fromUs = 0;

  constructor(pids: Deployment['pids'] | Record<string, number>, run: Run) {
    this.#pids = pids;
    this.#run = run;
  }

  readonly onPhase = (phase: 'measuring' | 'measured', generator: number): void => {
    const pids = { ...this.#pids, generator };
    // The clock of V8's profiles.
    const nowUs = Number(process.hrtime.bigint() / 1_000n);
    if (phase === 'measuring') {
      this.#cpu.start(pids);
      this.#fromUs = nowUs;
    } else {
      this.cores = this.#cpu.stop(pids);
      this.#run.onMeasured(this.#fromUs, nowUs);
    }
  };
}
