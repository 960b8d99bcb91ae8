/**
 * The wall clock of a gateway or a worker jumps, and jumps back. nats-server's does not: it runs on the machine's, which is
 * not ours to set.
 */
import { always, type Fault } from './fault.ts';

/** Of a machine whose time was never set, that is corrected, or was set to another zone. */
const JUMPS_MS: readonly number[] = [-3_600_000, -60_000, -2_000, 2_000, 60_000, 3_600_000];

const clockJump: Fault = {
  name: 'clock-jump',
  touches: ['gateways', 'workers'],
  lastsMs: [1_000, 10_000],
  unavailable: always,
  async inject(deployment, random) {
    const victim = random.pick([...deployment.gateways, ...deployment.workers]);
    const byMs = random.pick(JUMPS_MS);
    deployment.shiftClock(victim, byMs);
    return { target: `${victim.name} by ${byMs / 1_000} s`, heal: async () => deployment.shiftClock(victim, 0) };
  },
};

export const clockFaults: readonly Fault[] = [clockJump];
