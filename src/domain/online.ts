/**
 * Where a user is online: the newest session of each device, and when those that are not online were last seen. Gateways write it
 * together, each what it knows of its own sessions, one after the other. So what stands there decides, for all of them alike, which
 * session of a device stays, and which devices of a kind must go where more are online than may be.
 */
import type { Device, DeviceKind } from './devices.ts';
import type { DeviceId } from './ids.ts';

export interface OnlineDevice {
  readonly device: DeviceId;
  readonly kind: DeviceKind;
  readonly agent: string;
  /** The session it is online with, and at which gateway; '' where it is not online. */
  readonly session: string;
  readonly gateway: string;
  /** When its newest session began: milliseconds since 1970, and greater than that of all devices that were online when it came in. */
  readonly since: number;
  /** When it was last seen: milliseconds since 1970; 0 while it is online. */
  readonly seenAt: number;
  /** A session of it that had to go for a device of its kind that came later. */
  readonly displaced?: string;
}

export type Online = readonly OnlineDevice[];

/** How many devices of a kind may be online at once; 0: as many as like. */
export type OnlineLimits = Readonly<Record<DeviceKind, number>>;

/** Devices that stand in it at once. Those that are not online make room, the longest unseen first; one more is not written down. */
export const MAX_ONLINE_DEVICES = 128;
export const MAX_OFFLINE_DEVICES = 32;

export interface OpenSession {
  readonly session: string;
  readonly device: DeviceId;
  readonly kind: DeviceKind;
  readonly agent: string;
  /** Milliseconds since 1970, by its gateway's clock. */
  readonly openedAt: number;
  /** As it stood there before; undefined: it never did. */
  readonly since: number | undefined;
  /** Beside another session of its device that stands there. */
  readonly order: SessionOrder;
}

/**
 * `newer`: it began when the other one stood there already. `older`: the other one has taken its place. `unknown`: while nothing could be
 * written both began, or what was written is lost. No clock can tell then: clocks are set.
 */
export type SessionOrder = 'newer' | 'older' | 'unknown';

/** What a gateway remembers of a session to know that. */
export interface SessionPast {
  /** It has stood in this store. */
  readonly hasStood: boolean;
  /** No client has given it up and connected again since: that takes longer. */
  readonly hasJustBegun: boolean;
  /** What its gateway had heard of when it began: a revision of the store; 0: of nothing in this store. */
  readonly heardUpTo: number;
}

/** @param revision of the entry, which does not hold the session */
export function orderOf(past: SessionPast, revision: number): SessionOrder {
  if (past.hasStood) return 'older';
  return past.hasJustBegun || revision <= past.heardUpTo ? 'newer' : 'unknown';
}

