/** What can go wrong, as an object: how to bring it about, and how to end it. */
import type { DeployedProcess, Deployment } from '../deployment/deployment.ts';
import type { Random } from '../random.ts';

/** What a fault lays its hands on. Two faults at a time never share one, or their healing would cross. */
export type Part = 'gateways' | 'workers' | 'nats-servers' | 'links';

export interface Injected {
  /** What was hit, for the schedule's log. */
  readonly target: string;
  /** Ends the cause. What it has brought about must mend itself. */
  heal(): Promise<void>;
  /** Once all is settled: looks whether what this fault in particular calls for has come. @throws Error when it has not */
  verify?(): Promise<void>;
}

export interface Fault {
  readonly name: string;
  readonly touches: readonly Part[];
  /** How long it lasts before it is healed. */
  readonly lastsMs: readonly [from: number, to: number];
  /** Why it cannot be had in this deployment; undefined where it can. */
  unavailable(deployment: Deployment): string | undefined;
  inject(deployment: Deployment, random: Random): Promise<Injected>;
}

export const always = (): undefined => undefined;

/** All go at once; they come back in the order given. */
export async function killAll(processes: readonly DeployedProcess[]): Promise<void> {
  await Promise.all(processes.map((process) => process.kill('SIGKILL')));
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);
