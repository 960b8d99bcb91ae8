/** Who is writing, over core NATS: the recipients go with it, so that no other gateway needs to know the conversation. */
import type { NatsConnection } from '@nats-io/nats-core';
import type { TypingNews, Writing } from '../../../ports/typing-news.ts';
import { packr } from '../../../protocol/messagepack.ts';
import { TYPING_SUBJECT } from '../../../protocol/subjects.ts';

export class JetstreamTypingNews implements TypingNews {
  readonly #nc: NatsConnection;
  readonly #isConnected: () => boolean;

  constructor(nc: NatsConnection, isConnected: () => boolean) {
    this.#nc = nc;
    this.#isConnected = isConnected;
  }

  announce({ conversation, user, to }: Writing): void {
    if (!this.#isConnected() || this.#nc.isClosed() || this.#nc.isDraining()) return;
    this.#nc.publish(TYPING_SUBJECT, packr.pack([conversation, user, to]));
  }

  onAnnounced(heard: (writing: Writing) => void): void {
    this.#nc.subscribe(TYPING_SUBJECT, {
      callback: (error, message) => {
        if (error) return;
        const [conversation, user, to] = packr.unpack(message.data) as [
          Writing['conversation'],
          Writing['user'],
          Writing['to'],
        ];
        heard({ conversation, user, to });
      },
    });
  }
}
