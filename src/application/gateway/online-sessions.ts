/**
 * This gateway's sessions in the entries that all gateways share. Whatever happens (one begins, one has ended, an entry changes), the
 * entry is brought to what `settle` says, by compare-and-set; what fails is tried again. Which of two sessions must go follows from
 * the order in which they came to stand there, so two gateways that race end the same one; clocks decide nothing.
 */
import type { DeviceId, UserId } from '../../domain/ids.ts';
import { type Online, type OnlineLimits, type OwnSessions, orderOf, settle } from '../../domain/online.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { PresenceStore, StoredOnline } from '../../ports/presence-store.ts';
import type { LiveGateways } from './live-gateways.ts';
import type { RegisteredSession } from './sessions.ts';
import { Slots } from './slots.ts';

/** Who comes back within this time was not away: a flapping connection tells nobody anything. */
export const LINGER_MS = 5_000;
const LOOK_EVERY_MS = 500;
/** Entries settled at a time; the others wait, one a user. */
const MAX_SETTLING = 64;
/** After the store did not answer. */
const RETRY_MS = 1_000;
/** Between two attempts where others write the same entry, or it was read from a replica that is behind. */
const CONFLICT_PAUSE_MS = 10;
/**
 * Sooner no client gives a connection up of which it hears nothing, and makes another one. Longer than an entry is on its way from the store
 * to a gateway.
 */
export const JUST_BEGUN_MS = 200;
const MAX_AGENT_CHARS = 64;

const ENDED = {
  SESSION_REPLACED: 'the device has connected elsewhere',
  SESSION_IN_DOUBT: 'the device has connected elsewhere too, nobody knows when: connect again',
  DEVICE_DISPLACED: 'another device of its kind has come in, and no more may be online',
} as const;

interface Held {
  readonly session: RegisteredSession;
  readonly device: DeviceId;
  /** By the monotonic clock. */
  readonly beganAtMs: number;
  /** Of which revisions of the store had been heard when it began. */
  heardUpTo: number;
  /** It has stood in the entry, in this store. */
  hasStood: boolean;
  /** As it stood in the entry, be it in a store that is lost; undefined before. */
  since: number | undefined;
  /** Milliseconds since 1970; 0: it has not. */
  endedAt: number;
  /** When it counts as ended, by the monotonic clock. */
  overAtMs: number;
}

interface Local {
  readonly held: Held[];
  /** Of the entry, as last written or heard of. */
  revision: number;
  /** The entry, where it is at hand. */
  stored: StoredOnline | undefined;
  isWorking: boolean;
  again: boolean;
}

export interface OnlineSessionsParts {
  readonly store: PresenceStore;
  readonly gateways: LiveGateways;
  readonly gateway: string;
  readonly limits: OnlineLimits;
  readonly clock: Clock;
  readonly log: Log;
}

export class OnlineSessions {
  readonly #parts: OnlineSessionsParts;
  /** Users with sessions here, or with some that ended a moment ago: as many as there are sessions. */
  readonly #locals = new Map<UserId, Local>();
  /** When what is to be settled, in order of time as good as. */
  #due: { readonly user: UserId; readonly atMs: number }[] = [];
  readonly #slots = new Slots(MAX_SETTLING);
  /** The newest revision of the store that was heard of. */
  #heardUpTo = 0;
  readonly #timer: NodeJS.Timeout;
  #stopped = false;

