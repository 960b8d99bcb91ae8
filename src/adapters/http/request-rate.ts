import type { Rate } from '../../ports/api-keys.ts';

const MS_PER_SECOND = 1_000;

/** So many requests a second, and a burst after a pause: the next one's time is kept, nothing else (GCRA). */
export class RequestRate {
  readonly #intervalMs: number;
  readonly #burstMs: number;
  /** When all that was taken would be through at an even pace. */
  #throughAtMs = 0;

  constructor({ requestsPerSecond, burst }: Rate) {
    this.#intervalMs = MS_PER_SECOND / requestsPerSecond;
    this.#burstMs = (burst - 1) * this.#intervalMs;
  }

  /**
   * @param nowMs monotonic
   * @returns milliseconds to wait; 0: it was taken
   */
  take(nowMs: number): number {
    const waitMs = this.#throughAtMs - this.#burstMs - nowMs;
    if (waitMs > 0) return Math.ceil(waitMs);
    this.#throughAtMs = Math.max(this.#throughAtMs, nowMs) + this.#intervalMs;
    return 0;
  }
}
