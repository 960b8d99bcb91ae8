/**
 * The newest part of an INBOX stream in memory, for all users, connected or not: so that most resumes touch no NATS.
 *
 * A ring of entries, each linked to the same user's entry before it. Bounded in entries and in bytes of runs; the oldest go
 * first. `coveredFrom` says from which sequence on nothing is missing.
 */
import type { Run } from './run.ts';

export interface RingLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** An entry and its run weigh this beside the run's bytes. */
const ENTRY_BYTES = 40;

export interface RingEntry {
  readonly seq: number;
  readonly run: Run;
}

export class Ring {
  readonly #capacity: number;
  readonly #maxBytes: number;
  readonly #seqs: Float64Array;
  /** Ring position of the same user's entry before; -1 for none. */
  readonly #before: Float64Array;
  readonly #runs: (Run | undefined)[];
  readonly #users: string[];
  /** By user: ring position of the newest entry. */
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
    this.#before = new Float64Array(this.#capacity);
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
    this.#seqs[slot] = seq;
    this.#before[slot] = this.#newest.get(user) ?? -1;
    this.#runs[slot] = run;
    this.#users[slot] = user;
    this.#newest.set(user, position);
    this.#bytes += ENTRY_BYTES + (run.lastRingPosition < this.#tail ? run.bytes : 0);
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

  /** The user's entries behind `seq`, oldest first, up to about `maxBytes` of runs (one at least). */
  after(user: string, seq: number, maxBytes: number): RingEntry[] {
    const positions: number[] = [];
    let position = this.#newest.get(user) ?? -1;
    while (position >= this.#tail && (this.#seqs[position % this.#capacity] as number) > seq) {
      positions.push(position);
      position = this.#before[position % this.#capacity] as number;
    }
    const found: RingEntry[] = [];
    let bytes = 0;
    for (let i = positions.length - 1; i >= 0 && (bytes < maxBytes || found.length === 0); i--) {
      const slot = (positions[i] as number) % this.#capacity;
      const run = this.#runs[slot] as Run;
      bytes += run.bytes;
      found.push({ seq: this.#seqs[slot] as number, run });
    }
    return found;
  }

  #evict(): void {
    const position = this.#tail++;
    const slot = position % this.#capacity;
    const run = this.#runs[slot] as Run;
    const user = this.#users[slot] as string;
    this.#coveredFrom = (this.#seqs[slot] as number) + 1;
    this.#bytes -= ENTRY_BYTES + (run.lastRingPosition === position ? run.bytes : 0);
    this.#runs[slot] = undefined;
    if (this.#newest.get(user) === position) this.#newest.delete(user);
  }
}
