/**
 * Publishes while a lease is held, and nothing behind its end. What is given waits in packs; right before one goes to the kernel it is
 * looked whether the lease still is, and none goes before the kernel has taken all of the one before: so a process that is paused at
 * whatever moment, and wakes up when another has the lease, has nothing left under way but a pack in the middle of that. (What the kernel
 * had taken is sent meanwhile. Where the machine slept as well it comes late, and is not stored: the server forgets a batch after ten seconds
 * without a message, and knows ids for thirty.)
 */
import type { Socket } from 'node:net';
import type { NatsConnection, PublishOptions } from '@nats-io/nats-core';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { PackedPublishing } from '../messages/packed-publishing.ts';
import type { MergeLease } from './merge-lease.ts';

/** As every connection of nats.js over TCP has; its interface does not tell. */
interface Connected {
  readonly protocol: { readonly transport: { readonly socket?: Socket } };
}

export class LeasedPublishing extends PackedPublishing {
  /** Of this connection, and not of the next: what nats.js keeps for that one is sent whenever it comes. */
  readonly #socket: Socket | undefined;
  readonly #lease: Pick<MergeLease, 'isFresh' | 'assured'>;
  readonly #onFailed: (reason: unknown) => void;
  /** Bounded by whoever gives: by what is unanswered. */
  #waiting: Buffer[] = [];
  #isSending = false;
  #isAsked = false;
  #isStopped = false;

  /** @param onFailed told once: nothing more is sent then */
  constructor(nc: NatsConnection, lease: Pick<MergeLease, 'isFresh' | 'assured'>, onFailed: (reason: unknown) => void) {
    super(nc);
    this.#socket = (nc as unknown as Connected).protocol.transport.socket;
    this.#lease = lease;
    this.#onFailed = onFailed;
  }

  override publish(subject: string, data: Uint8Array, options: PublishOptions): void {
    super.publish(subject, data, options);
    if (this.#isAsked) return;
    this.#isAsked = true;
    // Nothing stays when its turn is over.
    setImmediate(() => {
      this.#isAsked = false;
      this.sendAll();
    });
  }

  /** What has not left stays. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
  }

  protected override leave(bytes: Buffer): void {
    if (this.#isStopped) return;
    this.#waiting.push(bytes);
    if (this.#isSending) return;
    this.#isSending = true;
    this.#sendWaiting().catch((reason: unknown) => {
      this.stop();
      this.#onFailed(reason);
    });
  }

  /** The first one at once, where nothing stands against it. */
  async #sendWaiting(): Promise<void> {
    for (let next = this.#waiting.shift(); next && !this.#isStopped; next = this.#waiting.shift()) {
      const socket = this.#socket;
      while (socket && !socket.destroyed && (socket.writableLength > 0 || !this.#lease.isFresh)) {
        if (socket.writableLength > 0) await taken(socket);
        else await this.#lease.assured();
      }
      if (!socket || socket.destroyed) throw new RookeryError('LOG_UNAVAILABLE', 'the connection was lost');
      if (!this.#isStopped) socket.write(next);
    }
    // In the same turn: what is given from now on begins anew.
    this.#isSending = false;
  }
}

/** Resolves when the kernel has all that was written; or the connection is gone. */
const taken = (socket: Socket): Promise<void> => new Promise((resolve) => socket.write('', () => resolve()));
