/** What a user may ask of the past. What is not theirs answers like what does not exist. */
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { Entry } from '../protocol/frames.ts';

/** An entry of the timeline as it is shown now. What was recalled has an empty body and nothing beside it. */
export type HistoryEntry = Extract<Entry, { readonly n: number }> & {
  /** The newest edit, the content of which is shown: its position and time. */
  readonly edited?: { readonly pos: number; readonly at: number };
  readonly recalled?: { readonly pos: number; readonly at: number; readonly by: UserId };
};

/** Which part of a timeline: the newest, what lies on either side of an index (not included), around one, or from a time on. */
export type HistoryRange =
  | { readonly type: 'newest' }
  | { readonly type: 'before' | 'after' | 'around'; readonly n: number }
  | { readonly type: 'since'; readonly at: number };

/** A place in a list of conversations: after this one. */
export interface ListPlace {
  readonly lastAt: number;
  readonly conversation: ConversationId;
}

export interface ListedConversation {
  readonly conversation: ConversationId;
  readonly kind: 'direct' | 'group';
  readonly name: string;
  readonly avatar: string;
  readonly memberCount: number;
  readonly dissolved: boolean;
  readonly lastIndex: number;
  /** Milliseconds since 1970: the log's time of the newest entry. The list's order. */
  readonly lastAt: number;
  /** How far the user has read, spoken or joined: what lies beyond is unread. */
  readonly readUpTo: number;
  readonly unread: number;
  /** Unread messages that name the user or everybody; counting ends at MAX_COUNTED_MENTIONS. */
  readonly mentions: number;
  /** The newest entry. */
  readonly last: HistoryEntry;
}

export interface ListPage {
  /** By the time of the newest entry, newest first; where that is the same, by the id's UTF-8. */
  readonly conversations: readonly ListedConversation[];
  /** Whether more come after the last one. */
  readonly more: boolean;
}

export interface Badge {
  /** Unread entries in all conversations. */
  readonly unread: number;
  /** Conversations with unread entries. */
  readonly conversations: number;
}

export interface HistoryPage {
  /** In the order of the index. */
  readonly entries: readonly HistoryEntry[];
  /** Whether the user may see more before the first of them, and after the last. */
  readonly older: boolean;
  readonly newer: boolean;
}

export interface Receipts {
  readonly memberCount: number;
  /** How many have read up to the index asked about, or further. */
  readonly count: number;
  /** Who, and when they moved their mark there or beyond; of a conversation of more than MAX_NAMED_READERS members nobody. */
  readonly readers: readonly { readonly user: UserId; readonly upTo: number; readonly at: number }[];
}

export const MAX_COUNTED_MENTIONS = 1_000;
export const MAX_NAMED_READERS = 500;
/** Conversations, or entries, of one page. */
export const MAX_PAGE_ENTRIES = 100;
/** Bodies of one page: beyond it the page ends early, with at least one entry. An answer must fit into one NATS message. */
export const MAX_PAGE_BYTES = 512 * 1_024;

export interface ReadQueries {
  /** @param limit at most MAX_PAGE_ENTRIES */
  conversations(user: UserId, after: ListPlace | undefined, limit: number): ListPage;
  badge(user: UserId): Badge;
  /** Undefined: there is no such conversation for this user. @param limit at most MAX_PAGE_ENTRIES */
  history(user: UserId, conversation: ConversationId, range: HistoryRange, limit: number): HistoryPage | undefined;
  /** Undefined: the user is no member, or may not see the entry. */
  receipts(user: UserId, conversation: ConversationId, n: number): Receipts | undefined;
}
