/**
 * All sessions of a gateway: bounds, deadlines, and one session a device: the newer replaces the older (OnlineSessions sees to those of
 * other gateways). One sweep looks after all of them; nothing is set up per session.
 */
import type { DeviceKind } from '../../domain/devices.ts';
import type { DeviceId, UserId } from '../../domain/ids.ts';
import type { ClientConnection } from '../../ports/client-connection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Identity } from '../../ports/tokens.ts';
import type { CloseReason } from '../../protocol/close-codes.ts';
import type { ErrorCode } from '../../protocol/error-codes.ts';

/** How exactly a deadline (hello, token, heartbeat) is kept. */
export const SWEEP_EVERY_MS = 1_000;
/** Who has been connected for so long without a hello may have to go for who comes: an honest client says it at once. */
const MAY_GO_AFTER_MS = 2_000;

export interface RegisteredSession {
  readonly id: string;
  readonly connection: ClientConnection;
  /** When the socket was opened: milliseconds of the monotonic clock, since a wall clock that is set turns nobody away. */
  readonly openedAtMs: number;
  /** When its hello was taken: milliseconds since 1970; 0 before. */
  readonly greetedAt: number;
  /** Undefined before the hello. */
  readonly user: UserId | undefined;
  readonly device: DeviceId | undefined;
  readonly kind: DeviceKind;
  /** Name and version of its client; may be empty. */
  readonly agent: string;
  /** Milliseconds since 1970; Infinity before the hello. */
  readonly expiresAt: number;
  /** With what it came in; undefined before the hello. */
  readonly identity: Identity | undefined;
  readonly isOpen: boolean;
  /** It has said its hello, and who it is is being found out. */
  readonly isGreeting: boolean;
  /** Requests not yet answered. */
  readonly inFlight: number;
  end(reason: CloseReason, text: string): void;
}

export interface SessionBounds {
  /** From the opening of the socket to the hello. */
  readonly helloTimeoutMs: number;
  /** Of all sessions; beyond: OVERLOADED. */
  readonly maxSessions: number;
  /** Of those that have not been let in yet; beyond: TOO_MANY_UNGREETED. */
  readonly maxUngreeted: number;
}

export class Sessions {
  readonly #clock: Clock;
  readonly #bounds: SessionBounds;
  readonly #all = new Set<RegisteredSession>();
  /** Those without a hello that was taken, the oldest first. */
  readonly #ungreeted = new Set<RegisteredSession>();
  /** Those that have been greeted, one a device: most users have one here, so a list is enough to look one up in. */
  readonly #byUser = new Map<UserId, RegisteredSession[]>();
  #draining = false;
  #listener: { entered(session: RegisteredSession): void; left(session: RegisteredSession): void } | undefined;

  constructor(clock: Clock, bounds: SessionBounds) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** One listener: sessions that have greeted, and their ends. */
  onChange(listener: { entered(session: RegisteredSession): void; left(session: RegisteredSession): void }): void {
    this.#listener = listener;
  }

  get count(): number {
    return this.#all.size;
  }

  get ungreeted(): number {
    return this.#ungreeted.size;
  }

  /**
   * Why one more may not come in now; undefined: it may.
   *
   * Where too many have not said a hello, the one that has been silent for longest goes for it: connections that only wait
   * keep nobody out. One that has just come may stay, so that a storm of honest clients does not drive itself out.
   */
  refusal(): (CloseReason & ('OVERLOADED' | 'TOO_MANY_UNGREETED')) | undefined {
    if (this.#all.size >= this.#bounds.maxSessions) return 'OVERLOADED';
    if (this.#ungreeted.size < this.#bounds.maxUngreeted) return undefined;
    const before = performance.now() - MAY_GO_AFTER_MS;
    for (const session of this.#ungreeted) {
      if (session.openedAtMs > before) break;
      if (session.isGreeting) continue;
      session.end('TOO_MANY_UNGREETED', 'no hello came, and others wait');
      return undefined;
    }
    return 'TOO_MANY_UNGREETED';
  }

  /** A socket before its hello, which `refusal` lets in. */
  admit(session: RegisteredSession): void {
    this.#all.add(session);
    this.#ungreeted.add(session);
  }

  /** A session after its hello: the older one of the same device ends. */
  add(session: RegisteredSession): void {
    const { user, device } = session;
    if (user === undefined || device === undefined) return;
    this.#ungreeted.delete(session);
    const older = this.#byUser.get(user)?.find((one) => one.device === device);
    older?.end('SESSION_REPLACED', 'the device has connected again');
    // Only now: who has ended is out of the list at once, and the list with its last one.
    const sessions = this.#byUser.get(user);
    if (sessions) sessions.push(session);
    else this.#byUser.set(user, [session]);
    this.#listener?.entered(session);
  }

  remove(session: RegisteredSession): void {
    this.#all.delete(session);
    this.#ungreeted.delete(session);
    const { user, device } = session;
    if (user === undefined || device === undefined) return;
    this.#listener?.left(session);
    const sessions = this.#byUser.get(user) ?? [];
    const place = sessions.indexOf(session);
    if (place < 0) return;
    sessions.splice(place, 1);
    if (sessions.length === 0) this.#byUser.delete(user);
  }

  has(user: UserId): boolean {
    return this.#byUser.has(user);
  }

  /** Those of a user that have been greeted. */
  of(user: UserId): Iterable<RegisteredSession> {
    return this.#byUser.get(user) ?? [];
  }

  /** Ends those of a user that may not stay. */
  review(
    user: UserId,
    refusalOf: (identity: Identity, device: DeviceId | undefined) => (CloseReason & ErrorCode) | undefined,
  ): void {
    for (const session of [...this.of(user)]) {
      const refusal = session.identity && refusalOf(session.identity, session.device);
      if (refusal) session.end(refusal, `ended: ${refusal.toLowerCase().replaceAll('_', ' ')}`);
    }
  }

  /** Ends what is past its time. */
  sweep(): void {
    const now = this.#clock.nowMs();
    const openedBefore = performance.now() - this.#bounds.helloTimeoutMs;
    for (const session of this.#all) {
      if (session.expiresAt <= now) session.end('TOKEN_EXPIRED', 'the token has expired');
      else if (!session.isOpen && session.openedAtMs < openedBefore) {
        session.end('HELLO_TIMEOUT', 'no hello came');
      }
    }
  }

  /** From now on no request is begun: what is under way can be waited for. */
  refuseRequests(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  endAll(reason: CloseReason, text: string): void {
    for (const session of this.#all) session.end(reason, text);
  }

  get inFlight(): number {
    let count = 0;
    for (const session of this.#all) count += session.inFlight;
    return count;
  }
}
