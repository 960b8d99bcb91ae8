/** Where the time goes: the functions with the most time of their own, from the CPU profiles of the processes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TOP = 25;

interface CpuProfile {
  readonly nodes: readonly { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export function topFunctions(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => name.endsWith('.cpuprofile'))
    .flatMap((name) => [`\n${name}`, ...topOf(JSON.parse(readFileSync(join(dir, name), 'utf8')) as CpuProfile)]);
}

function topOf({ nodes, samples, timeDeltas }: CpuProfile): string[] {
  const names = new Map(
    nodes.map(({ id, callFrame }) => {
      const place = callFrame.url.replace(/^.*\/(node_modules|src)\//, '$1/');
      return [id, `${callFrame.functionName || '(anonymous)'} ${place}${place ? `:${callFrame.lineNumber + 1}` : ''}`];
    }),
  );
  const self = new Map<string, number>();
  let total = 0;
  samples.forEach((id, i) => {
    const name = names.get(id) ?? '';
    const us = timeDeltas[i] ?? 0;
    total += us;
    self.set(name, (self.get(name) ?? 0) + us);
  });
  return [...self]
    .sort((a, b) => b[1] - a[1])
    .slice(0, TOP)
    .map(([name, us]) => `${((100 * us) / total).toFixed(1).padStart(6)} %  ${name}`);
}
