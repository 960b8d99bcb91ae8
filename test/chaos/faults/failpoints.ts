/** The workers die, again and again, between two steps of their work (application/fan-out/lane.ts). */
import type { FanOutStep } from '../../../src/application/fan-out/lane.ts';
import { eventually } from '../../support/waiting.ts';
import type { Deployment } from '../deployment/deployment.ts';
import { always, type Fault, killAll } from './fault.ts';
import { publishGarbage } from './unreadable.ts';

const steps: readonly FanOutStep[] = [
  'termBegun',
  'sourceOpened',
  'folded',
  'halfEmitted',
  'confirmed',
  'deadLettered',
  'committed',
  'acked',
];
/** Steps of the work itself: at the first arrival there, or in its midst. The others come once a start. */
const MAX_ARRIVAL = 8;
const ONCE_A_START: ReadonlySet<FanOutStep> = new Set(['termBegun', 'sourceOpened', 'deadLettered']);
/** A lane changes hands within 3 s, then the workload brings windows. */
const DIES_WITHIN_MS = 20_000;

const deaths = ({ incidents }: Deployment): number =>
  incidents.filter((incident) => incident.process.startsWith('worker')).length;

/** All workers are armed, since any of them may have the lane; each start of each dies there until the fault is healed. */
const dieAt = (step: FanOutStep): Fault => ({
  name: `die-at-${step}`,
  // It takes a working way from the senders to the worker to reach the step.
  touches: ['workers', 'nats-servers', 'gateways', 'links'],
  lastsMs: [0, 3_000],
  unavailable: always,
  async inject(deployment, random) {
    const { workers } = deployment;
    const times = ONCE_A_START.has(step) ? 1 : random.between(1, MAX_ARRIVAL);
    await killAll(workers);
    const before = deaths(deployment);
    for (const worker of workers) {
      worker.armFailpoint({ step, times });
      worker.start();
    }
    // Only on the way of a dead letter is this step reached.
    if (step === 'deadLettered') await publishGarbage(deployment, random);
    await eventually(() => deaths(deployment) > before, `a worker dies at ${step}`, DIES_WITHIN_MS);
    return { target: `every worker, at arrival ${times}`, heal: () => disarm(workers) };
  },
});

/** So long that another worker takes the lane over meanwhile; and so long that it is seen to wake. */
const STALL_MS = [3_500, 6_000] as const;
const STALLED_FOR_MS = [9_000, 12_000] as const;
/** In its midst a window is half in the inboxes; at its end it is there, and the state file does not know. */
const stallSteps: readonly FanOutStep[] = ['halfEmitted', 'confirmed'];

/** Whoever has the lane stands still in the midst of its work, loses it, wakes, and goes on with what it was about. */
const stallAt = (step: FanOutStep): Fault => ({
  name: `stall-at-${step}`,
  touches: ['workers', 'nats-servers', 'gateways', 'links'],
  lastsMs: STALLED_FOR_MS,
  unavailable: always,
  async inject({ workers }, random) {
    const times = random.between(1, MAX_ARRIVAL);
    const stallMs = random.between(...STALL_MS);
    await killAll(workers);
    for (const worker of workers) {
      worker.armFailpoint({ step, times, stallMs });
      worker.start();
    }
    return { target: `every worker, at arrival ${times}, for ${stallMs} ms`, heal: () => disarm(workers) };
  },
});

async function disarm(workers: Deployment['workers']): Promise<void> {
  await killAll(workers);
  for (const worker of workers) {
    worker.armFailpoint(undefined);
    worker.start();
  }
}

export const failpointFaults: readonly Fault[] = [...steps.map(dieAt), ...stallSteps.map(stallAt)];
