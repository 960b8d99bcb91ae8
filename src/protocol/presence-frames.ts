/** What frames say of devices, and of who is online. Pinned with frames.ts. */
import type { DeviceKind } from '../domain/devices.ts';
import type { DeviceId } from '../domain/ids.ts';

export interface ListedDevice {
  readonly device: DeviceId;
  readonly kind: DeviceKind;
  /** May be empty. */
  readonly name: string;
  /** When it came in first: milliseconds since 1970. */
  readonly addedAt: number;
}

export interface DeviceList {
  /** In the order in which they came in first; of an account up to 32. */
  readonly devices: readonly ListedDevice[];
}
