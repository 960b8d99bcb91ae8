/** Tells the other gateways that a device has connected here, and us of theirs. Lost news cost a second session, no message. */
import type { DeviceId, UserId } from '../domain/ids.ts';

export interface SessionOpened {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly session: string;
  /** Milliseconds since 1970, by the clock of the gateway it was opened at: of two sessions the newer stays. */
  readonly openedAt: number;
}

export interface SessionNews {
  announce(opened: SessionOpened): void;
  onAnnounced(heard: (opened: SessionOpened) => void): void;
}
