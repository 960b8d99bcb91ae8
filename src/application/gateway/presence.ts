/**
 * Who is online, for those who ask and those who watch. What is watched here is kept in memory, once for all who watch it, and follows
 * the entries; a change touches those who watch that user and nobody else. What a session is told is what has changed since it was
 * told last, so many times a second at most: who flickers in between is not seen to.
 */
import { type ConversationId, directPair, type UserId } from '../../domain/ids.ts';
import { ABSENT, atGateways, type Online, type Presence, presenceOf } from '../../domain/online.ts';
import type { FrameOnWire } from '../../ports/client-connection.ts';
import type { Log } from '../../ports/log.ts';
import type { PresenceStore } from '../../ports/presence-store.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { PresencePage, SeenUser } from '../../protocol/presence-frames.ts';
import type { LiveGateways } from './live-gateways.ts';
import type { PresencePrivacy } from './presence-privacy.ts';
import type { RegisteredSession } from './sessions.ts';
import { Slots } from './slots.ts';

/** Pairs of a session and whom it watches, about 200 bytes each. Beyond: OVERLOADED. */
const MAX_WATCHED_PAIRS = 500_000;
/** Entries read at a time, and those that wait; beyond: OVERLOADED. */
const MAX_READS = 64;
const MAX_WAITING_READS = 20_000;
const RETRY_AFTER_MS = 1_000;
/** A session is told of changes so often at most. */
export const TELL_EVERY_MS = 250;
/** What could not be found out, since somebody does not answer, is asked for again after so many times that. */
const LATER_ROUNDS = 8;
/** Who has not taken so much is told when they have. */
const MAX_UNSENT_BYTES = 262_144;

interface Watched {
  online: Online;
  /** Of the entry; -1: not read yet. */
  revision: number;
  readonly watchers: Set<Watcher>;
}

interface Watcher {
  readonly session: RegisteredSession;
  readonly user: UserId;
  /** What it was told of each: -1 online, else when they were last seen. Undefined: nothing yet. */
  readonly told: Map<UserId, number | undefined>;
  /** Of whom something may have changed. */
  readonly changed: Set<UserId>;
  isBusy: boolean;
}

export interface PresenceParts {
  readonly store: PresenceStore;
  readonly gateways: LiveGateways;
  readonly privacy: PresencePrivacy;
  readonly frameOnWire: FrameOnWire;
  readonly log: Log;
}

