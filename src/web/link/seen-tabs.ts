/**
 * Whether any tab of a user in this browser is looked at. A tab that is holds a lock together with the others: where it is killed,
 * the browser lets go of it.
 */
type Locks = Pick<LockManager, 'request' | 'query'>;

export class SeenTabs {
  readonly #locks: Locks;
  readonly #name: string;
  #release: AbortController | undefined;

  constructor(locks: Locks, name: string) {
    this.#locks = locks;
    this.#name = `${name} seen`;
  }

  /** This tab is looked at, or is not any more. */
  turn(isSeen: boolean): void {
    if (isSeen === (this.#release !== undefined)) return;
    this.#release?.abort();
    this.#release = isSeen ? new AbortController() : undefined;
    if (this.#release) this.#hold(this.#release.signal);
  }

  async isAnySeen(): Promise<boolean> {
    const { held = [] } = await this.#locks.query();
    return held.some(({ name }) => name === this.#name);
  }

  #hold(signal: AbortSignal): void {
    const until = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    // Given up before it was had: nobody looks any more.
    this.#locks.request(this.#name, { mode: 'shared', signal }, () => until).catch(() => undefined);
  }
}
