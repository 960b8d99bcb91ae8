/**
 * So many at a time, and fewer of one user; the others wait. Whose turn is next goes round among the users that wait, so that who asks
 * for a thousand things does not come a thousand times before somebody who asks for one.
 */
import type { UserId } from '../../../domain/ids.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';

export interface FairTurnsOptions {
  readonly max: number;
  readonly maxOfUser: number;
  /** Those that wait; beyond: OVERLOADED. */
  readonly maxWaiting: number;
  readonly maxWaitingOfUser: number;
  /** Who has waited so long for a turn gets OVERLOADED. */
  readonly maxWaitMs: number;
  /** What is told with that. */
  readonly retryAfterMs: number;
}

interface Line {
  readonly user: UserId;
  underWay: number;
  /** In the order of coming. */
  readonly waiting: Set<Waiting>;
}

interface Waiting {
  readonly timer: NodeJS.Timeout;
  begin(): void;
}

export class FairTurns {
  readonly #options: FairTurnsOptions;
  /** Of each user that has something under way or waiting. */
  readonly #lines = new Map<UserId, Line>();
  /** Those that wait and may have another turn, the next first. Empty while a turn is free. */
  readonly #ready = new Set<Line>();
  #underWay = 0;
  #waiting = 0;

  constructor(options: FairTurnsOptions) {
    this.#options = options;
  }

  /**
   * Resolves when it is this one's turn, with what ends the turn: to be called once.
   * @throws RookeryError OVERLOADED
   */
  async take(user: UserId): Promise<() => void> {
    const { max, maxOfUser, maxWaiting, maxWaitingOfUser } = this.#options;
    const line = this.#lines.get(user) ?? { user, underWay: 0, waiting: new Set<Waiting>() };
    const isFree = this.#underWay < max && line.underWay < maxOfUser;
    if (!isFree && (this.#waiting >= maxWaiting || line.waiting.size >= maxWaitingOfUser)) throw this.#overloaded();
    this.#lines.set(user, line);
    if (isFree) this.#begin(line);
    else await this.#wait(line);
    return () => this.#end(line);
  }

  #wait(line: Line): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#leave(line, one);
        if (line.waiting.size === 0) this.#ready.delete(line);
        this.#forget(line);
        reject(this.#overloaded());
      }, this.#options.maxWaitMs);
      const one: Waiting = { timer, begin: resolve };
      line.waiting.add(one);
      this.#waiting += 1;
      this.#lineUp(line);
    });
  }

  #leave(line: Line, one: Waiting): void {
    clearTimeout(one.timer);
    line.waiting.delete(one);
    this.#waiting -= 1;
  }

  #begin(line: Line): void {
    this.#underWay += 1;
    line.underWay += 1;
  }

  #end(line: Line): void {
    this.#underWay -= 1;
    line.underWay -= 1;
    this.#lineUp(line);
    this.#forget(line);
    this.#goOn();
  }

  #lineUp(line: Line): void {
    if (line.waiting.size > 0 && line.underWay < this.#options.maxOfUser) this.#ready.add(line);
  }

  #goOn(): void {
    for (const line of this.#ready) {
      if (this.#underWay >= this.#options.max) return;
      this.#ready.delete(line);
      const [next] = line.waiting;
      if (!next) continue;
      this.#leave(line, next);
      this.#begin(line);
      // Behind the others; this loop comes to it as well.
      this.#lineUp(line);
      next.begin();
    }
  }

  #forget(line: Line): void {
    if (line.underWay === 0 && line.waiting.size === 0) this.#lines.delete(line.user);
  }

  #overloaded(): RookeryError {
    const { retryAfterMs } = this.#options;
    return new RookeryError('OVERLOADED', 'too many questions wait for an answer', { retryAfterMs });
  }
}
