/** Confirmed cursors in the KV bucket `cursors`: at most one write a device in a while, however often it confirms. */
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import type { DeviceId, UserId } from '../../../domain/ids.ts';
import type { DeviceCursors } from '../../../ports/device-cursors.ts';
import type { Log } from '../../../ports/log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import type { Cursor } from '../../../protocol/frames.ts';
import { tokenOf } from '../../../protocol/subjects.ts';

const WRITE_EVERY_MS = 5_000;
/** Devices with an unwritten confirm; beyond it a confirm is dropped: the device confirms again. */
const MAX_PENDING = 100_000;
/** Writes under way at the same time. */
const MAX_WRITES = 64;

export class JetstreamDeviceCursors implements DeviceCursors {
  readonly #kv: KV;
  readonly #log: Log;
  readonly #pending = new Map<string, Cursor>();
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;

  static async open(nc: NatsConnection, log: Log): Promise<JetstreamDeviceCursors> {
    return new JetstreamDeviceCursors(await new Kvm(nc).open('cursors'), log);
  }

  private constructor(kv: KV, log: Log) {
    this.#kv = kv;
    this.#log = log;
    this.#timer = setInterval(() => this.#flush(), WRITE_EVERY_MS);
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async get(user: UserId, device: DeviceId): Promise<Cursor | undefined> {
    try {
      const entry = await this.#kv.get(keyOf(user, device));
      return entry?.operation === 'PUT' ? entry.json<Cursor>() : undefined;
    } catch (cause) {
      throw new RookeryError('LOG_UNAVAILABLE', 'cannot read the cursors', { cause });
    }
  }

  confirm(user: UserId, device: DeviceId, cursor: Cursor): void {
    const key = keyOf(user, device);
    const pending = this.#pending.get(key);
    const isOlder = pending?.epoch === cursor.epoch && pending.seq >= cursor.seq;
    if (!isOlder && (pending || this.#pending.size < MAX_PENDING)) this.#pending.set(key, cursor);
  }

  async drain(): Promise<void> {
    clearInterval(this.#timer);
    // What was confirmed while a write was under way is not in that one.
    await this.#flush();
    await this.#flush();
  }

  #flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    return this.#writing;
  }

  /** Stops at the first portion that fails: what it leaves is written next time, or confirmed anew. */
  async #write(): Promise<void> {
    const batch = [...this.#pending];
    for (let i = 0; i < batch.length; i += MAX_WRITES) {
      const portion = batch.slice(i, i + MAX_WRITES);
      const results = await Promise.allSettled(portion.map((entry) => this.#put(entry)));
      const failed = results.find((result) => result.status === 'rejected');
      if (!failed) continue;
      this.#log.warn({ what: 'cursors not stored', reason: String(failed.reason) });
      for (const [key] of portion) this.#putBack(key);
      return;
    }
  }

  async #put([key, cursor]: [string, Cursor]): Promise<void> {
    await this.#kv.put(key, JSON.stringify(cursor));
    if (this.#pending.get(key) === cursor) this.#pending.delete(key);
  }

  /** To the end of the line, so that one that can never be written does not keep all others from it. */
  #putBack(key: string): void {
    const cursor = this.#pending.get(key);
    if (!cursor) return;
    this.#pending.delete(key);
    this.#pending.set(key, cursor);
  }
}

/** KV keys know no `~`; `=` is in none of our tokens. */
const keyOf = (user: UserId, device: DeviceId): string => `${tokenOf(user)}.${tokenOf(device)}`.replaceAll('~', '=');
