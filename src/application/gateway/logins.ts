/**
 * The built-in login: a password against a token. Who has no account, no password or a wrong one gets the same answer after the same
 * time; what is found out costs the same work for each.
 */
import type { ClientMsgId, UserId } from '../../domain/ids.ts';
import type { AccountLog } from '../../ports/account-log.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CountedNews } from '../../ports/counted-news.ts';
import type { PasswordHasher } from '../../ports/passwords.ts';
import type { IssueToken } from '../../ports/tokens.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import type { Accounts } from './accounts.ts';
import { refusedEntry } from './identities.ts';
import { type Attempt, LoginAttempts } from './login-attempts.ts';
import { Slots } from './slots.ts';

/** Hashes under way: each takes a thread of Node's pool of four, which others need as well. */
const MAX_HASHES = 2;
/** Those that wait for one; beyond: OVERLOADED. */
const MAX_WAITING_HASHES = 32;
const HASH_RETRY_AFTER_MS = 1_000;

export interface LoginsParts {
  readonly log: AccountLog;
  readonly accounts: Accounts;
  readonly hasher: PasswordHasher;
  readonly issue: IssueToken;
  readonly clock: Clock;
  readonly monotonicMs: () => number;
  readonly counted: CountedNews;
  readonly tokenLifetimeMs: number;
}

export interface LoggedIn {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export class Logins {
  readonly #parts: LoginsParts;
  readonly #attempts = new LoginAttempts();
  readonly #hashes = new Slots(MAX_HASHES);

  constructor(parts: LoginsParts) {
    this.#parts = parts;
    parts.counted.onAnnounced((one) => {
      if (one.type === 'guess') this.#attempts.failedElsewhere(one.user, one.address, parts.monotonicMs());
      else if (one.type === 'loggedIn') this.#attempts.succeededElsewhere(one.user, one.address);
    });
  }

  /**
   * @param address where the request comes from
   * @throws RookeryError LOGIN_REFUSED, TOO_MANY_ATTEMPTS, ACCOUNT_DEACTIVATED (the password was right), OVERLOADED, LOG_UNAVAILABLE
   */
  async login(user: UserId, password: string, address: string): Promise<LoggedIn> {
    await this.#prove(user, password, address);
    const { clock, issue, tokenLifetimeMs } = this.#parts;
    const expiresAt = clock.nowMs() + tokenLifetimeMs;
    return { token: await issue(user, expiresAt), expiresAt };
  }

  /** Tokens issued until now count no more. @throws as `login`, CONFLICT */
  async change(user: UserId, password: string, next: string, address: string): Promise<void> {
    const pos = await this.#prove(user, password, address);
    await this.#store(user, next, pos);
    await this.#signOut(user, 'user');
  }

  /** By a backend, also the first one. @throws RookeryError ACCOUNT_UNKNOWN, OVERLOADED, CONFLICT, LOG_UNAVAILABLE */
  async set(user: UserId, next: string): Promise<void> {
    const { accounts, log } = this.#parts;
    if ((await accounts.get(user)).state === 'none') throw refusedEntry('ACCOUNT_UNKNOWN');
    await this.#store(user, next, (await log.password(user))?.pos ?? 0);
    await this.#signOut(user, 'backend');
  }

  /** @returns position of the password */
  async #prove(user: UserId, password: string, address: string): Promise<number> {
    const { log, accounts, monotonicMs, counted } = this.#parts;
    const attempt = this.#attempts.begin(user, address, monotonicMs());
    const stored = await unlessFound(attempt, () => log.password(user));
    const isRight = await unlessFound(attempt, () => this.#hash((hasher) => hasher.verify(password, stored?.hash)));
    if (!isRight || !stored) {
      counted.announce({ type: 'guess', user, address });
      throw new RookeryError('LOGIN_REFUSED', 'user or password is wrong');
    }
    const { state } = await unlessFound(attempt, () => accounts.get(user));
    if (attempt.succeeded()) counted.announce({ type: 'loggedIn', user, address });
    if (state === 'deactivated') throw refusedEntry('ACCOUNT_DEACTIVATED');
    return stored.pos;
  }

  async #store(user: UserId, password: string, replacedPos: number): Promise<void> {
    const { log } = this.#parts;
    const hash = await this.#hash((hasher) => hasher.hash(password));
    try {
      await log.setPassword(user, newId(), hash, replacedPos);
    } catch (thrown) {
      // Ours may be stored, and only its answer have been lost.
      if (asRookeryError(thrown).code !== 'CONFLICT' || (await log.password(user))?.hash !== hash) throw thrown;
    }
  }

  async #signOut(user: UserId, by: 'user' | 'backend'): Promise<void> {
    const { accounts, clock } = this.#parts;
    await accounts.change(user, { type: 'signOut', by, id: newId(), before: clock.nowMs() });
  }

  #hash<T>(work: (hasher: PasswordHasher) => Promise<T>): Promise<T> {
    if (this.#hashes.waiting >= MAX_WAITING_HASHES) {
      const error = new RookeryError('OVERLOADED', 'too many log in', { retryAfterMs: HASH_RETRY_AFTER_MS });
      return Promise.reject(error);
    }
    return this.#hashes.run(() => work(this.#parts.hasher));
  }
}

/** What fails for a reason of ours is no guess. */
async function unlessFound<T>(attempt: Attempt, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    attempt.withdraw();
    throw thrown;
  }
}

const newId = (): ClientMsgId => crypto.randomUUID() as ClientMsgId;
