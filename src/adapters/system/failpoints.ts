import type { Failpoints } from '../../ports/failpoints.ts';

export const noFailpoints: Failpoints<never> = { hit: () => undefined, armed: undefined };

/**
 * When `step` is reached for the `times`-th time: dies as by `kill -9`, or stands still for `stallMs` as by SIGSTOP and goes on.
 * For tests of recovery.
 */
export function failAt<Step extends string>(step: Step, times: number, stallMs?: number): Failpoints<Step> {
  let left = times;
  return {
    armed: step,
    hit: (reached) => {
      if (reached !== step || --left !== 0) return;
      if (stallMs === undefined) process.kill(process.pid, 'SIGKILL');
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
    },
  };
}
