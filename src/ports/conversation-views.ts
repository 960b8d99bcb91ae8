/** A gateway's view of conversations: asked of the lane's fan-out worker, possibly stale, possibly not to be had. */
import type { Conversation, RefusalCode } from '../domain/conversation.ts';
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

/** An event of the log, by its position and by what its sender knows of it. */
export interface Stored extends Intended {
  readonly pos: number;
}

/** What the fold has made of an event of the log. */
export type Verdict =
  | { readonly type: 'accepted' }
  /** It stood in the log before, at `original`. */
  | { readonly type: 'duplicate'; readonly original: number }
  | { readonly type: 'refused'; readonly code: RefusalCode | 'MESSAGE_ID_EXPIRED' }
  /** It is folded, was not accepted under its id, and why is remembered no more: a worker remembers its last refusals only. */
  | { readonly type: 'forgotten' };

export interface ConversationViews {
  /** Undefined when no worker answers in time. @throws nothing */
  fetch(conversation: ConversationId, asked: Asked): Promise<View | undefined>;
  /** Undefined while the worker has not folded so far, or none answers in time. @throws nothing */
  verdict(conversation: ConversationId, event: Stored): Promise<Verdict | undefined>;
  /** Calls back with each conversation whose roster changed, as far as the network lets through. */
  onChange(changed: (conversation: ConversationId) => void): void;
}

/** What the worker knows: all of it. */
export type FoldedView = Pick<View, 'conversation' | 'statePos' | 'seenAt'>;

export interface Views {
  view(conversation: ConversationId, intended?: Intended): FoldedView;
  verdict(conversation: ConversationId, event: Stored): Verdict | undefined;
}

/** The worker's side. */
export interface ViewServer {
  /** Answers requests with what `views` gives, until `stop`. */
  serve(lane: number, views: Views): Promise<{ stop(): Promise<void> }>;
  announceChange(conversation: ConversationId): void;
}
