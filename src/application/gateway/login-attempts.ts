/**
 * Who guesses passwords is slowed down: by the account and the address together, so that nobody can lock a user out from
 * elsewhere; by the address, so that one address cannot try one password on all accounts; and by the account, so that many addresses
 * cannot share the work. What has failed at another gateway counts as well, once it has been heard of.
 */
import { LRUCache } from 'lru-cache';
import type { UserId } from '../../domain/ids.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

/** Attempts that may fail without a wait. */
const FREE_OF_BOTH = 5;
const FREE_OF_ADDRESS = 50;
const FREE_OF_ACCOUNT = 100;
/** After the first failure beyond; doubled with each further one. */
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 15 * 60_000;
/** What did not fail for so long is forgotten. */
const FORGOTTEN_AFTER_MS = 60 * 60_000;
/** Counters kept, some 200 bytes each; the least recently used go first. */
const MAX_COUNTERS = 100_000;

interface Counter {
  failures: number;
  /** By the clock that is given: no attempt before. */
  waitUntil: number;
}

export interface Attempt {
  /** The password was right. @returns whether something had failed before, which is forgotten now */
  succeeded(): boolean;
  /** Nothing was found out: it does not count. */
  withdraw(): void;
}

export class LoginAttempts {
  readonly #counters = new LRUCache<string, Counter>({
    max: MAX_COUNTERS,
    ttl: FORGOTTEN_AFTER_MS,
    ttlResolution: 1_000,
  });

  /**
   * Counts as failed until it is known better: attempts at the same time do not get past the limit.
   * @param nowMs monotonic
   * @throws RookeryError TOO_MANY_ATTEMPTS with the time to wait
   */
  begin(user: UserId, address: string, nowMs: number): Attempt {
    const limits = limitsOf(user, address);
    const [[both]] = limits;
    const waitMs = Math.max(...limits.map(([key]) => (this.#counters.peek(key)?.waitUntil ?? 0) - nowMs));
    if (waitMs > 0) {
      throw new RookeryError('TOO_MANY_ATTEMPTS', 'too many attempts', { retryAfterMs: Math.ceil(waitMs) });
    }
    const hadFailed = (this.#counters.peek(both)?.failures ?? 0) > 0;
    const undo = limits.map(([key, free]) => this.#count(key, free, nowMs));
    const withdraw = (): void => {
      for (const one of undo) one();
    };
    return {
      withdraw,
      succeeded: () => {
        withdraw();
        this.#counters.delete(both);
        return hadFailed;
      },
    };
  }

  /** One that has failed at another gateway. @param nowMs as in `begin` */
  failedElsewhere(user: UserId, address: string, nowMs: number): void {
    for (const [key, free] of limitsOf(user, address)) this.#count(key, free, nowMs);
  }

  /** The account's user has come in from there at another gateway: what failed before is forgotten, as it is where that was. */
  succeededElsewhere(user: UserId, address: string): void {
    const [[both]] = limitsOf(user, address);
    this.#counters.delete(both);
  }

  /** @returns what takes it back */
  #count(key: string, free: number, nowMs: number): () => void {
    const counter = this.#counters.get(key) ?? { failures: 0, waitUntil: 0 };
    const before = counter.waitUntil;
    counter.failures += 1;
    const beyond = counter.failures - free;
    if (beyond >= 0) counter.waitUntil = nowMs + Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(beyond, 20));
    this.#counters.set(key, counter);
    const after = counter.waitUntil;
    return () => {
      counter.failures -= 1;
      if (counter.waitUntil === after) counter.waitUntil = before;
    };
  }
}

const limitsOf = (user: UserId, address: string) =>
  [
    [`both ${address} ${user}`, FREE_OF_BOTH],
    [`address ${address}`, FREE_OF_ADDRESS],
    [`account ${user}`, FREE_OF_ACCOUNT],
  ] as const;