export class PresenceWatch {
  readonly #parts: PresenceParts;
  readonly #watched = new Map<UserId, Watched>();
  readonly #watchers = new Map<RegisteredSession, Watcher>();
  readonly #reads = new Slots(MAX_READS);
  #pairs = 0;
  #changed = new Set<Watcher>();
  /** Those who could not be told of somebody: at most once each within the time until they are. */
  readonly #later: [Watcher, UserId][] = [];
  #rounds = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#tell(), TELL_EVERY_MS);
  }

  /** Of these users, what `asker` may see. @throws RookeryError OVERLOADED, LOG_UNAVAILABLE */
  async of(asker: UserId, users: readonly UserId[]): Promise<PresencePage> {
    const { privacy } = this.#parts;
    const presence = await Promise.all(
      [...new Set(users)].map(async (user) => {
        const seen = presenceOf(await this.where(user), this.#parts.gateways.goneAt);
        return seenUser(user, isNothing(seen) || (await privacy.maySee(asker, user)) ? seen : ABSENT);
      }),
    );
    return { presence };
  }

  /** As it is, for a backend: whatever the users let each other see. @throws RookeryError OVERLOADED, LOG_UNAVAILABLE */
  async seen(users: readonly UserId[]): Promise<PresencePage> {
    const { goneAt } = this.#parts.gateways;
    const seen = async (user: UserId): Promise<SeenUser> => seenUser(user, presenceOf(await this.where(user), goneAt));
    return { presence: await Promise.all([...new Set(users)].map(seen)) };
  }

  /** From now on the session is told of these users, and of nobody else. @throws as `of`: then it watches nobody */
  async watch(session: RegisteredSession, users: readonly UserId[]): Promise<PresencePage> {
    this.forget(session);
    if (users.length === 0 || !session.isOpen) return { presence: [] };
    if (this.#pairs + users.length > MAX_WATCHED_PAIRS) throw overloaded('too many are watched');
    const watcher: Watcher = {
      ...{ session, user: session.user as UserId, changed: new Set<UserId>(), isBusy: true },
      told: new Map(users.map((user) => [user, undefined])),
    };
    this.#watchers.set(session, watcher);
    this.#pairs += watcher.told.size;
    for (const user of watcher.told.keys()) this.#watchedOf(user).watchers.add(watcher);
    try {
      await Promise.all([...watcher.told.keys()].map((user) => this.#read(user)));
      const page = await this.of(watcher.user, users);
      for (const seen of page.presence) watcher.told.set(seen.user, toldOf(seen));
      watcher.isBusy = false;
      return page;
    } catch (error) {
      if (this.#watchers.get(session) === watcher) this.forget(session);
      throw error;
    }
  }

  /** The session is over, or watches others. */
  forget(session: RegisteredSession): void {
    const watcher = this.#watchers.get(session);
    if (!watcher) return;
    this.#watchers.delete(session);
    this.#changed.delete(watcher);
    this.#pairs -= watcher.told.size;
    for (const user of watcher.told.keys()) {
      const watched = this.#watched.get(user);
      watched?.watchers.delete(watcher);
      if (watched?.watchers.size === 0) this.#watched.delete(user);
    }
  }

  heard(user: UserId, revision: number, read: () => Online): void {
    const watched = this.#watched.get(user);
    if (!watched || revision <= watched.revision) return;
    watched.online = read();
    watched.revision = revision;
    this.#parts.gateways.meet(watched.online.map(({ gateway }) => gateway)).then(
      () => this.changed(user),
      // As if they were there: it is looked at again with the next change of it.
      () => this.changed(user),
    );
  }

  /** Something about a user has changed: where they are online, or what they want others to see. */
  changed(user: UserId): void {
    for (const watcher of this.#watched.get(user)?.watchers ?? []) this.#note(watcher, user);
  }

  /** Something between two users has changed. */
  pairChanged(conversation: ConversationId): void {
    const pair = directPair(conversation);
    if (!pair || this.#watched.size === 0) return;
    const [one, other = one] = pair;
    for (const [user, by] of [
      [one, other],
      [other, one],
    ] as const) {
      for (const watcher of this.#watched.get(user)?.watchers ?? []) if (watcher.user === by) this.#note(watcher, user);
    }
  }

  gatewayChanged(gateway: string): void {
    for (const [user, { online }] of this.#watched) {
      if (online.some((one) => one.gateway === gateway)) this.changed(user);
    }
  }

  /** News may have been lost. */
  reviewAll(): void {
    for (const watcher of this.#watchers.values()) for (const user of watcher.told.keys()) this.#note(watcher, user);
  }

  /** The store is another one, or may be. */
  readAll(): void {
    for (const [user, watched] of this.#watched) {
      watched.revision = -1;
      this.#read(user).then(
        () => this.changed(user),
        (error: unknown) => this.#parts.log.warn({ what: 'presence not read', reason: String(error) }),
      );
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #note(watcher: Watcher, user: UserId): void {
    watcher.changed.add(user);
    this.#changed.add(watcher);
  }

  #watchedOf(user: UserId): Watched {
    let watched = this.#watched.get(user);
    if (!watched) this.#watched.set(user, (watched = { online: [], revision: -1, watchers: new Set() }));
    return watched;
  }

  async #read(user: UserId): Promise<void> {
    const watched = this.#watched.get(user);
    if (!watched || watched.revision >= 0) return;
    const { online, revision } = await this.#stored(user);
    // What was heard of meanwhile is newer.
    if (revision > watched.revision) Object.assign(watched, { online, revision });
  }

  /** Where a user is online, for nobody but themselves and a backend. @throws as `of` */
  async where(user: UserId): Promise<Online> {
    const watched = this.#watched.get(user);
    const { online } = watched && watched.revision >= 0 ? watched : await this.#stored(user);
    const { gateways } = this.#parts;
    await gateways.meet(online.map(({ gateway }) => gateway));
    return atGateways(online, gateways.goneAt);
  }

  #stored(user: UserId) {
    if (this.#reads.waiting >= MAX_WAITING_READS) throw overloaded('too many ask who is online');
    return this.#reads.run(() => this.#parts.store.read(user));
  }

  #tell(): void {
    this.#rounds += 1;
    if (this.#rounds % LATER_ROUNDS === 0) {
      for (const [watcher, user] of this.#later.splice(0)) if (watcher.told.has(user)) this.#note(watcher, user);
    }
    const changed = [...this.#changed];
    this.#changed = new Set();
    for (const watcher of changed) {
      if (!this.#watchers.has(watcher.session)) continue;
      if (watcher.isBusy || watcher.session.connection.bufferedBytes > MAX_UNSENT_BYTES) this.#changed.add(watcher);
      else void this.#tellOne(watcher);
    }
  }

  async #tellOne(watcher: Watcher): Promise<void> {
    const users = [...watcher.changed];
    watcher.changed.clear();
    watcher.isBusy = true;
    const pages = await Promise.all(users.map((user) => this.of(watcher.user, [user]).catch(() => user)));
    watcher.isBusy = false;
    if (this.#watchers.get(watcher.session) !== watcher) return;
    const presence: SeenUser[] = [];
    for (const page of pages) {
      // Somebody does not answer now.
      if (typeof page === 'string') this.#later.push([watcher, page]);
      else presence.push(...page.presence.filter((seen) => watcher.told.get(seen.user) !== toldOf(seen)));
    }
    for (const seen of presence) watcher.told.set(seen.user, toldOf(seen));
    const { connection } = watcher.session;
    const { codec } = connection;
    if (presence.length > 0)
      connection.write(this.#parts.frameOnWire(codec, codec.encode({ t: 'presence', presence })));
  }
}

const overloaded = (message: string): RookeryError =>
  new RookeryError('OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS });

const isNothing = ({ online, lastSeen }: Presence): boolean => !online && lastSeen === 0;

/** Who was never seen, is not there or may not be seen looks the same. */
function seenUser(user: UserId, { online, lastSeen }: Presence): SeenUser {
  return { user, online, ...(lastSeen > 0 && { lastSeen }) };
}

const toldOf = ({ online, lastSeen = 0 }: SeenUser): number => (online ? -1 : lastSeen);
