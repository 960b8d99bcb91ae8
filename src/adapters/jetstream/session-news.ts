/** Session news over core NATS. */
import type { NatsConnection } from '@nats-io/nats-core';
import type { DeviceId, UserId } from '../../domain/ids.ts';
import type { SessionNews, SessionOpened } from '../../ports/session-news.ts';
import { idOfToken, SESSION_WILDCARD, sessionSubject } from '../../protocol/subjects.ts';

export class JetstreamSessionNews implements SessionNews {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  announce({ user, device, session, openedAt }: SessionOpened): void {
    if (!this.#nc.isClosed()) this.#nc.publish(sessionSubject(user, device), `${openedAt} ${session}`);
  }

  onAnnounced(heard: (opened: SessionOpened) => void): void {
    this.#nc.subscribe(SESSION_WILDCARD, {
      callback: (error, message) => {
        if (error) return;
        const [, user = '', device = ''] = message.subject.split('.');
        const [openedAt = '', session = ''] = message.string().split(' ');
        heard({
          user: idOfToken(user) as UserId,
          device: idOfToken(device) as DeviceId,
          session,
          openedAt: Number(openedAt),
        });
      },
    });
  }
}
