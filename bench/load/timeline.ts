/**
 * What all members of a conversation must see: at each index the same message at the same position of the log, no index left
 * out, no message twice, positions that grow, and each sender's messages in the order of their sending.
 */
import type { Ledger } from './ledger.ts';

/** What stands at an index that holds no message: a state event, which members see and nobody measures. */
export const NO_MESSAGE = -1;

/** Entries whose indexes follow each other without a gap, as one frame brought them. */
export interface Run {
  readonly firstN: number;
  /** The message at each index, by its number. */
  readonly numbers: readonly number[];
  readonly positions: readonly number[];
}

/** Members are known by their index. */
export class Timeline {
  /** Deliveries that came again. */
  doubled = 0;
  /** Deliveries beside their place, or other ones than somebody else got at it. */
  outOfOrder = 0;
  readonly #ledger: Ledger;
  /** By index, as the first member to see it was told. */
  readonly #numbers: number[] = [];
  readonly #positions: number[] = [];
  readonly #placed = new Set<number>();
  readonly #newestOfSender = new Map<number, number>();
  /** By member: the newest index, and the indexes that were left out before it. */
  readonly #newest: Int32Array;
  readonly #skipped: (Set<number> | undefined)[];

  constructor(ledger: Ledger, members: number) {
    this.#ledger = ledger;
    this.#newest = new Int32Array(members);
    this.#skipped = new Array(members).fill(undefined);
  }

  newestOf(member: number): number {
    return this.#newest[member] as number;
  }

  /** What a run says of the conversation: once, however many members get the same bytes. */
  place({ firstN, numbers, positions }: Run): void {
    numbers.forEach((number, i) => {
      this.#placeAt(firstN + i, number, positions[i] as number);
    });
  }

  /** Hot path. A member has got a run: how many of its messages are with it delivered to all. */
  receive(member: number, { firstN, numbers }: Run, atUs: number): number {
    const newest = this.#newest[member] as number;
    if (firstN > newest + 1) this.#skip(member, newest + 1, firstN);
    let complete = 0;
    for (let i = 0; i < numbers.length; i++) {
      if (firstN + i <= newest && !this.#wasSkipped(member, firstN + i)) continue;
      const number = numbers[i] as number;
      if (number !== NO_MESSAGE && this.#ledger.deliver(number, member, atUs)) complete += 1;
    }
    this.#newest[member] = Math.max(newest, firstN + numbers.length - 1);
    return complete;
  }

  /**
   * Hot path. The next message of a plain broadcast, which has no index: what the first member gets at a place, all must
   * get there. True when with it the message is delivered to all.
   */
  receiveNext(member: number, number: number, atUs: number): boolean {
    const n = (this.#newest[member] as number) + 1;
    this.#newest[member] = n;
    if (this.#numbers[n] === undefined) this.#placeAt(n, number, n);
    else if (this.#numbers[n] !== number) this.outOfOrder += 1;
    return this.#ledger.deliver(number, member, atUs);
  }

  #placeAt(n: number, number: number, position: number): void {
    if (this.#numbers[n] !== undefined) {
      if (this.#numbers[n] !== number || this.#positions[n] !== position) this.outOfOrder += 1;
      return;
    }
    this.#numbers[n] = number;
    this.#positions[n] = position;
    if (position <= (this.#positions[n - 1] ?? 0)) this.outOfOrder += 1;
    if (number === NO_MESSAGE) return;
    if (this.#placed.has(number)) this.doubled += 1;
    this.#placed.add(number);
    const sender = this.#ledger.senderOf(number);
    // Never sent: what came is not what was given.
    if (sender === undefined || number < (this.#newestOfSender.get(sender) ?? 0)) this.outOfOrder += 1;
    else this.#newestOfSender.set(sender, number);
  }

  #skip(member: number, from: number, to: number): void {
    const skipped = (this.#skipped[member] ??= new Set());
    for (let n = from; n < to; n++) skipped.add(n);
  }

  /** An index at or before the newest: late, if it was left out before, else a double. */
  #wasSkipped(member: number, n: number): boolean {
    if (this.#skipped[member]?.delete(n)) {
      this.outOfOrder += 1;
      return true;
    }
    this.doubled += 1;
    return false;
  }
}
