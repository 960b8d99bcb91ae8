import type { Failpoints } from '../../ports/failpoints.ts';

export const noFailpoints: Failpoints<never> = { hit: () => undefined, armed: undefined };

/** Dies as by `kill -9` when `step` is reached for the `times`-th time: for tests of recovery. */
export function dieAt<Step extends string>(step: Step, times: number): Failpoints<Step> {
  let left = times;
  return {
    armed: step,
    hit: (reached) => {
      if (reached === step && --left === 0) process.kill(process.pid, 'SIGKILL');
    },
  };
}
