/**
 * The newest part of an INBOX stream in memory, for all users, connected or not: so that most resumes touch no NATS.
 *
 * A ring of entries, each linked to the same user's entries before and behind it. Bounded in entries and in bytes of runs;
 * the oldest go first. `coveredFrom` says from which sequence on nothing is missing.
 */
import type { Run } from './run.ts';

export interface RingLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** What an entry weighs here, and a run beside its bytes (measured: the objects that hold it). */
const ENTRY_BYTES = 40;
const RUN_BYTES = 200;
const NONE = -1;

/** Some of a user's entries, in order. */
export interface RingPortion {
  readonly runs: readonly Run[];
  /** Sequence and ring position of the last of them; of where it began when there is none. */
  readonly seq: number;
  readonly position: number;
  /** Whether the user has entries behind it. */
  readonly more: boolean;
}

export class Ring {
  readonly #capacity: number;
  readonly #maxBytes: number;
  readonly #seqs: Float64Array;
  /** How many positions before and behind stands the same user's entry; 0 for none. */
  readonly #back: Uint32Array;
  readonly #ahead: Uint32Array;
  readonly #runs: (Run | undefined)[];
  readonly #users: string[];
  /** By user: position of the newest entry. */
  readonly #newest = new Map<string, number>();
  /** Positions only grow; a position's slot is `position % capacity`. */
  #head = 0;
  #tail = 0;
  #bytes = 0;
  #coveredFrom: number;

  constructor({ maxEntries, maxBytes }: RingLimits, coveredFrom: number) {
    this.#capacity = Math.max(1, maxEntries);
    this.#maxBytes = maxBytes;
    this.#seqs = new Float64Array(this.#capacity);
    this.#back = new Uint32Array(this.#capacity);
    this.#ahead = new Uint32Array(this.#capacity);
    this.#runs = new Array<Run | undefined>(this.#capacity);
    this.#users = new Array<string>(this.#capacity);
    this.#coveredFrom = coveredFrom;
  }

  get coveredFrom(): number {
    return this.#coveredFrom;
  }

  get entries(): number {
    return this.#head - this.#tail;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Hot path. Sequences must grow. */
  append(seq: number, user: string, run: Run): void {
    if (this.#head - this.#tail === this.#capacity) this.#evict();
    const position = this.#head++;
    const slot = position % this.#capacity;
    const before = this.#newest.get(user);
    this.#ahead[slot] = 0;
    if (before === undefined) {
      this.#back[slot] = 0;
      this.#users[slot] = user;
    } else {
      const slotBefore = before % this.#capacity;
      this.#back[slot] = position - before;
      this.#ahead[slotBefore] = position - before;
      // One string a user, not one an entry.
      this.#users[slot] = this.#users[slotBefore] as string;
    }
    this.#seqs[slot] = seq;
    this.#runs[slot] = run;
    this.#newest.set(user, position);
    this.#bytes += ENTRY_BYTES + (run.lastRingPosition < this.#tail ? RUN_BYTES + run.bytes : 0);
    run.lastRingPosition = position;
    while (this.#bytes > this.#maxBytes && this.#tail < this.#head) this.#evict();
  }

  /** Forgets all: nothing before `coveredFrom` can be given. */
  clear(coveredFrom: number): void {
    while (this.#tail < this.#head) this.#evict();
    this.#coveredFrom = coveredFrom;
  }

  /** Whether all of a user's entries behind `seq` are here. */
  covers(seq: number): boolean {
    return seq + 1 >= this.#coveredFrom;
  }

  /**
   * The user's entries behind `seq`, oldest first, up to about `maxBytes` of runs (one at least).
   *
   * @param position where the portion before ended, so that the next is found without a walk; -1 where nobody knows
   */
  after(user: string, seq: number, maxBytes: number, position = NONE): RingPortion {
    const runs: Run[] = [];
    let lastSeq = seq;
    let last = position;
    let next = position >= this.#tail ? this.#behind(position) : this.#firstAfter(user, seq);
    for (let bytes = 0; next !== NONE && (bytes < maxBytes || runs.length === 0); next = this.#behind(next)) {
      const slot = next % this.#capacity;
      const run = this.#runs[slot] as Run;
      bytes += run.bytes;
      runs.push(run);
      lastSeq = this.#seqs[slot] as number;
      last = next;
    }
    return { runs, seq: lastSeq, position: last, more: next !== NONE };
  }

  #firstAfter(user: string, seq: number): number {
    let found = NONE;
    let position = this.#newest.get(user) ?? NONE;
    while (position >= this.#tail) {
      const slot = position % this.#capacity;
      if ((this.#seqs[slot] as number) <= seq) break;
      found = position;
      const back = this.#back[slot] as number;
      if (back === 0) break;
      position -= back;
    }
    return found;
  }

  #behind(position: number): number {
    const ahead = this.#ahead[position % this.#capacity] as number;
    return ahead === 0 ? NONE : position + ahead;
  }

  #evict(): void {
    const position = this.#tail++;
    const slot = position % this.#capacity;
    const run = this.#runs[slot] as Run;
    const user = this.#users[slot] as string;
    this.#coveredFrom = (this.#seqs[slot] as number) + 1;
    this.#bytes -= ENTRY_BYTES + (run.lastRingPosition === position ? RUN_BYTES + run.bytes : 0);
    this.#runs[slot] = undefined;
    if (this.#newest.get(user) === position) this.#newest.delete(user);
  }
}
