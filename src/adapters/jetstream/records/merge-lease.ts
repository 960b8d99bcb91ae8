/**
 * One merge at a time into a target: a key in the KV bucket `leases`, renewed by compare-and-set on its revision. A merge knows the ids
 * that were there when it began; of two at once each would think that what the other is about to store is not there.
 *
 * Whoever holds it may be paused, or sleep with its machine, and wake up when another has gone on long since: so each portion is sent
 * only while the last renewal is fresh, and else not before the server has said that nobody else came between.
 */
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { answered, isWrongLastSequence } from '../answered.ts';
import { SILENT_MS } from '../between-processes/leases.ts';

const RENEW_EVERY_MS = 500;
/** From when it was asked for a renewal is believed for so long: another takes over no sooner than `SILENT_MS`. */
const FRESH_MS = 1_500;
const LOOK_EVERY_MS = 100;
/** The server does not say for so long whether the lease is still held: the log is not available. */
const SILENCE_MS = 10_000;

interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export class MergeLease {
  readonly #kv: KV;
  readonly #name: string;
  readonly #owner: string;
  #revision: number;
  #renewed: Moment;
  #isLost = false;
  #renewing: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;

  private constructor(kv: KV, name: string, owner: string, revision: number, renewed: Moment) {
    this.#kv = kv;
    this.#name = name;
    this.#owner = owner;
    this.#revision = revision;
    this.#renewed = renewed;
    this.#timer = setInterval(() => void this.#renew(), RENEW_EVERY_MS);
  }

  /**
   * One whose holder was killed is free when it has been silent for `SILENT_MS`: so long this waits.
   * @param target the stream that is merged into; undefined: the log
   * @returns undefined where it was stopped
   * @throws RookeryError ALREADY_RUNNING, with who holds it; STREAM_MISSING, LOG_UNAVAILABLE
   */
  static async take(
    { nc, jsm }: { nc: NatsConnection; jsm: JetStreamManager },
    stop: AbortSignal,
    target?: string,
  ): Promise<MergeLease | undefined> {
    await answered('KV_leases', jsm.streams.info('KV_leases'));
    const kv = await answered('KV_leases', new Kvm(nc).open('leases'));
    const name = target === undefined ? 'merge' : `merge.${target}`;
    const owner = JSON.stringify({ ...us(), id: crypto.randomUUID() });
    let [first, sinceMs]: [number | undefined, number] = [undefined, 0];
    while (!stop.aborted) {
      const entry = await answered('KV_leases', kv.get(name));
      const isHeld = entry?.operation === 'PUT';
      if (isHeld && first !== undefined && entry.revision !== first) throw heldBy(entry);
      if (first === undefined) [first, sinceMs] = [entry?.revision ?? 0, performance.now()];
      if (!isHeld || performance.now() - sinceMs > SILENT_MS) {
        const asked = now();
        const revision = await answered('KV_leases', put(kv, name, owner, entry?.revision ?? 0));
        if (revision !== undefined) return new MergeLease(kv, name, owner, revision, asked);
      }
      await wait(LOOK_EVERY_MS);
    }
    return undefined;
  }

  /** Whether nobody else can have taken it. By both clocks: one stands still while a machine sleeps, the other may be set. */
  get isFresh(): boolean {
    const { monotonicMs, wallMs } = now();
    const passedMs = Math.max(monotonicMs - this.#renewed.monotonicMs, Math.abs(wallMs - this.#renewed.wallMs));
    return !this.#isLost && passedMs < FRESH_MS;
  }

  /** Resolves when it is fresh. @throws RookeryError CONFLICT where another took it meanwhile; LOG_UNAVAILABLE */
  async assured(): Promise<void> {
    const askedMs = performance.now();
    while (!this.isFresh) {
      if (this.#isLost) throw lost();
      if (performance.now() - askedMs > SILENCE_MS)
        throw new RookeryError('LOG_UNAVAILABLE', `whether the merge may go on was not told for ${SILENCE_MS} ms`);
      await this.#renew();
      if (!this.isFresh && !this.#isLost) await wait(LOOK_EVERY_MS);
    }
  }

  /** What went wrong, as it is told where another has taken it meanwhile: all else follows from that. */
  async reasonFor(thrown: unknown): Promise<unknown> {
    if (!this.#isLost && !this.isFresh) await this.#renew();
    return this.#isLost ? lost() : thrown;
  }

  /** The next may have it at once. */
  async release(): Promise<void> {
    this.lapse();
    await this.#renewing;
    if (!this.#isLost) await this.#kv.delete(this.#name, { previousSeq: this.#revision }).catch(() => undefined);
  }

  /** The next has it after a silence: what is on its way is stored by then. */
  lapse(): void {
    clearInterval(this.#timer);
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #renewOnce(): Promise<void> {
    const asked = now();
    try {
      this.#revision = await this.#kv.put(this.#name, this.#owner, { previousSeq: this.#revision });
      this.#renewed = asked;
    } catch {
      const entry = await this.#kv.get(this.#name).catch(() => undefined);
      // Our own write whose answer was lost, or somebody else's; or it is of before our last.
      if (!entry || entry.revision <= this.#revision) return;
      if (entry.operation === 'PUT' && entry.string() === this.#owner) this.#revision = entry.revision;
      else this.#isLost = true;
    }
  }
}

/** Undefined where somebody else was first. */
async function put(kv: KV, name: string, owner: string, previousSeq: number): Promise<number | undefined> {
  try {
    return await kv.put(name, owner, { previousSeq });
  } catch (thrown) {
    if (thrown instanceof JetStreamApiError && isWrongLastSequence(thrown.code)) return undefined;
    throw thrown;
  }
}

const now = (): Moment => ({ monotonicMs: performance.now(), wallMs: Date.now() });

const us = () => ({ host: hostname(), process: process.pid, since: new Date().toISOString() });

const lost = (): RookeryError =>
  new RookeryError(
    'CONFLICT',
    'this merge was silent, and another one has gone on meanwhile: run it again when that is done',
  );

function heldBy(entry: KvEntry): RookeryError {
  let who = '';
  try {
    const { host, process, since } = entry.json<ReturnType<typeof us>>();
    who = `: process ${Number(process)} on ${JSON.stringify(host)}, since ${new Date(since).toISOString()}`;
  } catch {}
  return new RookeryError('ALREADY_RUNNING', `another merge into the same log goes on${who}; nothing was changed`);
}
