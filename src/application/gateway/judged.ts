/**
 * Sending and commands for who has no inbox: over HTTP the answer is the fold's own, in the order of the log. What the gateway
 * let through on a view that was stale, the fold may refuse; on a WebSocket that comes back as `rejected`, here it is the answer.
 */
import type { MessageContent } from '../../domain/conversation.ts';
import { type ClientMsgId, type ConversationId, directConversationId, type UserId } from '../../domain/ids.ts';
import type { Appended } from '../../ports/conversation-log.ts';
import type { ConversationViews } from '../../ports/conversation-views.ts';
import { isOwnAccountCommand } from '../../protocol/account-frames.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Command } from '../../protocol/frames.ts';
import { type Address, type Conversations, refused, type Sent } from './conversations.ts';
import type { Requests } from './requests.ts';
import { conversationOf } from './send-order.ts';

/** How long the worker may take to fold what was appended; then the answer is `pending`. */
const VERDICT_WITHIN_MS = 2_000;
/** Between two looks, doubled each time up to the second: an idle worker has folded within some milliseconds. */
const FIRST_LOOK_PAUSE_MS = 4;
const LAST_LOOK_PAUSE_MS = 256;

export interface Pending {
  /** It stands in the log, and nobody could tell in time what the fold makes of it: the same id again asks for that. */
  readonly pending?: true;
}

export interface JudgedParts {
  readonly conversations: Conversations;
  readonly requests: Requests;
  readonly views: ConversationViews;
  readonly monotonicMs: () => number;
}

export class Judged {
  readonly #parts: JudgedParts;

  constructor(parts: JudgedParts) {
    this.#parts = parts;
  }

  /**
   * First asks whether the message stands already: a retry may come too late for JetStream to know it.
   * @throws RookeryError with a refusal's code, REFUSED, or as ConversationLog.append
   */
  async send(by: UserId, id: ClientMsgId, address: Address, content: MessageContent): Promise<Sent & Pending> {
    const { conversations, views } = this.#parts;
    const target =
      address.to === undefined ? (address.conversation as ConversationId) : directConversationId(by, address.to);
    const view = await views.fetch(target, { about: [by], intended: { by, id } });
    if (view?.seenAt !== undefined) return conversations.sent(target, { pos: view.seenAt, duplicate: true });
    const sent = await conversations.send(by, id, address, content);
    return { ...sent, ...(await this.#judged(target, by, id, sent)) };
  }

  /** @throws RookeryError as `Requests.command`, and as the fold refuses */
  async command(by: UserId, id: ClientMsgId, command: Command): Promise<Appended & Pending> {
    const done = await this.#parts.requests.command(by, id, command);
    const target = conversationOf({ t: 'command', id: 0, clientMsgId: id, command }, by);
    // An account's own changes are decided where they are written.
    if (target === undefined || isOwnAccountCommand(command)) return done;
    const isMark = command.type === 'markRead' || command.type === 'markDelivered';
    return this.#judged(target, by, id, done, isMark);
  }

  /** @param isMark a mark leaves nothing to know it again by: it is refused, or it is not */
  async #judged(
    conversation: ConversationId,
    by: UserId,
    id: ClientMsgId,
    { pos, duplicate }: Appended,
    isMark = false,
  ): Promise<Appended & Pending> {
    const { views, monotonicMs } = this.#parts;
    const until = monotonicMs() + VERDICT_WITHIN_MS;
    for (let pauseMs = FIRST_LOOK_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_LOOK_PAUSE_MS)) {
      const verdict = await views.verdict(conversation, { by, id, pos });
      if (verdict?.type === 'accepted' || (verdict?.type === 'forgotten' && isMark)) return { pos, duplicate };
      if (verdict?.type === 'duplicate') return { pos: verdict.original, duplicate: true };
      if (verdict?.type === 'refused') throw refused(verdict.code);
      if (verdict) throw new RookeryError('REFUSED', 'refused: why is not known any more');
      if (monotonicMs() + pauseMs > until) return { pos, duplicate, pending: true };
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
