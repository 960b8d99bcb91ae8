/** What counts against somebody, over core NATS, with the gateway it comes from: each counts its own by itself. */
import type { NatsConnection } from '@nats-io/nats-core';
import { parseUserId } from '../../../domain/ids.ts';
import type { Counted, CountedNews } from '../../../ports/counted-news.ts';
import { packr } from '../../../protocol/messagepack.ts';
import { COUNTED_SUBJECT } from '../../../protocol/subjects.ts';

export class JetstreamCountedNews implements CountedNews {
  readonly #nc: NatsConnection;
  readonly #gateway: string;
  readonly #listeners: ((counted: Counted) => void)[] = [];

  /** @param gateway its name, another one for each process */
  constructor(nc: NatsConnection, gateway: string) {
    this.#nc = nc;
    this.#gateway = gateway;
    nc.subscribe(COUNTED_SUBJECT, {
      callback: (error, { data }) => {
        const counted = error ? undefined : this.#read(data);
        if (counted) for (const heard of this.#listeners) heard(counted);
      },
    });
  }

  announce(counted: Counted): void {
    if (this.#nc.isClosed() || this.#nc.isDraining()) return;
    const address = counted.type === 'contactRequest' ? undefined : counted.address;
    this.#nc.publish(COUNTED_SUBJECT, packr.pack([this.#gateway, counted.type, counted.user, address]));
  }

  onAnnounced(heard: (counted: Counted) => void): void {
    this.#listeners.push(heard);
  }

  /** Of another gateway, and of a version that says what this one knows; what a callback throws would end the connection's reader. */
  #read(data: Uint8Array): Counted | undefined {
    try {
      const [gateway, type, name, address] = packr.unpack(data) as unknown[];
      const user = parseUserId(name);
      if (gateway === this.#gateway || !user) return undefined;
      if ((type === 'guess' || type === 'loggedIn') && typeof address === 'string') return { type, user, address };
      return type === 'contactRequest' ? { type, user } : undefined;
    } catch {
      return undefined;
    }
  }
}
