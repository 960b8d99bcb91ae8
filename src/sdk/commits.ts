/**
 * When progress is stored: at most every COMMIT_EVERY_MS or COMMIT_EVERY_ENTRIES, one at a time; and confirmed to the server
 * once it is. Storing costs a disk flush, so not for each cursor; what was handled since comes again after a crash. Pure.
 */
import type { Cursor } from '../protocol/frames.ts';
import type { Inbox } from './inbox.ts';
import type { Effect } from './inputs-and-effects.ts';
import { COMMIT_EVERY_ENTRIES, COMMIT_EVERY_MS } from './limits.ts';

export class Commits {
  readonly #inbox: Inbox;
  #underWay = false;
  #timerIsSet = false;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #handledSince = 0;
  /** The newest of this connection, and of the inbox it reads: a `confirm` has no epoch, and means one of these. */
  #given: Cursor | undefined;
  #confirmed: Cursor | undefined;

  constructor(inbox: Inbox) {
    this.#inbox = inbox;
  }

  handled(entries: number): void {
    this.#handledSince += entries;
  }

  ifDue(nowMs: number): Effect[] {
    if (this.#underWay || !this.#inbox.hasProgress) return [];
    const dueInMs = this.#lastAtMs + COMMIT_EVERY_MS - nowMs;
    if (dueInMs > 0 && this.#handledSince < COMMIT_EVERY_ENTRIES) {
      if (this.#timerIsSet) return [];
      this.#timerIsSet = true;
      return [{ type: 'set timer', name: 'commit', ms: Math.ceil(dueInMs) }];
    }
    this.#underWay = true;
    this.#lastAtMs = nowMs;
    this.#handledSince = 0;
    return [{ type: 'commit', ...this.#inbox.takeProgress() }];
  }

  timerFired(): void {
    this.#timerIsSet = false;
  }

  /** A cursor frame that ends what was missed. */
  given(cursor: Cursor): void {
    this.#given = cursor;
  }

  /** The connection is another one, or its cursors are of another inbox from now on. */
  beginsAnew(): void {
    this.#given = undefined;
  }

  /** It is stored. Gives the cursor to confirm, if there is a new one that means something to the server of now. */
  done(cursor: Cursor | undefined): Cursor | undefined {
    this.#underWay = false;
    const given = this.#given;
    if (!cursor || cursor.epoch !== given?.epoch || cursor.seq > given.seq) return undefined;
    if (this.#confirmed?.epoch === cursor.epoch && this.#confirmed.seq === cursor.seq) return undefined;
    return cursor;
  }

  confirmed(cursor: Cursor): void {
    this.#confirmed = cursor;
  }
}
