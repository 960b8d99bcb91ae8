/**
 * Accounts as a gateway knows and changes them. What it knows it keeps, in bounds, and follows the log of people: a change made
 * anywhere is known here as soon as the log has told of it. What it changes it decides on the account as the log has it.
 */
import { LRUCache } from 'lru-cache';
import {
  type Account,
  type AccountCommand,
  type AccountEvent,
  type AccountRefusal,
  changeKey,
  decideAccount,
  devicesIn,
  evolveAccount,
} from '../../domain/account.ts';
import type { UserId } from '../../domain/ids.ts';
import type { AccountFollower, AccountLog, AccountNews, StoredAccount } from '../../ports/account-log.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Appended } from '../../ports/conversation-log.ts';
import type { Log } from '../../ports/log.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import { Slots } from './slots.ts';

/** Of accounts kept, as they are in memory, roughly; the least recently used go first and are read again. */
const MAX_CACHED_BYTES = 67_108_864;
const BYTES_PER_ACCOUNT = 1_000;
const BYTES_PER_FIELD = 100;
const BYTES_PER_DEVICE = 200;
/** What is older is read anew: a leader that was deposed without knowing it may have told of the past. */
const KEPT_FOR_MS = 600_000;
/** Reads of the log under way; after a restart all devices come in at once. Beyond, they wait: one of each user who comes in. */
const MAX_READS = 256;
/** A change is decided again so often when others change the account meanwhile; then CONFLICT. */
const MAX_DECISIONS = 6;
/** Doubled each time; at random, or those who met once would meet again. */
const FIRST_CONFLICT_PAUSE_MS = 5;
/** After the log of people could not be followed. */
const FOLLOW_AGAIN_MS = 1_000;

export interface AccountsParts {
  readonly log: AccountLog;
  readonly follower: AccountFollower;
  readonly clock: Clock;
  /** Whether who has no account may use the service. */
  readonly isOpen: boolean;
  readonly logger: Log;
}

export interface Changed extends Appended {
  readonly account: Account;
}

interface Loading {
  readonly promise: Promise<Account>;
  /** What was heard of it meanwhile: the answer may be older. */
  heard: StoredAccount | undefined;
}

