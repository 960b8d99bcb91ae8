/**
 * The part of a conversation's timeline that is at hand. The index is gapless, so what is not at hand is known by its number:
 * a view can give it a place before it is there, and ask for it when it is looked at.
 *
 * Memory: at most MAX_AT_HAND entries; beyond, those farthest from what is looked at are let go, and asked for again.
 */
import type { ClientMsgId, Entry, HistoryEntry, HistoryPage, UserId } from '../../sdk/index.ts';

export const MAX_AT_HAND = 2_000;

/** An entry that changes how an earlier one is shown. */
export type Amendment = Extract<Entry, { readonly type: 'messageEdited' | 'messageRecalled' }>;
export type Message = Extract<HistoryEntry, { readonly type: 'message' }>;

const NO_BYTES = new Uint8Array();

export const isAmendment = (entry: Entry): entry is Amendment =>
  entry.type === 'messageEdited' || entry.type === 'messageRecalled';

export const isIndexed = (entry: Entry): entry is Extract<Entry, { readonly n: number }> => 'n' in entry;

/** Position of what is shown now: of two versions of an entry the one with the greater is kept. */
export const versionOf = ({ pos, edited, recalled }: HistoryEntry): number =>
  Math.max(pos, edited?.pos ?? 0, recalled?.pos ?? 0);

/** How `shown` is shown from `amendment` on. */
export function amended(shown: HistoryEntry, amendment: Amendment): HistoryEntry {
  if (shown.type !== 'message' || shown.recalled || versionOf(shown) >= amendment.pos) return shown;
  const { pos, at, by } = amendment;
  const { type, n, id } = shown;
  const stays = { type, n, id, pos: shown.pos, at: shown.at, by: shown.by };
  if (amendment.type === 'messageRecalled') {
    return { ...stays, contentType: shown.contentType, body: NO_BYTES, recalled: { pos, at, by } };
  }
  const { type: _type, pos: _pos, at: _at, by: _by, id: _id, target: _target, ...content } = amendment;
  return { ...stays, ...content, edited: { pos, at } };
}

export class Timeline {
  /** By index; null: this user may not see it (they were away), or it came to nothing. */
  readonly #entries = new Map<number, HistoryEntry | null>();
  readonly #byId = new Map<string, number>();
  #first = 1;
  #last = 0;

  /** The first index this user may see, as far as is known. */
  get first(): number {
    return this.#first;
  }

  /** The newest index; 0: none yet. */
  get last(): number {
    return this.#last;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Undefined: not at hand. */
  at(n: number): HistoryEntry | null | undefined {
    return this.#entries.get(n);
  }

  of(by: UserId, id: ClientMsgId): Message | undefined {
    const entry = this.#entries.get(this.#byId.get(keyOf(by, id)) ?? 0);
    return entry?.type === 'message' ? entry : undefined;
  }

  reaches(last: number): void {
    this.#last = Math.max(this.#last, last);
  }

  /** False: an as new or newer version is at hand. */
  put(entry: HistoryEntry): boolean {
    const known = this.#entries.get(entry.n);
    if (known && versionOf(known) >= versionOf(entry)) return false;
    this.#entries.set(entry.n, entry);
    if (entry.type === 'message') this.#byId.set(keyOf(entry.by, entry.id), entry.n);
    this.reaches(entry.n);
    return true;
  }

  /** False: the message is not at hand, or is shown so already. */
  amend(amendment: Amendment): boolean {
    const message = this.of(amendment.target.by, amendment.target.id);
    const now = message && amended(message, amendment);
    if (!now || now === message) return false;
    this.#entries.set(now.n, now);
    return true;
  }

  /**
   * A page of history: consecutive, but for what this user may not see.
   * @param asked where it was to end or to begin: between it and the page there is nothing to be seen
   */
  add({ entries, older, newer }: HistoryPage, asked: { readonly before?: number; readonly after?: number } = {}): void {
    const [head] = entries;
    const tail = entries.at(-1);
    if (!head || !tail) {
      if (asked.before !== undefined && !older) this.#first = Math.max(this.#first, asked.before);
      return;
    }
    let next = asked.after === undefined ? head.n : asked.after + 1;
    for (const entry of entries) {
      for (; next < entry.n; next++) this.#hide(next);
      this.put(entry);
      next = entry.n + 1;
    }
    for (; next < (asked.before ?? 0); next++) this.#hide(next);
    if (!older) this.#first = Math.max(this.#first, head.n);
    if (!newer) for (; next <= this.#last; next++) this.#hide(next);
  }

  /** Of the indexes from `from` to `to` the first and the last that are not at hand. */
  missing(from: number, to: number): { readonly from: number; readonly to: number } | undefined {
    let [low, high] = [Math.max(from, this.#first), Math.min(to, this.#last)];
    while (low <= high && this.#entries.has(low)) low += 1;
    while (high >= low && this.#entries.has(high)) high -= 1;
    return low <= high ? { from: low, to: high } : undefined;
  }

  /** Lets go of what is farthest from the indexes `from` to `to`, as far as the bound asks for it. */
  trim(from: number, to: number): void {
    if (this.#entries.size <= MAX_AT_HAND) return;
    const middle = (from + to) / 2;
    const far = [...this.#entries.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    // More than has to be: the sorting is not for each entry that comes.
    for (const n of far.slice(0, this.#entries.size - MAX_AT_HAND / 2)) this.#forget(n);
  }

  forget(indexes: readonly number[] | 'all'): void {
    for (const n of indexes === 'all' ? [...this.#entries.keys()] : indexes) this.#forget(n);
  }

  #hide(n: number): void {
    if (!this.#entries.has(n)) this.#entries.set(n, null);
  }

  #forget(n: number): void {
    const entry = this.#entries.get(n);
    this.#entries.delete(n);
    if (entry?.type === 'message') this.#byId.delete(keyOf(entry.by, entry.id));
  }
}

const keyOf = (by: UserId, id: ClientMsgId): string => `${by}\n${id}`;
