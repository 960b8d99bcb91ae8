/** What a user may ask of the past. What is not theirs answers like what does not exist. */
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { ConversationPage, HistoryPage, ListedConversation, Receipts, SearchHit } from '../protocol/frames.ts';

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

export interface ListPage {
  /** By the time of the newest entry, newest first; where that is the same, by the id's UTF-8. */
  readonly conversations: readonly ListedConversation[];
  /** Whether more come after the last one. */
  readonly more: boolean;
}

export type Badge = NonNullable<ConversationPage['badge']>;

/** What somebody searches for, and where. Times are the log's, milliseconds since 1970. */
export interface Search {
  readonly words: string;
  readonly conversation?: ConversationId | undefined;
  readonly by?: UserId | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

export interface SearchPart {
  /** The newest first. */
  readonly hits: readonly SearchHit[];
  /** The log was searched from its end down to this position; 0: all of it. */
  readonly searchedTo: number;
}

export const MAX_COUNTED_MENTIONS = 1_000;
export const MAX_NAMED_READERS = 500;
/** Messages looked at for one page of a search: beyond it the page ends, though it may be empty, and says where to go on. */
export const MAX_SEARCHED_ENTRIES = 50_000;
/** Bodies of one page: beyond it the page ends early, with at least one entry. An answer must fit into one NATS message. */
export const MAX_PAGE_BYTES = 512 * 1_024;

export interface ReadQueries {
  conversations(user: UserId, after: ListPlace | undefined, limit: number): ListPage;
  badge(user: UserId): Badge;
  /** Undefined: there is no such conversation for this user. */
  history(user: UserId, conversation: ConversationId, range: HistoryRange, limit: number): HistoryPage | undefined;
  /** Undefined: the user is no member, or may not see the entry. */
  receipts(user: UserId, conversation: ConversationId, n: number): Receipts | undefined;
  /** What the user may see of what stands before position `before`. A search without a letter or digit finds nothing. */
  search(user: UserId, search: Search, before: number, limit: number): SearchPart;
}

/** A question to one lane's read model. */
export type ReadQuestion =
  | {
      readonly type: 'conversations';
      readonly user: UserId;
      readonly after?: ListPlace | undefined;
      readonly limit: number;
    }
  | { readonly type: 'badge'; readonly user: UserId }
  | {
      readonly type: 'history';
      readonly user: UserId;
      readonly conversation: ConversationId;
      readonly range: HistoryRange;
      readonly limit: number;
    }
  | {
      readonly type: 'search';
      readonly user: UserId;
      readonly search: Search;
      readonly before: number;
      readonly limit: number;
    }
  | { readonly type: 'receipts'; readonly user: UserId; readonly conversation: ConversationId; readonly n: number };

interface Answers {
  readonly conversations: ListPage;
  readonly badge: Badge;
  readonly history: HistoryPage | undefined;
  readonly receipts: Receipts | undefined;
  readonly search: SearchPart;
}
export type ReadAnswer<Type extends ReadQuestion['type'] = ReadQuestion['type']> = Answers[Type];

/** The gateway's side: any worker that has read the lane up to its end answers. */
export interface ReadModels {
  /** @throws RookeryError READ_MODEL_UNAVAILABLE when no worker answers in time */
  ask<Question extends ReadQuestion>(lane: number, question: Question): Promise<ReadAnswer<Question['type']>>;
}

/** The worker's side. */
export interface ReadModelServer {
  /** Answers questions about the lane until `stop`, together with all other workers that do. */
  serve(lane: number, queries: ReadQueries): { stop(): void };
}