export class Accounts {
  readonly #parts: AccountsParts;
  readonly #known = new LRUCache<UserId, StoredAccount>({
    maxSize: MAX_CACHED_BYTES,
    sizeCalculation: ({ account }) =>
      BYTES_PER_ACCOUNT +
      BYTES_PER_DEVICE * (devicesIn(account).known.length + devicesIn(account).revoked.length) +
      Object.entries(account.profile.fields).reduce((sum, field) => sum + BYTES_PER_FIELD + 2 * field[1].length, 0),
    ttl: KEPT_FOR_MS,
    ttlResolution: 1_000,
  });
  readonly #reads = new Slots(MAX_READS);
  readonly #loading = new Map<UserId, Loading>();
  /** The last of the changes that are under way here, settled when it has ended. */
  readonly #changing = new Map<UserId, Promise<void>>();
  #listener: ((user: UserId, stored: () => StoredAccount) => void) | undefined;
  #following: { stop(): Promise<void> } | undefined;
  #stopped = false;

  constructor(parts: AccountsParts) {
    this.#parts = parts;
  }

  get isOpen(): boolean {
    return this.#parts.isOpen;
  }

  /** @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING */
  async start(): Promise<void> {
    this.#following = await this.#parts.follower.follow(
      (news) => this.#heard(news),
      (reason) => {
        this.#parts.logger.error({ what: 'log of people lost', reason });
        this.#known.clear();
        void this.#followAgain();
      },
    );
    if (this.#stopped) await this.#following.stop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#following?.stop();
  }

  /** One listener: each change of an account, made here or elsewhere. The account is decoded when asked for. */
  onChange(listener: (user: UserId, stored: () => StoredAccount) => void): void {
    this.#listener = listener;
  }

  /** Hot path: what is at hand. */
  peek(user: UserId): Account | undefined {
    return this.#known.get(user)?.account;
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  get(user: UserId): Promise<Account> {
    const known = this.#known.get(user);
    if (known) return Promise.resolve(known.account);
    const underWay = this.#loading.get(user);
    if (underWay) return underWay.promise;
    const promise = this.#load(user).finally(() => this.#loading.delete(user));
    this.#loading.set(user, { promise, heard: undefined });
    return promise;
  }

  /**
   * One at a time here: when all devices of a user come in at once, each would otherwise be decided as often as there are devices.
   * @throws RookeryError with a refusal's code, CONFLICT, OVERLOADED, LOG_UNAVAILABLE
   */
  change(user: UserId, command: AccountCommand): Promise<Changed> {
    const before = this.#changing.get(user) ?? Promise.resolve();
    const change = before.then(() => this.#changeNow(user, command));
    const ended = change.then(noMatter, noMatter).then(() => {
      if (this.#changing.get(user) === ended) this.#changing.delete(user);
    });
    this.#changing.set(user, ended);
    return change;
  }

  async #changeNow(user: UserId, command: AccountCommand): Promise<Changed> {
    const { log, clock, isOpen } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const { account, pos } = await log.load(user);
      // Also where the last attempt was stored and only its answer was lost.
      if (account.recent.includes(changeKey(command))) return { account, pos, duplicate: true };
      const { event, refusal } = decideAccount(account, command, { at: clock.nowMs(), isOpen });
      if (refusal) throw refusedAccount(refusal);
      try {
        return await this.#append(event, evolveAccount(account, event), pos);
      } catch (thrown) {
        if (asRookeryError(thrown).code !== 'CONFLICT' || attempt === MAX_DECISIONS) throw thrown;
        // Another gateway.
        const pauseMs = Math.random() * FIRST_CONFLICT_PAUSE_MS * 2 ** attempt;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  /**
   * As `change`, for one that is new in all likelihood: looks at what is there only where there is something.
   * @throws as `change`
   */
  async create(before: Account, command: Extract<AccountCommand, { type: 'createAccount' }>): Promise<Changed> {
    const { event, refusal } = decideAccount(before, command, { at: this.#parts.clock.nowMs(), isOpen: false });
    if (refusal) throw refusedAccount(refusal);
    try {
      return await this.#append(event, evolveAccount(before, event), 0);
    } catch (thrown) {
      if (asRookeryError(thrown).code !== 'CONFLICT') throw thrown;
      return this.change(before.user, command);
    }
  }

  async #append(event: AccountEvent, after: Account, expectedPos: number): Promise<Changed> {
    const { pos, duplicate } = await this.#parts.log.append(event, after, expectedPos);
    // Who changes an account and asks for it finds the change, also before the log has told of it.
    if (this.#known.has(after.user)) this.#learn({ account: after, pos });
    return { account: after, pos, duplicate };
  }

  async #load(user: UserId): Promise<Account> {
    const loaded = await this.#reads.run(() => this.#parts.log.read(user));
    const heard = this.#loading.get(user)?.heard;
    const newest = heard && heard.pos > loaded.pos ? heard : loaded;
    this.#learn(newest);
    return newest.account;
  }

  #learn({ account, pos }: StoredAccount): void {
    const known = this.#known.peek(account.user);
    if (!known || known.pos <= pos) this.#known.set(account.user, { account: ofItsOwn(account), pos });
  }

  #heard(news: AccountNews): void {
    try {
      const { user } = news;
      let stored: StoredAccount | undefined;
      const read = (): StoredAccount => (stored ??= news.read());
      const loading = this.#loading.get(user);
      if (loading) loading.heard = read();
      if (this.#known.has(user)) this.#learn(read());
      this.#listener?.(user, read);
    } catch (error) {
      // Nobody of ours has written it: who asks for the account is told so.
      this.#known.delete(news.user);
      this.#parts.logger.warn({ what: 'account not readable', pos: news.pos, reason: String(error) });
    }
  }

  async #followAgain(): Promise<void> {
    while (!this.#stopped) {
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_AGAIN_MS));
      try {
        return await this.start();
      } catch (error) {
        this.#parts.logger.warn({ what: 'log of people not followed', reason: String(error) });
      }
    }
  }
}

const noMatter = (): void => undefined;

/** In memory of its own: a string out of the log's bytes may be a slice that keeps all the text that was read with it. */
const ofItsOwn = (account: Account): Account => JSON.parse(JSON.stringify(account));

export const refusedAccount = (code: AccountRefusal): RookeryError =>
  new RookeryError(code, `refused: ${code.toLowerCase().replaceAll('_', ' ')}`);
