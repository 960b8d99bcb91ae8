/** How far each device has confirmed its inbox; kept on the server so that "N behind" is known. */
import type { DeviceId, UserId } from '../domain/ids.ts';
import type { Cursor } from '../protocol/frames.ts';

export interface DeviceCursors {
  /** The last confirmed cursor that was stored, or undefined. */
  get(user: UserId, device: DeviceId): Promise<Cursor | undefined>;
  /** Stores the newest of what was confirmed, soon, not at once: confirms of one device are coalesced. Never throws. */
  confirm(user: UserId, device: DeviceId, cursor: Cursor): void;
  /** Stores what is pending. */
  drain(): Promise<void>;
}
