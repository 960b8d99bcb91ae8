/**
 * Where users are online, kept for all gateways together: an entry a user, changed by compare-and-set, and a beat a gateway, by which
 * the others know that it is there.
 */
import type { UserId } from '../domain/ids.ts';
import type { Online } from '../domain/online.ts';

export interface StoredOnline {
  readonly online: Online;
  /** Grows with each change of any entry, and each beat; 0: there is none. */
  readonly revision: number;
}

export interface PresenceNews {
  /** The entry of a user has changed. Decodes it for who has use of it. */
  onUser(user: UserId, revision: number, read: () => Online): void;
  /**
   * @param at milliseconds since 1970, by the gateway's clock
   * @param revision grows with each beat and each change of an entry alike
   */
  onBeat(gateway: string, at: number, revision: number): void;
}

export interface PresenceStore {
  /** As it stands, or stood a moment ago. @throws RookeryError LOG_UNAVAILABLE */
  read(user: UserId): Promise<StoredOnline>;
  /**
   * @param revision of the entry it was made from
   * @returns the new revision; undefined where that one was not the newest any more @throws RookeryError LOG_UNAVAILABLE
   */
  write(user: UserId, online: Online, revision: number): Promise<number | undefined>;
  /** @throws RookeryError LOG_UNAVAILABLE */
  beat(gateway: string, at: number): Promise<void>;
  /** Its newest beat; undefined where there is none. @throws RookeryError LOG_UNAVAILABLE */
  lastBeat(gateway: string): Promise<number | undefined>;
  /** Forgets gateways that have not been heard of since. @throws RookeryError LOG_UNAVAILABLE */
  forgetGateways(before: number): Promise<void>;
  /**
   * All changes from now on, in order, the last of each entry at least, across reconnects. Where the store is another one or has lost its
   * end, `onLost` is called once and nothing more comes.
   * @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING
   */
  follow(news: PresenceNews, onLost: (reason: string) => void): Promise<{ stop(): Promise<void> }>;
}
