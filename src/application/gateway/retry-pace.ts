/**
 * What the refused are told to wait. Each bound names the time in which it will be free again, as if one came back; when all come
 * back at once, most are refused again, and a gateway that is busy refusing takes less than it could. So the time doubles while
 * more is refused than taken, and halves when that is over. Clients that follow it are as many as can be taken, whatever they do
 * beside it.
 */
const PERIOD_MS = 250;
const MIN_MS = 50;
/**
 * Below what a refused request's place in its conversation is kept for (`SendOrder`), spread included; and after the end of an
 * overload nobody waits longer.
 */
const MAX_MS = 2_000;
/** Of a golden ratio: however many draw from it, they lie evenly spread. */
const STEP = (Math.sqrt(5) - 1) / 2;

export class RetryPace {
  readonly #monotonicMs: () => number;
  #paceMs = 0;
  #since: number;
  #taken = 0;
  #refused = 0;
  #drawn = 0;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#since = monotonicMs();
  }

  /** Of one client, 1 to 2, for good: those who were refused together come back one after the other, each in its own order. */
  spread(): number {
    this.#drawn = (this.#drawn + STEP) % 1;
    return 1 + this.#drawn;
  }

  /** Hot path. */
  taken(): void {
    this.#taken += 1;
  }

  /** @returns what to tell one whom a bound has told to wait `retryAfterMs` */
  refused(retryAfterMs: number, spread: number): number {
    this.#refused += 1;
    this.#review();
    return Math.ceil(Math.max(retryAfterMs, this.#paceMs * spread));
  }

  #review(): void {
    const passedMs = this.#monotonicMs() - this.#since;
    if (passedMs < PERIOD_MS) return;
    // In a period that nobody has looked at nobody was refused.
    const periods = Math.min(30, Math.floor(passedMs / PERIOD_MS));
    const grows = periods === 1 && this.#refused > this.#taken;
    this.#paceMs = grows ? Math.min(MAX_MS, Math.max(MIN_MS, 2 * this.#paceMs)) : this.#paceMs / 2 ** periods;
    if (this.#paceMs < MIN_MS) this.#paceMs = 0;
    this.#since += passedMs;
    this.#taken = 0;
    this.#refused = 0;
  }
}
