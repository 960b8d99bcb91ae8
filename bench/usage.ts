/** What a process takes: CPU time and resident memory, from /proc where there is one, else from `ps`. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const HAS_PROC = existsSync('/proc/self/stat');
/** USER_HZ: the unit of times in /proc, 100 on every Linux that Node runs on. */
const TICKS_PER_S = 100;
const SETTLE_POLL_MS = 500;
const SETTLE_WITHIN_MS = 20_000;
/** So many readings in a row, each close to the one before. */
const SETTLED_READINGS = 4;
const SETTLED_SHARE = 0.005;

/** Seconds of CPU that a process has used since it began, of all its threads. */
export function cpuSeconds(pid: number): number {
  if (!HAS_PROC) return secondsIn(ps('time', pid));
  // The name, second field, is in brackets and may hold blanks: fields are counted behind it.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

export function residentKiB(pid: number): number {
  if (!HAS_PROC) return Number(ps('rss', pid));
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Resident memory once it no longer changes. */
export async function settledKiB(pid: number): Promise<number> {
  const deadline = performance.now() + SETTLE_WITHIN_MS;
  let last = residentKiB(pid);
  let steady = 0;
  while (steady < SETTLED_READINGS && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_POLL_MS));
    const now = residentKiB(pid);
    steady = Math.abs(now - last) < last * SETTLED_SHARE ? steady + 1 : 0;
    last = now;
  }
  return last;
}

/** Cores that processes keep busy between `start` and `stop`, by their role; `others`: what is not of the bench. */
export class CpuWatch {
  #startedAt = 0;
  #before: Readonly<Record<string, number>> = {};

  start(pids: Readonly<Record<string, number>>): void {
    this.#before = read(pids);
    this.#startedAt = performance.now();
  }

  stop(pids: Readonly<Record<string, number>>): Record<string, number> {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const after = read(pids);
    const cores = Object.fromEntries(
      Object.entries(after).map(([role, used]) => [role, (used - (this.#before[role] ?? used)) / seconds]),
    );
    if (!HAS_PROC) return cores;
    const { [ALL]: all = 0, ...ours } = cores;
    const others = all - Object.values(ours).reduce((sum, busy) => sum + busy, 0);
    return { ...ours, others: Math.max(0, others) };
  }
}

/** No role: the machine as a whole. */
const ALL = '';

function read(pids: Readonly<Record<string, number>>): Record<string, number> {
  const used = Object.fromEntries(Object.entries(pids).map(([role, pid]) => [role, cpuSeconds(pid)]));
  return HAS_PROC ? { ...used, [ALL]: machineSeconds() } : used;
}

/** CPU seconds of all processes together; what the kernel does for none of them in particular is left out. */
function machineSeconds(): number {
  const [, user, nice, system] = readFileSync('/proc/stat', 'utf8').split(/\s+/).map(Number) as number[];
  return ((user ?? 0) + (nice ?? 0) + (system ?? 0)) / TICKS_PER_S;
}

const ps = (field: string, pid: number): string =>
  execFileSync('ps', ['-o', `${field}=`, '-p', String(pid)])
    .toString()
    .trim();

/** `[[dd-]hh:]mm:ss[.cc]` */
function secondsIn(time: string): number {
  return time.split(/[-:]/).reduce((sum, part) => sum * 60 + Number(part), 0);
}
