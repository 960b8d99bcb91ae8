/** What frames say of devices, and of who is online. Pinned with frames.ts. */
import type { DeviceKind } from '../domain/devices.ts';
import type { DeviceId, UserId } from '../domain/ids.ts';

export interface ListedDevice {
  readonly device: DeviceId;
  readonly kind: DeviceKind;
  /** May be empty. */
  readonly name: string;
  /** When it came in first: milliseconds since 1970. */
  readonly addedAt: number;
  readonly online: boolean;
  /** Since when it is online, else when it was last seen: milliseconds since 1970; absent where that is not known. */
  readonly since?: number;
  readonly lastSeen?: number;
  /** Name and version of its client. */
  readonly agent?: string;
}

export interface DeviceList {
  /** In the order in which they came in first; of an account up to 32. */
  readonly devices: readonly ListedDevice[];
}

/** Who may not be seen, is not there or never was looks the same: not online, and no time. */
export interface SeenUser {
  readonly user: UserId;
  readonly online: boolean;
  /** Milliseconds since 1970. */
  readonly lastSeen?: number;
}

export interface PresencePage {
  /** Each user once. */
  readonly presence: readonly SeenUser[];
}

/** From now on the session is told of these users, and of nobody else. Its answer is a `result` with their presence now. */
export interface WatchFrame {
  readonly t: 'watch';
  readonly id: number;
  /** At most 256; none: of nobody. */
  readonly users: readonly UserId[];
}

/** Of users the session watches: those of whom something has changed. */
export interface PresenceFrame extends PresencePage {
  readonly t: 'presence';
}
