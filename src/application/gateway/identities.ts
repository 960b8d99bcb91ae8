/** Who may come in, and stay: what the token says, and what the account has to say to it. */
import { type Account, botTokenOf, type EntryRefusal, entryRefusalOf } from '../../domain/account.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Identity, Tokens } from '../../ports/tokens.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Accounts } from './accounts.ts';
import { hashOfSecret, isBotToken, parseBotToken } from './bot-tokens.ts';

export class Identities implements Tokens {
  readonly #tokens: Tokens;
  readonly #accounts: Accounts;
  readonly #clock: Clock;

  /** @param tokens of people */
  constructor(tokens: Tokens, accounts: Accounts, clock: Clock) {
    this.#tokens = tokens;
    this.#accounts = accounts;
    this.#clock = clock;
  }

  /**
   * @param device from which, where it is not the token that says so
   * @throws RookeryError TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED, DEVICE_REVOKED, ACCOUNT_UNKNOWN, ACCOUNT_DEACTIVATED,
   *   LOG_UNAVAILABLE
   */
  async verify(token: string, device?: DeviceId): Promise<Identity> {
    const identity = isBotToken(token) ? await this.#bot(token) : await this.#tokens.verify(token);
    const refusal = this.refusalBy(await this.#accounts.get(identity.user), identity, device ?? identity.device);
    if (refusal) throw refusedEntry(refusal);
    return identity;
  }

  /** By what is known now; undefined also where nothing is. */
  refusalOf(identity: Identity, device: DeviceId): EntryRefusal | undefined {
    const account = this.#accounts.peek(identity.user);
    return account && this.refusalBy(account, identity, device);
  }

  refusalBy(account: Account, { credential }: Identity, device: DeviceId | undefined): EntryRefusal | undefined {
    return entryRefusalOf(account, credential, { at: this.#clock.nowMs(), isOpen: this.#accounts.isOpen }, device);
  }

  async #bot(token: string): Promise<Identity> {
    const credential = parseBotToken(token);
    if (!credential) throw new RookeryError('TOKEN_INVALID', 'the token is not valid');
    const { user, id, secret } = credential;
    const known = botTokenOf(await this.#accounts.get(user), id, this.#clock.nowMs());
    // One that never was, one that was revoked and a wrong secret are the same to who guesses.
    if (!known || known.hash !== (await hashOfSecret(secret))) throw refusedEntry('TOKEN_REVOKED');
    return { user, expiresAt: known.expiresAt || Number.POSITIVE_INFINITY, credential: { botToken: id } };
  }
}

export const refusedEntry = (code: EntryRefusal): RookeryError =>
  new RookeryError(code, `refused: ${code.toLowerCase().replaceAll('_', ' ')}`);
