/** What a user may ask of the past. What is not theirs answers like what does not exist. */

import type { Preferences, Role } from '../domain/conversation.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { ListedContact } from '../protocol/account-frames.ts';
import type {
  ChangedConversation,
  ConversationPage,
  HistoryPage,
  ListedConversation,
  MemberPage,
  Receipts,
  SearchHit,
  VersionPage,
} from '../protocol/frames.ts';

/** Which part of a timeline: the newest, what lies on either side of an index (not included), around one, or from a time on. */
export type HistoryRange =
  | { readonly type: 'newest' }
  | { readonly type: 'before' | 'after' | 'around'; readonly n: number }
  | { readonly type: 'since'; readonly at: number };

/** A place in a list of conversations: after this one. */
export interface ListPlace {
  readonly pinned: boolean;
  readonly lastAt: number;
  readonly conversation: ConversationId;
}

export interface ListPage {
  /** Pinned ones first; by the time of the newest entry, newest first; where that is the same, by the id's UTF-8. */
  readonly conversations: readonly ListedConversation[];
  /** Whether more come after the last one. */
  readonly more: boolean;
}

/** Conversations in which something has changed for a user, by the id's UTF-8. */
export interface ChangesPart {
  readonly conversations: readonly ChangedConversation[];
  readonly more: boolean;
  /** With the first part: how many there are; absent where they are more than MAX_COUNTED_CHANGES. */
  readonly total?: number;
}

/** Changed conversations that are counted ahead, of one lane: beyond, counting would cost more than it tells. */
export const MAX_COUNTED_CHANGES = 1_000;

/** A place in a list of members: after this one. */
export interface MemberPlace {
  readonly role: Role;
  readonly user: UserId;
}

export interface MembersPart extends Omit<MemberPage, 'cursor'> {
  readonly more: boolean;
}

/** By the conversation's UTF-8. */
export interface ContactsPart {
  readonly contacts: readonly ListedContact[];
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
/** Of one conversation; of more a device is only told that there were. */
export const MAX_TOLD_AMENDMENTS = 100;
export const MAX_NAMED_READERS = 500;
/** Messages looked at for one page of a search: beyond it the page ends, though it may be empty, and says where to go on. */
export const MAX_SEARCHED_ENTRIES = 50_000;
/**
 * Characters of messages that are read for one page of a search, to see what the index cannot tell: beyond it the page ends in
 * the same way. Nobody else is answered meanwhile, some 30 ms.
 */
export const MAX_SEARCHED_CHARS = 1_048_576;
/** Bodies of one page: beyond it the page ends early, with at least one entry. An answer must fit into one NATS message. */
export const MAX_PAGE_BYTES = 512 * 1_024;

/** By so much the log's clock may have been set back by a change of its leader: times are compared with so much to spare. */
export const CLOCK_SLACK_MS = 60_000;

export interface ReadQueries {
  /** @param archived whether those that are, or the others */
  conversations(user: UserId, archived: boolean, after: ListPlace | undefined, limit: number): ListPage;
  /** @param now milliseconds since 1970 */
  badge(user: UserId, now: number): Badge;
  /** @param since milliseconds since 1970, by the log's clock; what has changed shortly before may be among them */
  changes(user: UserId, since: number, after: ConversationId | undefined, limit: number): ChangesPart;
  /** Of a conversation, or '' for what the user has set for all. */
  preferences(user: UserId, about: ConversationId | ''): Preferences;
  contacts(user: UserId, after: ConversationId | undefined, limit: number): ContactsPart;
  /** Undefined: there is no such conversation for this user. */
  history(user: UserId, conversation: ConversationId, range: HistoryRange, limit: number): HistoryPage | undefined;
  /** Of the message `n`, those before position `before`. Undefined: the user may not see it, or it is no message. */
  edits(user: UserId, conversation: ConversationId, n: number, before: number, limit: number): VersionPage | undefined;
  /** Undefined: the user is no member. */
  members(
    user: UserId,
    conversation: ConversationId,
    after: MemberPlace | undefined,
    limit: number,
  ): MembersPart | undefined;
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
      readonly archived: boolean;
      readonly after?: ListPlace | undefined;
      readonly limit: number;
    }
  | { readonly type: 'badge'; readonly user: UserId; readonly now: number }
  | {
      readonly type: 'changes';
      readonly user: UserId;
      readonly since: number;
      readonly after?: ConversationId | undefined;
      readonly limit: number;
    }
  | {
      readonly type: 'contacts';
      readonly user: UserId;
      readonly after?: ConversationId | undefined;
      readonly limit: number;
    }
  | { readonly type: 'preferences'; readonly user: UserId; readonly about: ConversationId | '' }
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
  | {
      readonly type: 'edits';
      readonly user: UserId;
      readonly conversation: ConversationId;
      readonly n: number;
      readonly before: number;
      readonly limit: number;
    }
  | {
      readonly type: 'members';
      readonly user: UserId;
      readonly conversation: ConversationId;
      readonly after?: MemberPlace | undefined;
      readonly limit: number;
    }
  | { readonly type: 'receipts'; readonly user: UserId; readonly conversation: ConversationId; readonly n: number };

interface Answers {
  readonly conversations: ListPage;
  readonly badge: Badge;
  readonly changes: ChangesPart;
  readonly preferences: Preferences;
  readonly contacts: ContactsPart;
  readonly history: HistoryPage | undefined;
  readonly edits: VersionPage | undefined;
  readonly members: MembersPart | undefined;
  readonly receipts: Receipts | undefined;
  readonly search: SearchPart;
}
export type ReadAnswer<Type extends ReadQuestion['type'] = ReadQuestion['type']> = Answers[Type];

/** The gateway's side: any worker answers that has read the lane up to the end it had when the worker began. */
export interface ReadModels {
  /**
   * @param reached position up to which whoever answers must have read the lane, if it takes them a moment
   * @throws RookeryError READ_MODEL_UNAVAILABLE when no worker answers in time
   */
  ask<Question extends ReadQuestion>(
    lane: number,
    question: Question,
    reached?: number,
  ): Promise<ReadAnswer<Question['type']>>;
}

/** One lane's rows as of a position in the log. */
export interface ServedQueries extends ReadQueries {
  readonly position: number;
}

/** The worker's side. */
export interface ReadModelServer {
  /** Answers questions about the lane until `stop`, together with all other workers that do. */
  serve(lane: number, queries: ServedQueries): { stop(): void };
}
