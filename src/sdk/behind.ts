/** How far behind the client is, told when it has changed, and not more often than somebody could read it. Pure. */
import type { Behind, Effect } from './inputs-and-effects.ts';
import { BEHIND_EVERY_MS } from './limits.ts';

export class BehindTold {
  #entries = 0;
  #conversations: number | undefined;
  #atMs = 0;

  /** @param conversations undefined where that is not known */
  begins(entries: number, conversations: number | undefined, nowMs: number): Effect[] {
    this.#entries = entries;
    this.#conversations = conversations;
    this.#atMs = nowMs;
    const behind: Behind = { entries, ...(conversations !== undefined && { conversations }) };
    const isKnown = entries > 0 || (conversations ?? 0) > 0;
    return [{ type: 'status', status: { phase: 'catching up', ...(isKnown && { behind }) } }];
  }

  /** How many conversations there are is told at once, and that nothing is left: no number stays that is not true. */
  told(entries: number, conversations: number | undefined, nowMs: number): Effect[] {
    if (entries === this.#entries && conversations === this.#conversations) return [];
    const isOver = entries === 0 && (conversations ?? 0) === 0;
    const isNew = this.#conversations === undefined && conversations !== undefined;
    if (!isOver && !isNew && nowMs - this.#atMs < BEHIND_EVERY_MS) return [];
    return this.begins(entries, conversations, nowMs);
  }
}
