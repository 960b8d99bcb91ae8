/** The log of people as such: accounts and passwords. */
import type { Account, AccountEvent } from '../domain/account.ts';
import type { ClientMsgId, UserId } from '../domain/ids.ts';
import type { Appended } from './conversation-log.ts';

export interface StoredAccount {
  readonly account: Account;
  /** Position of the account's newest event, 0 for none: what the optimistic lock compares. */
  readonly pos: number;
  /** By what it came to be so, where it was heard of. */
  readonly cause?: AccountEvent['type'];
}

export interface StoredPassword {
  /** As the hasher wrote it. */
  readonly hash: string;
  readonly pos: number;
}

export interface AccountLog {
  /** As it stands in the log now. @throws RookeryError LOG_UNAVAILABLE */
  load(user: UserId): Promise<StoredAccount>;
  /** As `load`, cheaper, and possibly a moment behind. */
  read(user: UserId): Promise<StoredAccount>;
  /**
   * Appends an event that was decided on the account as it stood at `expectedPos`, with the account it leaves. So an account is
   * one read, however much has happened to it, and the log still says what happened.
   * @throws RookeryError CONFLICT where it does not stand there any more · OVERLOADED · LOG_UNAVAILABLE (it may stand in the
   *   log or not; the same id may be tried again)
   */
  append(event: AccountEvent, after: Account, expectedPos: number): Promise<Appended>;
  /** Undefined where there is none. @throws RookeryError LOG_UNAVAILABLE */
  password(user: UserId): Promise<StoredPassword | undefined>;
  /** @param expectedPos of the password it replaces, 0 for none @throws as `append` */
  setPassword(user: UserId, id: ClientMsgId, hash: string, expectedPos: number): Promise<Appended>;
}

/** What has happened to somebody's account. */
export interface AccountNews {
  readonly user: UserId;
  readonly pos: number;
  /** Decodes it, for who has use of it. @throws RookeryError EVENT_UNREADABLE */
  read(): StoredAccount;
}

export interface AccountFollower {
  /**
   * Every change from now on, in order and without a gap, across reconnects, until `stop`. Where the log is another one or has
   * lost its end, `onLost` is called once and nothing more comes.
   * @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING
   */
  follow(onNews: (news: AccountNews) => void, onLost: (reason: string) => void): Promise<{ stop(): Promise<void> }>;
}
