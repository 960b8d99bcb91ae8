/** What a run has shown, as a table. */
import type { Topology } from '../../src/protocol/subjects.ts';
import type { Deployment, Incident, Profile } from './deployment/deployment.ts';
import type { Verdict } from './proof.ts';
import type { Happened } from './schedule.ts';

export interface Report extends Verdict {
  readonly seed: number;
  readonly deployment: Deployment['kind'];
  readonly profile: Profile;
  readonly topology: Topology;
  readonly minutes: number;
  readonly happened: readonly Happened[];
  readonly incidents: readonly Incident[];
}

export function tableOf({ seed, minutes, happened, incidents, counts, violations }: Report): string {
  const byFault = Map.groupBy(happened, ({ fault }) => fault);
  const rows = [...byFault].sort(([a], [b]) => (a < b ? -1 : 1)).map(([fault, times]) => rowOf(fault, times));
  const healed = happened.map(({ healedMs }) => healedMs);
  const counted = Object.entries(counts).map(([what, count]) => `${count.toLocaleString('en')} ${what}`);
  return [
    '',
    row(['fault', 'times', 'lasted s', 'healed p50 s', 'healed max s']),
    row(['---', '---', '---', '---', '---']),
    ...rows,
    '',
    `seed ${seed}: ${minutes.toFixed(1)} min, ${happened.length} faults, ${counted.join(', ')}; ` +
      `time to heal p50 ${seconds(percentile(healed, 0.5))} s, max ${seconds(percentile(healed, 1))} s; ` +
      `${incidents.length} ends of processes besides; ${violations.length} violations`,
  ].join('\n');
}

function rowOf(fault: string, times: readonly Happened[]): string {
  const lasted = times.map(({ lastedMs }) => lastedMs);
  const healed = times.map(({ healedMs }) => healedMs);
  const cells = [percentile(lasted, 1), percentile(healed, 0.5), percentile(healed, 1)].map(seconds);
  return row([fault, String(times.length), ...cells]);
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const seconds = (ms: number): string => (ms / 1_000).toFixed(1);

/** 0 for nothing. */
function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
