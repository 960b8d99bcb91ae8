/**
 * Who of those on the screen is online, or was last seen when. Each place that shows somebody says so, and says when it does no
 * more: the connection is asked for these people alone, by tabs that are seen.
 */
import { signal } from '@preact/signals';
import type { SeenUser, UserId } from '../../sdk/index.ts';
import type { Tabs } from '../link/tabs.ts';

/** People asked for at a time; who came onto the screen last goes before. The server takes no more of a session. */
export const MAX_SHOWN = 256;
/** Who comes onto the screen at the same time is asked for together. */
const ASK_AFTER_MS = 100;

export class Presence {
  readonly #tabs: Pick<Tabs, 'ask'>;
  /** Names this tab among those that share the connection. */
  readonly #tab = crypto.randomUUID();
  readonly #seen = signal<ReadonlyMap<UserId, SeenUser>>(new Map());
  /** In how many places each is on the screen; who came last comes last. */
  readonly #places = new Map<UserId, number>();
  #isVisible = true;
  #asking: Promise<void> | undefined;
  #isAskedAnew = false;

  constructor(tabs: Pick<Tabs, 'ask'>) {
    this.#tabs = tabs;
  }

  /** For a component: drawn again when it changes. Undefined: not known, as long as nobody has told. */
  of(user: UserId): SeenUser | undefined {
    return this.#seen.value.get(user);
  }

  /** Somebody is on the screen. @returns to be called when they are no more */
  shows(user: UserId): () => void {
    const places = this.#places.get(user) ?? 0;
    this.#places.delete(user);
    this.#places.set(user, places + 1);
    if (places === 0) this.ask();
    let isShown = true;
    return () => {
      if (!isShown) return;
      isShown = false;
      const left = (this.#places.get(user) ?? 1) - 1;
      if (left > 0) {
        this.#places.set(user, left);
        return;
      }
      this.#places.delete(user);
      this.ask();
    };
  }

  /** A tab that nobody sees asks for nobody. */
  turn(isVisible: boolean): void {
    if (this.#isVisible === isVisible) return;
    this.#isVisible = isVisible;
    this.ask();
  }

  /** Of whom something is known now; what was known of people who are not on the screen is forgotten. */
  heard(presence: readonly SeenUser[]): void {
    const kept = [...this.#seen.peek()].filter(([user]) => this.#places.has(user));
    const told = presence.filter(({ user }) => this.#places.has(user)).map((one) => [one.user, one] as const);
    this.#seen.value = new Map([...kept, ...told]);
  }

  /** Without a connection nothing is known. */
  lost(): void {
    if (this.#seen.peek().size > 0) this.#seen.value = new Map();
  }

  /** Asks for those on the screen: also whenever another connection may not have heard of them. One question at a time. */
  ask(): void {
    this.#isAskedAnew = true;
    this.#asking ??= this.#askUntilTold().finally(() => {
      this.#asking = undefined;
      if (this.#isAskedAnew) this.ask();
    });
  }

  async #askUntilTold(): Promise<void> {
    // Who turns away may be gone before there is another turn.
    if (this.#isVisible) await new Promise((resolve) => setTimeout(resolve, ASK_AFTER_MS));
    this.#isAskedAnew = false;
    const users = this.#isVisible ? [...this.#places.keys()].slice(-MAX_SHOWN) : [];
    // Refused for good (a server that is older): nobody's presence is shown, and the next change asks again.
    await this.#tabs.ask({ type: 'watch', tab: this.#tab, users }).catch(() => undefined);
  }
}
