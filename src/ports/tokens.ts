/** Who a token speaks for. */
import type { Credential } from '../domain/account.ts';
import type { DeviceId, UserId } from '../domain/ids.ts';

export interface Identity {
  readonly user: UserId;
  /** Only this device, where the token names one. */
  readonly device?: DeviceId;
  /** Milliseconds since 1970: the session ends then. */
  readonly expiresAt: number;
  readonly credential: Credential;
}

/** A token of our own making for a user. @param expiresAt milliseconds since 1970 */
export type IssueToken = (user: UserId, expiresAt: number) => Promise<string>;

export interface Tokens {
  /** @throws RookeryError TOKEN_INVALID, TOKEN_EXPIRED */
  verify(token: string): Promise<Identity>;
}
