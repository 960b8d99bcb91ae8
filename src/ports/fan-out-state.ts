/**
 * What a lane's fold knows: conversations, read marks, and the ids it has seen. Kept in memory as far as it is in use and
 * in one file per lane; the file is a cache of the log and may be deleted at any time.
 */
import type { Conversation } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';

/** A conversation as the fold has left it, with the position of its last state event, refused ones included. */
export interface FoldedConversation {
  readonly conversation: Conversation;
  readonly statePos: number;
}

/** What is remembered of an accepted event. */
export interface Seen {
  readonly pos: number;
  /** Index of a message that can still be edited or recalled; 0 for one that was recalled, and for what is no message. */
  readonly n: number;
  /** Milliseconds since 1970, in the log's time: from then on it may be forgotten. */
  readonly expiresAt: number;
}

/** An event that was accepted, remembered so that a retry makes no second one, and a message can be changed. */
export interface SeenEvent extends Seen {
  readonly conversation: ConversationId;
  readonly by: UserId;
  readonly id: ClientMsgId;
}

/** What the fold reads. Synchronous: a fold that waits for I/O at each event is no fold. */
export interface FanOutLookup {
  folded(conversation: ConversationId): FoldedConversation;
  readMark(conversation: ConversationId, user: UserId): number;
  deliveredMark(conversation: ConversationId, user: UserId): number;
  /** The accepted event with this sender and id, or undefined. `at` is the log's time of the one that asks. */
  seen(conversation: ConversationId, by: UserId, id: ClientMsgId, at: number): Seen | undefined;
}

/** How far a user is in a conversation now. */
export interface ChangedMark {
  readonly conversation: ConversationId;
  readonly user: UserId;
  readonly upTo: number;
}

/** What a window changed, against what was before it. */
export interface FanOutChanges {
  /** The log's time of the newest event of the window: what has expired by then may be forgotten. */
  readonly at: number;
  readonly conversations: ReadonlyMap<ConversationId, FoldedConversation>;
  readonly readMarks: readonly ChangedMark[];
  readonly deliveredMarks: readonly ChangedMark[];
  readonly seen: readonly SeenEvent[];
}

export interface FanOutState extends FanOutLookup {
  /** Position of the newest event whose changes are in the file; 0 for an empty one. */
  readonly position: number;
  /** Makes a window's changes visible to the fold at once; in the file they are with `commit`. */
  apply(changes: FanOutChanges, to: number): void;
  /**
   * Writes all applied windows up to the one that ends at `to`, and the position, in one transaction.
   * @throws RookeryError STATE_FILE_UNUSABLE
   */
  commit(to: number): void;
  /** Forgets what was applied and not committed: back to `position`. */
  rollback(): void;
  /** Whether a file that was built beside it waits to take its place. */
  readonly hasRebuilt: boolean;
  /** Goes on with what was built beside it, if there is such: its position is that one's, and what was applied is forgotten. */
  takeRebuilt(): void;
  /** Forgets everything, the file included: the fold begins again at the log's start. */
  discard(): void;
  close(): void;
}
