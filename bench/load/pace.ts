/** The course of a closed loop: warm up, measure, stop, wait for what is on its way. */
import type { Phase, Result, Timing } from '../job.ts';
import type { Ledger } from './ledger.ts';
import type { Timeline } from './timeline.ts';

/** What is not complete so long after the last sending is lost. More than a gateway's deadline for an append. */
const DRAIN_WITHIN_MS = 15_000;
const POLL_MS = 5;

/** Tells the bench where the job is, and resolves when it may go on. */
export type Enter = (phase: Phase) => Promise<void>;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when `check` holds, or false at the bound. */
export async function within(ms: number, check: () => boolean): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!check()) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** @param stop ends the sending */
export async function measure(ledger: Ledger, timing: Timing, enter: Enter, stop: () => void): Promise<void> {
  await sleep(timing.warmupMs);
  await enter('measuring');
  ledger.startMeasuring();
  await sleep(timing.measureMs);
  ledger.stopMeasuring();
  await enter('measured');
  stop();
  await within(DRAIN_WITHIN_MS, () => ledger.open === 0);
}

export function resultOf(ledger: Ledger, timelines: Iterable<Pick<Timeline, 'doubled' | 'outOfOrder'>>): Result {
  let doubled = 0;
  let outOfOrder = 0;
  for (const timeline of timelines) {
    doubled += timeline.doubled;
    outOfOrder += timeline.outOfOrder;
  }
  return {
    value: ledger.deliveriesPerS,
    messagesPerS: ledger.messagesPerS,
    p50Ms: ledger.deliveries.percentileMs(0.5),
    p99Ms: ledger.deliveries.percentileMs(0.99),
    ackP50Ms: ledger.acks.percentileMs(0.5),
    ackP99Ms: ledger.acks.percentileMs(0.99),
    lost: ledger.missing,
    doubled,
    outOfOrder,
    refused: ledger.refused,
  };
}
