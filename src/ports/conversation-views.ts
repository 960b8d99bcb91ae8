/** A gateway's view of conversations: asked of the lane's fan-out worker, possibly stale, possibly not to be had. */
import type { Conversation } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';

export interface View {
  /** Of a large group its roster knows but a few beside the users that were asked about: `isPartial`. */
  readonly conversation: Conversation;
  readonly memberCount: number;
  readonly isPartial: boolean;
  /** Position of the conversation's last state event, refused ones included; 0 for none: for the optimistic lock. */
  readonly statePos: number;
  /** Position of the event that was asked about, if the log has it already: then a refusal is no answer to its retry. */
  readonly seenAt?: number;
}

export interface Asked {
  /** Users whose place in the conversation must be told, whatever its size. */
  readonly about: readonly UserId[];
  /** So many of its first members are wanted besides; of a small one all are told. */
  readonly members?: number;
  readonly intended?: Intended;
}

/** The event a gateway is about to append. */
export interface Intended {
  readonly by: UserId;
  readonly id: ClientMsgId;
}

export interface ConversationViews {
  /** Undefined when no worker answers in time. @throws nothing */
  fetch(conversation: ConversationId, asked: Asked): Promise<View | undefined>;
  /** Calls back with each conversation whose roster changed, as far as the network lets through. */
  onChange(changed: (conversation: ConversationId) => void): void;
}

/** What the worker knows: all of it. */
export type FoldedView = Pick<View, 'conversation' | 'statePos' | 'seenAt'>;

/** The worker's side. */
export interface ViewServer {
  /** Answers requests with what `view` gives, until `stop`. */
  serve(
    lane: number,
    view: (conversation: ConversationId, intended?: Intended) => FoldedView,
  ): Promise<{ stop(): Promise<void> }>;
  announceChange(conversation: ConversationId): void;
}
