/**
 * The devices of an account: those it is used from, and those that were sent away. Whether one is online now stands elsewhere
 * (online.ts): here is what must not be forgotten.
 */
import type { DeviceId } from './ids.ts';

export const DEVICE_KINDS = ['phone', 'tablet', 'desktop', 'web', 'other'] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

export interface Device {
  readonly device: DeviceId;
  readonly kind: DeviceKind;
  /** What its user calls it, or the app did at first; may be empty. */
  readonly name: string;
  /** When it came in first: milliseconds since 1970. */
  readonly addedAt: number;
}

/** Tokens issued before count no more for this device: milliseconds since 1970. */
export interface RevokedDevice {
  readonly device: DeviceId;
  readonly before: number;
}

export interface Devices {
  /** In the order in which they were added. */
  readonly known: readonly Device[];
  /** The one that was revoked last comes last. */
  readonly revoked: readonly RevokedDevice[];
  /** Tokens issued before count for known devices alone: which of the others were revoked is not remembered any more. */
  readonly revokedFrom: number;
}

export type DeviceEvent =
  /** One that came in, for the first time or as another kind. Beyond MAX_DEVICES `forgets` makes room: its gateway names the least recently used; without a name the one added first. */
  | {
      readonly type: 'deviceAdded';
      readonly device: DeviceId;
      readonly kind: DeviceKind;
      readonly name: string;
      readonly addedAt: number;
      /** Of the token it came in with: one that counts no more adds nothing. */
      readonly issuedAt: number;
      readonly forgets?: DeviceId;
    }
  | { readonly type: 'deviceRenamed'; readonly device: DeviceId; readonly name: string }
  | { readonly type: 'deviceRevoked'; readonly device: DeviceId; readonly before: number };

export type DeviceRefusal = 'DEVICE_UNKNOWN' | 'DEVICE_REVOKED' | 'NO_CHANGE';

/** Devices kept of an account. One more makes the least recently used forgotten, which comes back when it comes in again. */
export const MAX_DEVICES = 32;
/** Revoked devices that are remembered one by one; of those before, that tokens of unknown devices must be younger. */
export const MAX_REVOKED_DEVICES = 64;

export const NO_DEVICES: Devices = { known: [], revoked: [], revokedFrom: 0 };

export const deviceOf = ({ known }: Devices, device: DeviceId): Device | undefined =>
  known.find((one) => one.device === device);

/** Whether a token issued at a time (milliseconds since 1970) lets this device in. */
export function isRevoked(devices: Devices, device: DeviceId, issuedAt: number): boolean {
  const revoked = devices.revoked.find((one) => one.device === device);
  if (revoked) return issuedAt < revoked.before;
  return issuedAt < devices.revokedFrom && !deviceOf(devices, device);
}

export function deviceRefusal(devices: Devices, event: DeviceEvent): DeviceRefusal | undefined {
  const known = deviceOf(devices, event.device);
  switch (event.type) {
    case 'deviceAdded':
      if (isRevoked(devices, event.device, event.issuedAt)) return 'DEVICE_REVOKED';
      return known && !isNews(known, event) ? 'NO_CHANGE' : undefined;
    case 'deviceRenamed':
      if (!known) return 'DEVICE_UNKNOWN';
      return known.name === event.name ? 'NO_CHANGE' : undefined;
    case 'deviceRevoked':
      return known ? undefined : 'DEVICE_UNKNOWN';
  }
}

/** Whether what a device says of itself must be written down. The name its user gave it stays. */
export const isNews = (known: Device, said: Pick<Device, 'kind' | 'name'>): boolean =>
  known.kind !== said.kind || (known.name === '' && said.name !== '');

export function evolveDevices(devices: Devices, event: DeviceEvent): Devices {
  const others = devices.known.filter(({ device }) => device !== event.device);
  const known = deviceOf(devices, event.device);
  switch (event.type) {
    case 'deviceAdded': {
      const { device, kind, name, addedAt } = event;
      if (!known) return { ...devices, known: [...withRoom(others, event.forgets), { device, kind, name, addedAt }] };
      return replaced(devices, { ...known, kind, name: known.name || name });
    }
    case 'deviceRenamed':
      return known ? replaced(devices, { ...known, name: event.name }) : devices;
    case 'deviceRevoked':
      return withRevoked({ ...devices, known: others }, event);
  }
}

const replaced = (devices: Devices, device: Device): Devices => ({
  ...devices,
  known: devices.known.map((one) => (one.device === device.device ? device : one)),
});

function withRoom(known: readonly Device[], forgets: DeviceId | undefined): readonly Device[] {
  if (known.length < MAX_DEVICES) return known;
  const kept = known.filter(({ device }) => device !== forgets);
  return kept.slice(Math.max(0, kept.length - MAX_DEVICES + 1));
}

function withRevoked(devices: Devices, { device, before }: RevokedDevice): Devices {
  const revoked = [...devices.revoked.filter((one) => one.device !== device), { device, before }];
  const forgotten = revoked.splice(0, Math.max(0, revoked.length - MAX_REVOKED_DEVICES));
  const revokedFrom = forgotten.reduce((from, one) => Math.max(from, one.before), devices.revokedFrom);
  return { ...devices, revoked, revokedFrom };
}
