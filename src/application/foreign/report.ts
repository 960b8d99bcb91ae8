/** What of a foreign export became events, and what could not: counted by kind, each kind with an example of where. */

export interface NotMapped {
  readonly what: string;
  readonly count: number;
  readonly example: string;
}

export interface ForeignCounts {
  readonly mapped: Readonly<Record<string, number>>;
  readonly notMapped: readonly NotMapped[];
}

/** Kinds that are told apart; beyond, they are one. What a stranger's file names is not bounded by itself. */
const MAX_KINDS = 200;
const MAX_WHAT_CHARS = 80;
const OTHERS = 'others';
/** The clock of whoever wrote an export may be ahead of ours by so much. */
const MAX_CLOCK_SKEW_MS = 5 * 60_000;

export class ForeignReport {
  /**
   * Milliseconds since 1970: what is later has not happened yet. The log would take it for ever, and nothing behind it is found by its
   * time. One limit for all of an import: who is left out of the members because all they said is later must not speak after all.
   */
  readonly latestAt: number;
  readonly #mapped = new Map<string, number>();
  readonly #lost = new Map<string, { count: number; readonly example: string }>();

  constructor(now = Date.now()) {
    this.latestAt = now + MAX_CLOCK_SKEW_MS;
  }

  mapped(what: string, count = 1): void {
    this.#mapped.set(what, (this.#mapped.get(what) ?? 0) + count);
  }

  /** @param where one meets it: a file, a conversation, a message */
  lost(what: string, where: string): void {
    const short = what.slice(0, MAX_WHAT_CHARS);
    const kind = this.#lost.has(short) || this.#lost.size < MAX_KINDS ? short : OTHERS;
    const found = this.#lost.get(kind);
    if (found) found.count += 1;
    else this.#lost.set(kind, { count: 1, example: where });
  }

  /** Whether an event of this time is left out, which is counted. */
  isTooLate(at: number, what: string, where: string): boolean {
    if (at <= this.latestAt) return false;
    this.lost(`${what} later than now`, where);
    return true;
  }

  get counts(): ForeignCounts {
    const notMapped = [...this.#lost].map(([what, { count, example }]) => ({ what, count, example }));
    return { mapped: Object.fromEntries(this.#mapped), notMapped: notMapped.sort((a, b) => b.count - a.count) };
  }
}