export interface EndedSession {
  readonly session: string;
  readonly device: DeviceId;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

/** What a gateway knows of its own sessions of a user. */
export interface OwnSessions {
  readonly gateway: string;
  readonly open: readonly OpenSession[];
  readonly ended: readonly EndedSession[];
}

export interface OnlineCircumstances {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly limits: OnlineLimits;
  /** When a gateway that is no more was last heard of (milliseconds since 1970, 0 where nobody knows); undefined: it is there. */
  readonly goneAt: (gateway: string) => number | undefined;
}

/** `SESSION_IN_DOUBT`: whether it is the newest of its device is not known. Whose it is connects again, if there is anybody. */
export type EndOfSession = 'SESSION_REPLACED' | 'SESSION_IN_DOUBT' | 'DEVICE_DISPLACED';

export interface Settled {
  /** The same array where nothing is to be written. */
  readonly online: Online;
  /** Own sessions that may not stay, once this is written. */
  readonly ends: ReadonlyMap<string, EndOfSession>;
}

/** What is to stand there once a gateway's sessions are what they are. Told again, it changes nothing. */
export function settle(online: Online, own: OwnSessions, circumstances: OnlineCircumstances): Settled {
  const ends = new Map<string, EndOfSession>();
  const devices = new Map(online.map((one) => [one.device, withoutGone(one, circumstances)]));
  for (const { session, device, endedAt } of own.ended) {
    const one = devices.get(device);
    if (one?.session === session) devices.set(device, offline(one, endedAt));
  }
  const newest = Math.max(0, ...[...devices.values()].filter(isOnline).map(({ since }) => since));
  for (const open of own.open) enter(devices, open, own.gateway, newest, ends);
  displace(devices, circumstances, own.open, ends);
  const settled = bounded([...devices.values()]);
  return { online: isSame(online, settled) ? online : settled, ends };
}

const isOnline = ({ session }: OnlineDevice): boolean => session !== '';

const offline = (one: OnlineDevice, seenAt: number): OnlineDevice => ({ ...one, session: '', gateway: '', seenAt });

function withoutGone(one: OnlineDevice, { goneAt }: Pick<OnlineCircumstances, 'goneAt'>): OnlineDevice {
  const gone = isOnline(one) ? goneAt(one.gateway) : undefined;
  return gone === undefined ? one : offline(one, Math.max(gone, one.since));
}

function enter(
  devices: Map<DeviceId, OnlineDevice>,
  { session, device, kind, agent, openedAt, since, order }: OpenSession,
  gateway: string,
  newest: number,
  ends: Map<string, EndOfSession>,
): void {
  const one = devices.get(device);
  if (one?.session === session) return;
  // Also one that had to go stands in the way of the device's older ones: their gateways may not know yet that they were replaced.
  const isContested = one !== undefined && (isOnline(one) ? one.gateway !== gateway : one.displaced !== undefined);
  const afterDisplaced = one?.displaced === undefined ? 0 : one.since + 1;
  const begun = since ?? Math.max(openedAt, newest + 1, afterDisplaced);
  if (one?.displaced === session) ends.set(session, 'DEVICE_DISPLACED');
  else if (isContested && order !== 'newer')
    ends.set(session, order === 'older' ? 'SESSION_REPLACED' : 'SESSION_IN_DOUBT');
  // To the end: the one that came in last stands last.
  else if (devices.delete(device) || devices.size < MAX_ONLINE_DEVICES + MAX_OFFLINE_DEVICES) {
    devices.set(device, { device, kind, agent, session, gateway, since: begun, seenAt: 0 });
  }
}

/** Of each kind as many stay as may, the newest; of two that say the same, the one with the greater id. */
function displace(
  devices: Map<DeviceId, OnlineDevice>,
  { at, limits }: OnlineCircumstances,
  own: readonly OpenSession[],
  ends: Map<string, EndOfSession>,
): void {
  for (const [kind, limit] of Object.entries(limits)) {
    if (limit === 0) continue;
    const online = [...devices.values()].filter((one) => one.kind === kind && isOnline(one));
    online.sort((a, b) => b.since - a.since || (a.session > b.session ? -1 : 1));
    for (const one of online.slice(limit)) {
      devices.set(one.device, { ...offline(one, at), displaced: one.session });
      if (own.some(({ session }) => session === one.session)) ends.set(one.session, 'DEVICE_DISPLACED');
    }
  }
}

function bounded(devices: OnlineDevice[]): OnlineDevice[] {
  const online = devices.filter(isOnline);
  const seen = devices.filter((one) => !isOnline(one)).sort((a, b) => b.seenAt - a.seenAt);
  const kept = new Set([
    ...online.slice(0, MAX_ONLINE_DEVICES),
    ...seen.slice(0, Math.max(0, MAX_OFFLINE_DEVICES - online.length)),
  ]);
  return devices.filter((one) => kept.has(one));
}

const isSame = (one: Online, other: Online): boolean =>
  one.length === other.length && one.every((device, k) => JSON.stringify(device) === JSON.stringify(other[k]));

/**
 * Of devices the one to be forgotten first. One that is online is in use; of one that does not stand in `online` nothing is known but when
 * it came in first: those that stand there were seen later than all that made room.
 */
export function leastRecentlyUsed(known: readonly Device[], online: Online): DeviceId | undefined {
  const seen = new Map(online.map((one) => [one.device, one]));
  const used = known.map(({ device, addedAt }) => {
    const one = seen.get(device);
    return {
      device,
      isOnline: one !== undefined && isOnline(one),
      at: Math.max(addedAt, one?.since ?? 0, one?.seenAt ?? 0),
    };
  });
  return used.sort((a, b) => Number(a.isOnline) - Number(b.isOnline) || a.at - b.at)[0]?.device;
}

/** Whether a user is online, and since when not: milliseconds since 1970, 0 for never. */
export interface Presence {
  readonly online: boolean;
  readonly lastSeen: number;
}

export const ABSENT: Presence = { online: false, lastSeen: 0 };

/** As it is without what stood at gateways that are no more. */
export const atGateways = (online: Online, goneAt: OnlineCircumstances['goneAt']): Online =>
  online.map((one) => withoutGone(one, { goneAt }));

export function presenceOf(online: Online, goneAt: OnlineCircumstances['goneAt']): Presence {
  const devices = atGateways(online, goneAt);
  const isThere = devices.some(isOnline);
  return { online: isThere, lastSeen: isThere ? 0 : Math.max(0, ...devices.map(({ seenAt }) => seenAt)) };
}
