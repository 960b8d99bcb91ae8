/** Whom the tabs of a user want to be told of, as one set: the connection has no more. Pure. */
import type { UserId } from '../../sdk/index.ts';

/** As many as the server takes of a session. */
export const MAX_WATCHED = 256;
/** Tabs that are remembered: one that was killed has not said that it shows nobody any more. */
export const MAX_WATCHING_TABS = 16;

export class Watched {
  /** Who has spoken last comes last. */
  readonly #tabs = new Map<string, readonly UserId[]>();

  /** @returns everybody whom some tab shows; where they are too many, those of the tabs that spoke last */
  shows(tab: string, users: readonly UserId[]): UserId[] {
    this.#tabs.delete(tab);
    if (users.length > 0) this.#tabs.set(tab, users);
    for (const oldest of this.#tabs.keys()) if (this.#tabs.size > MAX_WATCHING_TABS) this.#tabs.delete(oldest);
    const all = [...this.#tabs.values()].reverse().flat();
    return [...new Set(all)].slice(0, MAX_WATCHED);
  }
}
