/** What a backend may do to accounts: to each alone, or to many at once. */
import {
  type Account,
  type AccountKind,
  type BotToken,
  initialAccount,
  type ProfileChanges,
  type UserSettings,
} from '../../domain/account.ts';
import type { ClientMsgId, UserId } from '../../domain/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import { asRookeryError, type ErrorCode, RookeryError } from '../../protocol/error-codes.ts';
import type { Accounts } from './accounts.ts';
import { mintBotToken } from './bot-tokens.ts';

/** Lines of an import that are under way at a time. */
const IMPORTED_AT_A_TIME = 64;

export interface AccountToCreate {
  readonly user: UserId;
  readonly kind: AccountKind;
  readonly profile: ProfileChanges;
}

export type ImportResult =
  | { readonly user: UserId; readonly result: 'created' | 'changed' | 'unchanged' }
  | { readonly user: UserId; readonly result: 'failed'; readonly code: ErrorCode; readonly message: string };

/** What a backend wants changed. `active: false` deactivates. */
export interface AccountChanges {
  readonly profile?: ProfileChanges;
  readonly settings?: Partial<UserSettings>;
  readonly active?: boolean;
}

export class AccountAdministration {
  readonly #accounts: Accounts;
  readonly #clock: Clock;

  constructor(accounts: Accounts, clock: Clock) {
    this.#accounts = accounts;
    this.#clock = clock;
  }

  /** @throws RookeryError ACCOUNT_UNKNOWN, also where accounts are not required; LOG_UNAVAILABLE */
  async get(user: UserId): Promise<Account> {
    const account = await this.#accounts.get(user);
    if (account.state === 'none') throw new RookeryError('ACCOUNT_UNKNOWN', 'there is no such account');
    return account;
  }

  /** @throws RookeryError ACCOUNT_EXISTS, TOO_MANY_FIELDS, or as Accounts.change */
  async create({ user, kind, profile }: AccountToCreate): Promise<Account> {
    const command = { type: 'createAccount', ...byBackend(), kind, profile } as const;
    return (await this.#accounts.create(initialAccount(user), command)).account;
  }

  /**
   * What is so already stays. Each part is a change of its own: who repeats it after a failure ends where they wanted to.
   * @throws RookeryError ACCOUNT_UNKNOWN, TOO_MANY_FIELDS, or as Accounts.change
   */
  async change(user: UserId, { profile, settings, active }: AccountChanges): Promise<Account> {
    await this.get(user);
    if (profile) await unlessSo(this.#accounts.change(user, { type: 'changeProfile', ...byBackend(), profile }));
    if (settings) await unlessSo(this.#accounts.change(user, { type: 'changeSettings', ...byBackend(), settings }));
    if (active !== undefined) {
      const type = active ? 'reactivateAccount' : 'deactivateAccount';
      await unlessSo(this.#accounts.change(user, { type, ...byBackend() }));
    }
    return this.get(user);
  }

  /** Tokens issued until now count no more. @throws as `change` */
  async signOut(user: UserId): Promise<void> {
    await this.get(user);
    const before = this.#clock.nowMs();
    await unlessSo(this.#accounts.change(user, { type: 'signOut', ...byBackend(), before }));
  }

  /**
   * A token of its own for a bot; the answer is the only place where it ever stands.
   * @param expiresAt milliseconds since 1970; 0: never
   * @throws RookeryError ACCOUNT_UNKNOWN, NOT_A_BOT, TOO_MANY_TOKENS, or as Accounts.change
   */
  async mintToken(user: UserId, about: Pick<BotToken, 'name' | 'expiresAt'>): Promise<{ id: string; token: string }> {
    await this.get(user);
    const { token, botToken } = await mintBotToken(user, { ...about, createdAt: this.#clock.nowMs() });
    await this.#accounts.change(user, { type: 'addBotToken', ...byBackend(), token: botToken });
    return { id: botToken.id, token };
  }

  /** Sessions that came in with it end. @throws RookeryError ACCOUNT_UNKNOWN, or as Accounts.change */
  async revokeToken(user: UserId, id: string): Promise<void> {
    await this.get(user);
    await unlessSo(this.#accounts.change(user, { type: 'revokeBotToken', ...byBackend(), token: id }));
  }

  /**
   * Creates who is not there, changes who is there otherwise, leaves who is there so. The same again changes nothing, so an
   * import that broke off is simply repeated. One line that fails fails alone.
   */
  async import(lines: readonly AccountToCreate[]): Promise<ImportResult[]> {
    const results = new Array<ImportResult>(lines.length);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let i = next++; i < lines.length; i = next++)
        results[i] = await this.#importOne(lines[i] as AccountToCreate);
    };
    await Promise.all(Array.from({ length: IMPORTED_AT_A_TIME }, worker));
    return results;
  }

  async #importOne(line: AccountToCreate): Promise<ImportResult> {
    const { user, profile } = line;
    try {
      await this.create(line);
      return { user, result: 'created' };
    } catch (thrown) {
      const { code, message } = asRookeryError(thrown);
      if (code !== 'ACCOUNT_EXISTS') return { user, result: 'failed', code, message };
    }
    try {
      const { kind } = await this.get(user);
      if (kind !== line.kind) {
        return { user, result: 'failed', code: 'ACCOUNT_EXISTS', message: `the account is of another kind: ${kind}` };
      }
      await this.#accounts.change(user, { type: 'changeProfile', ...byBackend(), profile });
      return { user, result: 'changed' };
    } catch (thrown) {
      const { code, message } = asRookeryError(thrown);
      if (code === 'NO_CHANGE') return { user, result: 'unchanged' };
      return { user, result: 'failed', code, message };
    }
  }
}

/** Each call is a change of its own. */
const byBackend = () => ({ by: 'backend', id: crypto.randomUUID() as ClientMsgId }) as const;

async function unlessSo(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (thrown) {
    if (asRookeryError(thrown).code !== 'NO_CHANGE') throw thrown;
  }
}
