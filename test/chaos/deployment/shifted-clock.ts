/**
 * Loaded before a process of ours (`node --import "shifted-clock.ts?file=<path>"`): its wall clock is ahead of the machine's by
 * as many milliseconds as stand in the file, read at start and at each SIGUSR2. The monotonic clock (`performance.now`,
 * timers) goes on as it was, as when an administrator or NTP sets a machine's clock.
 */
import { readFileSync } from 'node:fs';

const file = new URL(import.meta.url).searchParams.get('file') ?? '';
const RealDate = Date;
let offsetMs = 0;

function readOffset(): void {
  try {
    offsetMs = Number(readFileSync(file, 'utf8'));
  } catch {
    // No file: the clock is right.
    offsetMs = 0;
  }
}

class ShiftedDate extends RealDate {
  constructor(...given: [] | [value: number | string | Date]) {
    super(...((given.length === 0 ? [ShiftedDate.now()] : given) as [number]));
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

readOffset();
process.on('SIGUSR2', readOffset);
globalThis.Date = ShiftedDate as DateConstructor;
