/** Views of conversations over core NATS: a gateway asks the lane's worker, a worker announces what changed. */
import type { NatsConnection } from '@nats-io/nats-core';
import type { ConversationId } from '../../domain/ids.ts';
import type { ConversationViews, Intended, View, ViewServer } from '../../ports/conversation-views.ts';
import { decodeView, decodeViewRequest, encodeView, encodeViewRequest } from '../../protocol/conversation-codec.ts';
import {
  convStreamOf,
  idOfToken,
  NOTICE_WILDCARD,
  noticeSubject,
  type Topology,
  viewSubject,
} from '../../protocol/subjects.ts';

/** Beyond it the gateway decides without a view and leaves the decision to the fold. */
const ANSWER_WITHIN_MS = 50;

export class JetstreamConversationViews implements ConversationViews {
  readonly #nc: NatsConnection;
  readonly #topology: Topology;

  constructor(nc: NatsConnection, topology: Topology) {
    this.#nc = nc;
    this.#topology = topology;
  }

  async fetch(id: ConversationId, intended?: Intended): Promise<View | undefined> {
    try {
      const subject = viewSubject(convStreamOf(id, this.#topology));
      // Field by field: what is intended is the whole event, body and all.
      const asked = intended && { by: intended.by, id: intended.id };
      const request = encodeViewRequest({ conversation: id, ...(asked && { intended: asked }) });
      return decodeView((await this.#nc.request(subject, request, { timeout: ANSWER_WITHIN_MS })).data);
    } catch {
      return undefined;
    }
  }

  onChange(changed: (id: ConversationId) => void): void {
    this.#nc.subscribe(NOTICE_WILDCARD, {
      callback: (error, message) => {
        if (!error) changed(idOfToken(message.subject.slice(message.subject.indexOf('.') + 1)) as ConversationId);
      },
    });
  }
}

export class JetstreamViewServer implements ViewServer {
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  async serve(
    lane: number,
    view: (id: ConversationId, intended?: Intended) => View,
  ): Promise<{ stop(): Promise<void> }> {
    const subscription = this.#nc.subscribe(viewSubject(lane), {
      callback: (error, message) => {
        if (error) return;
        const { conversation, intended } = decodeViewRequest(message.data);
        message.respond(encodeView(view(conversation, intended)));
      },
    });
    return { stop: async () => subscription.unsubscribe() };
  }

  announceChange(id: ConversationId): void {
    this.#nc.publish(noticeSubject(id));
  }
}
