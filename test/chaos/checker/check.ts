/** Decides from the evidence which promises held. Pure. */
import { checkDevices } from './devices.ts';
import type { Evidence } from './evidence.ts';
import { checkInboxes } from './inboxes.ts';
import { checkOperations } from './operations.ts';
import { type Violation, Violations } from './violation.ts';

export interface Judgement {
  /** A few of each property; `total` counts all. */
  readonly violations: readonly Violation[];
  readonly total: number;
  readonly counts: {
    readonly operations: number;
    readonly acked: number;
    readonly entries: number;
    readonly deliveries: number;
  };
}

export function check(evidence: Evidence): Judgement {
  const violations = new Violations();
  const { operations, acked } = checkOperations(evidence, violations);
  const entries = checkInboxes(evidence, violations);
  const deliveries = checkDevices(evidence, violations);
  const total = [...violations.counts.values()].reduce((sum, count) => sum + count, 0);
  return { violations: violations.found, total, counts: { operations, acked, entries, deliveries } };
}