  constructor(parts: OnlineSessionsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  entered(session: RegisteredSession): void {
    const { user, device } = session;
    if (user === undefined || device === undefined || this.#stopped) return;
    const held: Held = {
      session,
      device,
      beganAtMs: performance.now(),
      heardUpTo: this.#heardUpTo,
      hasStood: false,
      since: undefined,
      endedAt: 0,
      overAtMs: Number.POSITIVE_INFINITY,
    };
    let local = this.#locals.get(user);
    if (local) {
      // An older one of the device is over by that.
      drop(local, (older) => older.device === device);
      local.held.push(held);
    } else {
      local = { held: [held], revision: 0, stored: undefined, isWorking: false, again: false };
      this.#locals.set(user, local);
    }
    this.#settle(user, local);
  }

  left(session: RegisteredSession): void {
    const { user } = session;
    const held = user && this.#locals.get(user)?.held.find((one) => one.session === session);
    if (!held || !user) return;
    held.endedAt = this.#parts.clock.nowMs();
    held.overAtMs = performance.now() + LINGER_MS;
    this.#due.push({ user, atMs: held.overAtMs });
  }

  /** The entry of a user has changed. */
  heard(user: UserId, revision: number, read: () => Online): void {
    this.heardUpTo(revision);
    const local = this.#locals.get(user);
    if (!local || revision <= local.revision) return;
    local.revision = revision;
    local.stored = { online: read(), revision };
    this.#settle(user, local);
  }

  /** Everything that has been written until `revision` has been heard of. */
  heardUpTo(revision: number): void {
    this.#heardUpTo = Math.max(this.#heardUpTo, revision);
  }

  /** The store is another one, or may be: everything is written anew. */
  settleAll(): void {
    this.#heardUpTo = 0;
    for (const [user, local] of this.#locals) {
      local.revision = 0;
      local.stored = undefined;
      for (const held of local.held) {
        held.hasStood = false;
        held.heardUpTo = 0;
      }
      this.#settle(user, local);
    }
  }

  /** What stands there stays: that this gateway is gone is known soon, and who comes in elsewhere meanwhile was not away. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const due = this.#due.filter(({ atMs }) => atMs <= now);
    if (due.length === 0) return;
    this.#due = this.#due.filter(({ atMs }) => atMs > now);
    for (const { user } of due) {
      const local = this.#locals.get(user);
      if (local) this.#settle(user, local);
    }
  }

  #settle(user: UserId, local: Local): void {
    local.again = true;
    if (local.isWorking || this.#stopped) return;
    local.isWorking = true;
    void this.#slots.run(() => this.#work(user, local));
  }

  async #work(user: UserId, local: Local): Promise<void> {
    try {
      while (local.again && !this.#stopped) {
        local.again = false;
        await this.#settleOnce(user, local);
      }
    } catch (error) {
      this.#parts.log.warn({ what: 'who is online not stored', reason: String(error) });
      local.stored = undefined;
      this.#due.push({ user, atMs: performance.now() + RETRY_MS });
    }
    local.isWorking = false;
    local.stored = undefined;
    if (local.held.length === 0 && this.#locals.get(user) === local) this.#locals.delete(user);
  }

  async #again(local: Local): Promise<void> {
    local.stored = undefined;
    local.again = true;
    await new Promise((resolve) => setTimeout(resolve, CONFLICT_PAUSE_MS));
  }

  async #settleOnce(user: UserId, local: Local): Promise<void> {
    const { store, gateways, gateway, limits, clock } = this.#parts;
    const stored = local.stored ?? (await store.read(user));
    // One that is not there any more, be it lost, is written anew; whether it is only not there yet is found out by that.
    if (stored.revision > 0 && stored.revision < local.revision) return this.#again(local);
    await gateways.meet(stored.online.map((one) => one.gateway));
    const at = clock.nowMs();
    const { goneAt } = gateways;
    const own = ownSessions(local, gateway, stored.revision);
    const settled = settle(stored.online, own, { at, limits, goneAt });
    if (settled.online !== stored.online) {
      const revision = await store.write(user, settled.online, stored.revision);
      if (revision === undefined) return this.#again(local);
      local.revision = Math.max(local.revision, revision);
      local.stored =
        local.stored && local.stored.revision > revision ? local.stored : { online: settled.online, revision };
    }
    for (const held of [...local.held]) {
      const { session } = held;
      const end = settled.ends.get(session.id);
      const standing = settled.online.find((one) => one.session === session.id);
      held.since ??= standing?.since;
      held.hasStood ||= standing !== undefined;
      if (end) session.end(end, ENDED[end]);
      // One that was over only after what was written is looked at again.
      const isWritten = own.ended.some((one) => one.session === session.id);
      if (end || isWritten) drop(local, (one) => one === held);
    }
  }
}

const isOver = ({ overAtMs }: Held): boolean => performance.now() >= overAtMs;

function ownSessions({ held }: Local, gateway: string, revision: number): OwnSessions {
  const isOpen = (one: Held): boolean => one.endedAt === 0;
  const justBegun = performance.now() - JUST_BEGUN_MS;
  return {
    gateway,
    open: held.filter(isOpen).map(({ session, device, since, hasStood, beganAtMs, heardUpTo }) => ({
      ...{ session: session.id, device, kind: session.kind, agent: session.agent.slice(0, MAX_AGENT_CHARS) },
      ...{ openedAt: session.greetedAt, since },
      order: orderOf({ hasStood, hasJustBegun: beganAtMs > justBegun, heardUpTo }, revision),
    })),
    ended: held
      .filter((one) => isOver(one))
      .map(({ session, device, endedAt }) => ({ session: session.id, device, endedAt })),
  };
}

function drop({ held }: Local, which: (held: Held) => boolean): void {
  for (let k = held.length - 1; k >= 0; k--) if (which(held[k] as Held)) held.splice(k, 1);
}
