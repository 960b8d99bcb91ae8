/** The API keys in force: whose key came with a request, and whether it may come now. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '../../ports/api-keys.ts';
import type { Clock } from '../../ports/clock.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { RequestRate } from './request-rate.ts';

interface Held {
  readonly key: ApiKey;
  readonly hash: Buffer;
  readonly rate: RequestRate | undefined;
}

export interface KeyRingParts {
  readonly clock: Clock;
  readonly monotonicMs: () => number;
}

export class KeyRing {
  readonly #parts: KeyRingParts;
  #held: readonly Held[] = [];

  constructor(parts: KeyRingParts) {
    this.#parts = parts;
  }

  /** In place of those before. What a key has used of its rate stays with it. */
  replace(keys: readonly ApiKey[]): void {
    const before = new Map(this.#held.map((held) => [held.key.name, held]));
    this.#held = keys.map((key) => {
      const known = before.get(key.name);
      const isSameRate = JSON.stringify(known?.key.rate) === JSON.stringify(key.rate);
      const rate = isSameRate && known ? known.rate : key.rate && new RequestRate(key.rate);
      return { key, hash: Buffer.from(key.hash, 'base64url'), rate };
    });
  }

  /**
   * Every key is compared, each in constant time: how long it takes tells neither which one fits nor how far.
   * @returns undefined for what is no key of ours
   * @throws RookeryError TOKEN_EXPIRED, RATE_LIMITED
   */
  admit(credential: string): ApiKey | undefined {
    const hash = hashOf(credential);
    const found = this.#held.filter((held) => held.hash.length === hash.length && timingSafeEqual(held.hash, hash))[0];
    if (!found) return undefined;
    const { key, rate } = found;
    const { clock, monotonicMs } = this.#parts;
    if (key.expiresAt !== 0 && key.expiresAt <= clock.nowMs())
      throw new RookeryError('TOKEN_EXPIRED', `the API key ${key.name} has expired`);
    const waitMs = rate?.take(monotonicMs()) ?? 0;
    if (waitMs > 0)
      throw new RookeryError('RATE_LIMITED', `too many requests with the API key ${key.name}`, {
        retryAfterMs: waitMs,
      });
    return key;
  }
}

const hashOf = (credential: string): Buffer => createHash('sha256').update(credential).digest();
