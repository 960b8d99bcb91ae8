/** Where the time went: the functions with the most time of their own, from the CPU profiles of the processes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TOP = 25;
/** V8's names for time in which no function of the program ran. */
const IDLE = '(idle)';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds from each sample to the one before. */
  readonly timeDeltas: readonly number[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
}

/** Text lines. Samples outside of `fromUs` to `toUs` (start, warm-up, drain) count for nothing. */
export function topFunctions(dir: string, fromUs: number, toUs: number): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => name.endsWith('.cpuprofile'))
    .sort()
    .flatMap((name) => {
      const profile = JSON.parse(readFileSync(join(dir, name), 'utf8')) as CpuProfile;
      return topOf(name.replace('.cpuprofile', ''), profile, fromUs, toUs);
    });
}

function topOf(process: string, { nodes, samples, timeDeltas, startTime }: CpuProfile, fromUs: number, toUs: number) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const selfUs = new Map<string, number>();
  let total = 0;
  let at = startTime;
  samples.forEach((id, i) => {
    const us = timeDeltas[i] ?? 0;
    at += us;
    if (at < fromUs || at > toUs) return;
    const name = names.get(id) ?? '';
    total += us;
    selfUs.set(name, (selfUs.get(name) ?? 0) + us);
  });
  const busy = total - (selfUs.get(IDLE) ?? 0);
  selfUs.delete(IDLE);
  const percent = (us: number, of: number): string => `${((100 * us) / Math.max(1, of)).toFixed(1).padStart(5)} %`;
  return [
    '',
    `${process}: main thread busy ${percent(busy, total).trim()} of the time; of that, by function's own time:`,
    ...[...selfUs]
      .sort((a, b) => b[1] - a[1])
      .slice(0, TOP)
      .map(([name, us]) => `  ${percent(us, busy)}  ${name}`),
  ];
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const file = url.replace(/^.*\/(node_modules|src|bench)\//, '$1/');
  return `${functionName || '(anonymous)'}${file ? `  ${file}:${lineNumber + 1}` : ''}`;
}
