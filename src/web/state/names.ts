/** How people are called: as this user calls them, as they call themselves, or by their id. */
import { signal } from '@preact/signals';
import type { PublicProfile, UserId } from '../../sdk/index.ts';
import type { Cache } from '../cache/cache.ts';
import type { Tabs } from '../link/tabs.ts';
import { withoutControls } from '../model/markup.ts';

/** Profiles asked for at once; the server takes no more. */
const MAX_ASKED = 100;
/** Who is drawn at the same time is asked for together. */
const ASK_AFTER_MS = 20;

export class Names {
  readonly #tabs: Tabs;
  readonly #cache: Cache;
  readonly #profiles = signal<ReadonlyMap<UserId, PublicProfile>>(new Map());
  readonly #remarks = signal<ReadonlyMap<UserId, string>>(new Map());
  readonly #asked = new Set<UserId>();
  #wanted: UserId[] = [];

  constructor(tabs: Tabs, cache: Cache) {
    this.#tabs = tabs;
    this.#cache = cache;
  }

  async load(): Promise<void> {
    this.#take(await this.#cache.people());
  }

  /** For a component: it is drawn again when more is known. */
  of(user: UserId): string {
    const remark = this.#remarks.value.get(user);
    if (remark) return withoutControls(remark);
    const name = this.#profiles.value.get(user)?.name;
    if (!this.#asked.has(user)) this.#want(user);
    return withoutControls(name || user);
  }

  profile(user: UserId): PublicProfile | undefined {
    if (!this.#asked.has(user)) this.#want(user);
    return this.#profiles.value.get(user);
  }

  /** What people are called, of all that is known. */
  called(): (readonly [UserId, string])[] {
    const names = [...this.#profiles.peek().values()].map(({ user, name }) => [user, name] as const);
    return [...names, ...this.#remarks.peek()].filter(([, name]) => name !== '');
  }

  /** @returns those of `users` that have an account; at most 100 are asked for */
  async askFor(users: readonly UserId[]): Promise<UserId[]> {
    const query = { type: 'profiles' as const, users };
    const { profiles } = await this.#tabs.ask<{ profiles: PublicProfile[] }>({ type: 'query', query });
    this.#take(profiles);
    return profiles.map(({ user }) => user);
  }

  remarked(user: UserId, remark: string | undefined): void {
    if ((this.#remarks.value.get(user) ?? '') === (remark ?? '')) return;
    this.#remarks.value = new Map(this.#remarks.value).set(user, remark ?? '');
  }

  /** Asked again for all: names change, and nobody says so. */
  refresh(): void {
    const known = [...this.#asked];
    this.#asked.clear();
    for (const user of known) this.#want(user);
  }

  #want(user: UserId): void {
    this.#asked.add(user);
    this.#wanted.push(user);
    if (this.#wanted.length === 1) setTimeout(() => this.#ask(), ASK_AFTER_MS);
  }

  #ask(): void {
    const users = this.#wanted.splice(0, MAX_ASKED);
    if (this.#wanted.length > 0) setTimeout(() => this.#ask(), ASK_AFTER_MS);
    this.#tabs.ask<{ profiles: PublicProfile[] }>({ type: 'query', query: { type: 'profiles', users } }).then(
      ({ profiles }) => {
        this.#take(profiles);
        return this.#cache.putPeople(profiles);
      },
      () => {
        for (const user of users) this.#asked.delete(user);
      },
    );
  }

  #take(profiles: readonly PublicProfile[]): void {
    const now = new Map(this.#profiles.value);
    for (const profile of profiles) now.set(profile.user, profile);
    this.#profiles.value = now;
  }
}
