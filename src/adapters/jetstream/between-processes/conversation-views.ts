/** Views of conversations over core NATS: a gateway asks the lane's worker, a worker announces what changed. */
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import type { ConversationId } from '../../../domain/ids.ts';
import type {
  Asked,
  ConversationViews,
  Stored,
  Verdict,
  View,
  ViewServer,
  Views,
} from '../../../ports/conversation-views.ts';
import type { Log } from '../../../ports/log.ts';
import {
  decodeVerdict,
  decodeView,
  decodeViewRequest,
  encodeVerdict,
  encodeView,
  encodeViewRequest,
  type ViewRequest,
} from '../../../protocol/conversation-codec.ts';
import {
  convStreamOf,
  idOfToken,
  NOTICE_WILDCARD,
  noticeSubject,
  type Topology,
  viewSubject,
} from '../../../protocol/subjects.ts';

/** Beyond it the gateway decides without a view and leaves the decision to the fold. */
const ANSWER_WITHIN_MS = 50;
/** A gateway's clock may be so far behind ours before its requests count as late. */
const MAX_CLOCK_SKEW_MS = 5_000;

export class JetstreamConversationViews implements ConversationViews {
  readonly #nc: NatsConnection;
  readonly #topology: Topology;
  readonly #listeners: ((id: ConversationId) => void)[] = [];

  constructor(nc: NatsConnection, topology: Topology) {
    this.#nc = nc;
    this.#topology = topology;
  }

  async fetch(id: ConversationId, { about, members = 0, intended }: Asked): Promise<View | undefined> {
    // Field by field: what is intended is the whole event, body and all.
    const event = intended && { intended: { by: intended.by, id: intended.id } };
    return this.#ask({ conversation: id, about, members, ...event }, decodeView);
  }

  async verdict(id: ConversationId, { by, id: event, pos }: Stored): Promise<Verdict | undefined> {
    return this.#ask({ conversation: id, about: [], stored: { by, id: event, pos } }, decodeVerdict);
  }

  async #ask<T>(asked: Omit<ViewRequest, 'until'>, decode: (data: Uint8Array) => T): Promise<T | undefined> {
    try {
      const subject = viewSubject(convStreamOf(asked.conversation, this.#topology));
      const request = encodeViewRequest({ ...asked, until: Date.now() + ANSWER_WITHIN_MS });
      return decode((await this.#nc.request(subject, request, { timeout: ANSWER_WITHIN_MS })).data);
    } catch {
      return undefined;
    }
  }

  onChange(changed: (id: ConversationId) => void): void {
    if (this.#listeners.push(changed) > 1) return;
    this.#nc.subscribe(NOTICE_WILDCARD, {
      callback: (error, message) => {
        if (error) return;
        const id = idOfToken(message.subject.slice(message.subject.indexOf('.') + 1)) as ConversationId;
        for (const listener of this.#listeners) listener(id);
      },
    });
  }
}

export class JetstreamViewServer implements ViewServer {
  readonly #nc: NatsConnection;
  readonly #log: Log;

  constructor(nc: NatsConnection, log: Log) {
    this.#nc = nc;
    this.#log = log;
  }

  async serve(lane: number, views: Views): Promise<{ stop(): Promise<void> }> {
    const subscription = this.#nc.subscribe(viewSubject(lane), {
      callback: (error, message) => {
        if (!error) this.#answer(message, views);
      },
    });
    return { stop: async () => subscription.unsubscribe() };
  }

  /** What a callback throws would end the connection's reader: whoever cannot be answered goes on without a view. */
  #answer(message: Msg, views: Views): void {
    try {
      const { conversation, until, intended, stored, ...asked } = decodeViewRequest(message.data);
      // Under load requests pile up that nobody waits for any more: answering them would make it worse.
      if (until < Date.now() - MAX_CLOCK_SKEW_MS) return;
      message.respond(
        stored
          ? encodeVerdict(views.verdict(conversation, stored))
          : encodeView(views.view(conversation, intended), asked),
      );
    } catch (error) {
      this.#log.warn({ what: 'view not answered', reason: String(error) });
    }
  }

  announceChange(id: ConversationId): void {
    this.#nc.publish(noticeSubject(id));
  }
}
