/** What is told of the past: answers of the read models. Part of the wire, as frames.ts. */
import type { MessageContent, Preferences, Role } from '../domain/conversation.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { Entry } from './inbox-entry.ts';

/** An entry of the timeline as it is shown now. What was recalled has an empty body, and nothing beside it. */
export type HistoryEntry = Extract<Entry, { readonly n: number }> & {
  /** The newest edit, the content of which is shown: its position and time. */
  readonly edited?: { readonly pos: number; readonly at: number };
  readonly recalled?: { readonly pos: number; readonly at: number; readonly by: UserId };
};

export interface ListedConversation {
  readonly conversation: ConversationId;
  readonly kind: 'direct' | 'group';
  readonly name: string;
  readonly avatar: string;
  readonly memberCount: number;
  readonly dissolved: boolean;
  readonly lastIndex: number;
  /** The log's time of the newest entry, milliseconds since 1970. The list's order. */
  readonly lastAt: number;
  /** How far the user has read, spoken or joined: what lies beyond is unread. */
  readonly readUpTo: number;
  readonly unread: number;
  /** Unread messages that name the user or everybody; counted to 1,000. */
  readonly mentions: number;
  /** Of a direct conversation: how far the other has read. */
  readonly peerReadUpTo?: number;
  /** Of a direct conversation: how far some device of the other has stored it; what was read was delivered. */
  readonly peerDeliveredUpTo?: number;
  /** What the user has set about it. */
  readonly preferences: Preferences;
  /** The newest entry. */
  readonly last: HistoryEntry;
}

export interface ConversationPage {
  /** Pinned ones first, the newest first; at the same time in the order of the ids' UTF-8. */
  readonly conversations: readonly ListedConversation[];
  /** Where the next page begins; absent: this is the last one. */
  readonly cursor?: string;
  /** With the first page. Of what is neither archived nor hidden; what is marked unread counts as a conversation. */
  readonly badge?: {
    readonly unread: number;
    /** How many have something unread. */
    readonly conversations: number;
    /** What of both is muted now. */
    readonly mutedUnread: number;
    readonly mutedConversations: number;
  };
}

/** A conversation as it is now, and what of its past is not what it was; or one the user is in no more. */
export type ChangedConversation =
  | (ListedConversation & {
      /** Indexes of messages edited or recalled since then. */
      readonly amended: readonly number[];
      /** More than 100 were: none is named. */
      readonly amendedMore?: true;
    })
  /** `lastIndex` is the newest the user may see. */
  | { readonly conversation: ConversationId; readonly left: true; readonly lastIndex: number };

export interface ChangesPage {
  /** In the order of the ids' UTF-8, so that no page misses what changes while another is read. */
  readonly conversations: readonly ChangedConversation[];
  readonly cursor?: string;
  /** With the first page: how many conversations all pages will have, as of now; absent where they are too many to be counted. */
  readonly total?: number;
}

export interface HistoryPage {
  /** In the order of the index. */
  readonly entries: readonly HistoryEntry[];
  /** Whether the user may see more before the first of them, and after the last. */
  readonly older: boolean;
  readonly newer: boolean;
}

/** What was shown of a message: as it was sent, and with each edit. */
export interface MessageVersion extends MessageContent {
  /** Of the message, or of the edit. */
  readonly pos: number;
  readonly at: number;
}

export interface VersionPage {
  /** In the order of the log. Of a recalled message there is none. */
  readonly versions: readonly MessageVersion[];
  /** Whether there are more before the first of them. */
  readonly older: boolean;
}

export interface MemberPage {
  /** Owner and admins first, then by the ids' UTF-8; `since`: index of the entry by which they joined. */
  readonly members: readonly { readonly user: UserId; readonly role: Role; readonly since: number }[];
  readonly memberCount: number;
  readonly cursor?: string;
}

export interface Receipts {
  readonly memberCount: number;
  /** How many have read up to the index asked about, or further. */
  readonly count: number;
  /** Who, how far and when they marked it; of a conversation of more than 500 members nobody. */
  readonly readers: readonly { readonly user: UserId; readonly upTo: number; readonly at: number }[];
}

export interface SearchHit {
  readonly conversation: ConversationId;
  readonly entry: HistoryEntry;
  /** Where the words stand in the text: from and to, in UTF-16 units. */
  readonly matches: readonly (readonly [from: number, to: number])[];
}

export interface SearchPage {
  /** The newest first. */
  readonly hits: readonly SearchHit[];
  /** Where to go on; absent: all was searched. A page may be empty and have one: it ends after so much was looked at. */
  readonly cursor?: string;
}
