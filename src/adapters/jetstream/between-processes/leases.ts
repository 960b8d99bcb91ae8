/**
 * Leases in the KV bucket `leases`: one key each, renewed by compare-and-set on its revision. Nobody compares clocks: a
 * holder counts as silent when its key has not changed for a while by the observer's own monotonic clock.
 */
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import type { Lease, Leases } from '../../../ports/leases.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';

const RENEW_EVERY_MS = 700;
/** A holder whose key has not changed for so long is taken to be gone. */
export const SILENT_MS = 2_500;
/** A holder that could not renew for so long gives up by itself, before another takes over. */
const GIVE_UP_MS = 2_000;
/** After it a holder whose lease was taken has renewed in vain, or given up. */
export const HOLDER_KNOWS_WITHIN_MS = GIVE_UP_MS;
/** A renewal may come between reading and taking. */
const MAX_TAKING_ATTEMPTS = 10;

interface Seen {
  readonly revision: number;
  readonly since: number;
}

export class JetstreamLeases implements Leases {
  readonly #kv: KV;
  readonly #seen = new Map<string, Seen>();

  static async open(nc: NatsConnection): Promise<JetstreamLeases> {
    return new JetstreamLeases(await new Kvm(nc).open('leases'));
  }

  private constructor(kv: KV) {
    this.#kv = kv;
  }

  async tryAcquire(name: string, owner: string): Promise<Lease | undefined> {
    const entry = await this.#kv.get(name);
    // Our own from before an interruption is taken up again at once.
    const isFree = entry?.operation !== 'PUT' || entry.string() === owner || this.#isSilent(name, entry);
    if (!isFree) return undefined;
    const revision = await this.#put(name, owner, entry?.revision ?? 0);
    if (revision === undefined) return undefined;
    this.#seen.delete(name);
    return this.#hold(name, owner, revision);
  }

  /**
   * Takes it from whoever holds it, for an operator's short work. The holder finds out by its next renewal (`HOLDER_KNOWS_WITHIN_MS`)
   * and may work on until then: what must not happen meanwhile needs a fence of its own, as a term is.
   * @throws RookeryError CONFLICT when it cannot be had
   */
  async take(name: string, owner: string): Promise<Lease> {
    for (let attempt = 0; attempt < MAX_TAKING_ATTEMPTS; attempt++) {
      const entry = await this.#kv.get(name);
      const revision = await this.#put(name, owner, entry?.revision ?? 0);
      if (revision !== undefined) return this.#hold(name, owner, revision);
    }
    throw new RookeryError('CONFLICT', `the lease ${name} changes hands all the time`);
  }

  #isSilent(name: string, { revision }: KvEntry): boolean {
    const seen = this.#seen.get(name);
    if (seen?.revision !== revision) {
      this.#seen.set(name, { revision, since: performance.now() });
      return false;
    }
    return performance.now() - seen.since > SILENT_MS;
  }

  /** The new revision, or undefined where another one was faster. */
  async #put(name: string, owner: string, revision: number): Promise<number | undefined> {
    try {
      return await this.#kv.put(name, owner, { previousSeq: revision });
    } catch {
      return undefined;
    }
  }

  #hold(name: string, owner: string, firstRevision: number): Lease {
    const lost = new AbortController();
    let revision = firstRevision;
    let renewedAt = performance.now();
    let renewing: Promise<void> | undefined;
    const renew = async (): Promise<void> => {
      const next = await this.#put(name, owner, revision);
      if (next === undefined) {
        const entry = await this.#kv.get(name).catch(() => undefined);
        // Our own write whose answer was lost, or somebody else's.
        if (entry && entry.revision !== revision && entry.string() !== owner) lost.abort();
        else if (entry) revision = entry.revision;
      } else {
        revision = next;
        renewedAt = performance.now();
      }
      if (performance.now() - renewedAt > GIVE_UP_MS) lost.abort();
    };
    const timer = setInterval(() => {
      renewing ??= renew().finally(() => (renewing = undefined));
      if (performance.now() - renewedAt > GIVE_UP_MS) lost.abort();
    }, RENEW_EVERY_MS);
    lost.signal.addEventListener('abort', () => clearInterval(timer));
    return {
      lost: lost.signal,
      release: async () => {
        clearInterval(timer);
        await renewing;
        if (!lost.signal.aborted) await this.#kv.delete(name, { previousSeq: revision }).catch(() => undefined);
      },
    };
  }
}
