import type { Failpoints } from '../../ports/failpoints.ts';

export const noFailpoints: Failpoints<string> = { hit: () => undefined, armed: undefined };

/** Dies as by `kill -9` when `step` is reached for the `times`-th time: for tests of recovery. */
export function dieAt(step: string, times: number): Failpoints<string> {
  let left = times;
  return {
    armed: step,
    hit: (reached) => {
      if (reached === step && --left === 0) process.kill(process.pid, 'SIGKILL');
    },
  };
}
