/**
 * Whom this client watches: one set, in memory alone, that each connection is told anew. A set that is replaced before the server
 * has it is never sent; one request is under way at a time. Pure.
 */
import type { UserId } from '../domain/ids.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import type { ClientFrame, QueryResult, SeenUser } from '../protocol/frames.ts';
import { MAX_WATCHED } from '../protocol/limits.ts';
import type { Moment } from './inputs-and-effects.ts';
import { FIRST_RETRY_MS, MAX_QUERIES, MAX_RETRY_MS } from './limits.ts';

/** Each user once. @throws RookeryError BAD_REQUEST for more than a session may watch */
export function watchable(users: readonly UserId[]): readonly UserId[] {
  const each = [...new Set(users)];
  if (each.length <= MAX_WATCHED) return each;
  throw new RookeryError('BAD_REQUEST', `at most ${MAX_WATCHED} users are watched at a time, not ${each.length}`);
}

export class Watching {
  #users: ReadonlySet<UserId> = new Set();
  /** The server of this connection has not heard of the set yet. */
  #isUntold = false;
  /** Refused for a passing reason: it waits for its timer. */
  #isHeld = false;
  /** Passing refusals in a row. */
  #refusals = 0;
  /** The request under way, and the set it names. */
  #asked: { readonly id: number; readonly users: ReadonlySet<UserId> } | undefined;
  /** The calls that wait for an answer to the newest set. */
  #tickets: number[] = [];

  get underWay(): number {
    return this.#asked ? 1 : 0;
  }

  /** From now on these users, and nobody else. False: too many calls wait. */
  replace(ticket: number, users: readonly UserId[]): boolean {
    if (this.#tickets.length >= MAX_QUERIES) return false;
    this.#tickets.push(ticket);
    this.#users = new Set(users);
    this.#isUntold = true;
    return true;
  }

  next(room: number, newId: () => number): ClientFrame[] {
    if (!this.#isUntold || this.#asked || room < 1 || this.#isHeld) return [];
    const id = newId();
    this.#asked = { id, users: this.#users };
    this.#isUntold = false;
    return [{ t: 'watch', id, users: [...this.#users] }];
  }

  isAnswer(id: number): boolean {
    return this.#asked?.id === id;
  }

  /** What is to be told, and the calls that end with it; neither, where other users are watched meanwhile. */
  answered(result: QueryResult): { readonly seen: readonly SeenUser[]; readonly tickets: readonly number[] } {
    const isNewest = this.#asked?.users === this.#users;
    this.#asked = undefined;
    this.#refusals = 0;
    if (!isNewest || !('presence' in result)) return { seen: [], tickets: [] };
    return { seen: result.presence, tickets: this.#tickets.splice(0) };
  }

  /** What a frame tells of those who are watched now: it may have been written for the set before. */
  told(presence: readonly SeenUser[]): readonly SeenUser[] {
    return presence.filter(({ user }) => this.#users.has(user));
  }

  /** Refused for a passing reason: the server tells of nobody, until it is asked again in so many milliseconds. */
  hold(retryAfterMs: number | undefined, { random }: Pick<Moment, 'random'>): number {
    const pauseMs = retryAfterMs ?? Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#refusals, 16));
    this.#refusals += 1;
    this.#asked = undefined;
    this.#isUntold = true;
    this.#isHeld = true;
    return Math.ceil(pauseMs * (1 + random));
  }

  retry(): void {
    this.#isHeld = false;
  }

  /** Refused for good: the calls that asked for it end, and nobody is watched. Without one, the next connection is asked again. */
  refused(): readonly number[] {
    const isNewest = this.#asked?.users === this.#users;
    this.#asked = undefined;
    if (!isNewest || this.#tickets.length === 0) return [];
    this.#users = new Set();
    return this.#tickets.splice(0);
  }

  disconnected(): void {
    this.#asked = undefined;
    this.#isUntold = this.#users.size > 0 || this.#tickets.length > 0;
    this.#isHeld = false;
  }

  /** The calls that wait. */
  end(): readonly number[] {
    return this.#tickets.splice(0);
  }
}
