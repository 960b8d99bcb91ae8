/** All that can go wrong, in families. */
import type { Deployment } from '../deployment/deployment.ts';
import { clockFaults } from './clocks.ts';
import { clusterFaults } from './cluster.ts';
import { failpointFaults } from './failpoints.ts';
import type { Fault } from './fault.ts';
import { networkFaults } from './network.ts';
import { processFaults } from './processes.ts';
import { stateFileFaults } from './state-files.ts';
import { storageFaults } from './storage.ts';
import { streamFaults } from './streams.ts';
import { unreadableFaults } from './unreadable.ts';

const faults: readonly Fault[] = [
  ...processFaults,
  ...clusterFaults,
  ...failpointFaults,
  ...networkFaults,
  ...streamFaults,
  ...stateFileFaults,
  ...storageFaults,
  ...clockFaults,
  ...unreadableFaults,
];

export const faultNames: readonly string[] = faults.map(({ name }) => name);

export interface Choice {
  readonly available: readonly Fault[];
  /** What this deployment cannot have, and why. */
  readonly unavailable: readonly { readonly name: string; readonly why: string }[];
}

/** @param names those wanted; empty for all. @throws Error for a name that is none */
export function faultsFor(deployment: Deployment, names: readonly string[]): Choice {
  const unknown = names.filter((name) => !faultNames.includes(name));
  if (unknown.length > 0)
    throw new Error(`no fault is called ${unknown.join(', ')}; there are ${faultNames.join(', ')}`);
  const wanted = names.length === 0 ? faults : faults.filter(({ name }) => names.includes(name));
  return {
    available: wanted.filter((fault) => fault.unavailable(deployment) === undefined),
    unavailable: wanted.flatMap((fault) => {
      const why = fault.unavailable(deployment);
      return why === undefined ? [] : [{ name: fault.name, why }];
    }),
  };
}
