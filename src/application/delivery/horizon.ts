/**
 * Up to which time an INBOX stream has what the log had. A device keeps that time with its cursor: where the cursor cannot be
 * resumed any more, what has changed since then is all it may have missed.
 *
 * Times of entries would not tell: a lane that is behind brings older ones later. So the ends of all lanes are noted, and
 * when the checkpoints in the stream have passed every one of them, what the log had at that time is in the stream. Pure.
 *
 * The time is the gateway's; entries bear that of the log. Their clocks may differ by less than what `changes` adds to be on
 * the safe side (a minute).
 */
import type { LogEnds } from './log-ends.ts';

/** Of a horizon every two seconds some minutes: a device further back keeps the time it has. */
const MAX_KEPT = 256;

interface Awaited {
  readonly at: number;
  readonly ends: readonly number[];
  /** Lanes whose end no checkpoint has passed yet. */
  readonly behind: Set<number>;
  /** Where in the stream all the others had. */
  seq: number;
}

export class Horizon {
  /** By lane, the newest checkpoint and where it stands. */
  readonly #checkpoints = new Map<number, { readonly to: number; readonly seq: number }>();
  #awaited: Awaited | undefined;
  /** The oldest first. */
  readonly #passed: { readonly seq: number; readonly at: number }[] = [];

  /** Lanes that have something in the log, and no checkpoint that is known. */
  unknown({ positions }: LogEnds): number[] {
    return [...positions.keys()].filter((lane) => (positions[lane] ?? 0) > 0 && !this.#checkpoints.has(lane));
  }

  /** Of the log's past before `at`, `positions` are the ends. While an earlier one is awaited it is not looked at. */
  expect({ at, positions }: LogEnds): void {
    if (this.#awaited) return;
    const awaited: Awaited = { at, ends: positions, behind: new Set(), seq: 0 };
    for (const [lane, end] of positions.entries()) {
      const { to, seq } = this.#checkpoints.get(lane) ?? { to: 0, seq: 0 };
      if (to < end) awaited.behind.add(lane);
      else awaited.seq = Math.max(awaited.seq, seq);
    }
    this.#awaited = awaited;
    this.#settle();
  }

  /** Hot path: all of the lane up to `to` stands before `seq`. Not the greatest counts: a log that lost its end goes back. */
  checkpoint(lane: number, to: number, seq: number): void {
    if (seq < (this.#checkpoints.get(lane)?.seq ?? 0)) return;
    this.#checkpoints.set(lane, { to, seq });
    const awaited = this.#awaited;
    if (!awaited || to < (awaited.ends[lane] ?? 0) || !awaited.behind.delete(lane)) return;
    awaited.seq = Math.max(awaited.seq, seq);
    this.#settle();
  }

  /** All that the log had stored before this time stands up to `seq`; undefined where that is not known. */
  at(seq: number): number | undefined {
    for (let i = this.#passed.length - 1; i >= 0; i--) {
      const passed = this.#passed[i];
      if (passed && passed.seq <= seq) return passed.at;
    }
    return undefined;
  }

  #settle(): void {
    const awaited = this.#awaited;
    if (!awaited || awaited.behind.size > 0) return;
    this.#awaited = undefined;
    this.#passed.push({ seq: awaited.seq, at: awaited.at });
    if (this.#passed.length > MAX_KEPT) this.#passed.shift();
  }
}
