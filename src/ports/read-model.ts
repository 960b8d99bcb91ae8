/**
 * What can be asked of the past: conversations as their list shows them, timelines, receipts. Rows that follow from the log
 * alone; one file per lane, which may be deleted at any time.
 *
 * Nothing in it counts up and down: unread and mentions are derived when asked, from indexes that only grow. So no retry, no
 * race of devices and no crash can make them drift.
 */
import type { MessageContent, Preferences, Role } from '../domain/conversation.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { Contact } from '../domain/roster.ts';
import type { Entry } from '../protocol/frames.ts';
import type { LogEvent } from './conversation-log.ts';
import type { FanOutChanges, FanOutLookup } from './fan-out-state.ts';
import type { ReadQueries } from './read-queries.ts';

/** An entry with an index. */
export type TimelineEntry = Extract<Entry, { readonly n: number }>;

/** What is told of a conversation, whoever looks, and no message changes. */
export interface ConversationFacts {
  readonly kind: 'direct' | 'group';
  readonly name: string;
  readonly avatar: string;
  readonly memberCount: number;
  readonly dissolved: boolean;
}

/** A conversation as the list shows it, whoever looks. */
export interface Summary {
  /** Undefined: as it was. */
  readonly about: ConversationFacts | undefined;
  /** The newest entry of the timeline: its index, its position and the log's time of it. */
  readonly lastIndex: number;
  readonly lastPos: number;
  readonly lastAt: number;
}

/** A stay begins, or ends. A user may join again: that is another stay. */
export type MembershipChange =
  | {
      readonly type: 'joined';
      readonly conversation: ConversationId;
      readonly user: UserId;
      /** Index of the entry by which they joined; 0 in a direct conversation, where both are from the start. */
      readonly n: number;
      /** The first index they may see. */
      readonly seesFrom: number;
      readonly role: Role;
    }
  /** The entry with index `n` is the last they may see; `at`: the log's time of it. */
  | {
      readonly type: 'left';
      readonly conversation: ConversationId;
      readonly user: UserId;
      readonly n: number;
      readonly at: number;
    }
  | { readonly type: 'role'; readonly conversation: ConversationId; readonly user: UserId; readonly role: Role };

/** Everybody, where a user could stand: no id is empty. */
export const EVERYBODY = '';

/** Who is named, of those who were members then. */
export type Mentioned = readonly (UserId | typeof EVERYBODY)[];

/** A message is shown otherwise, or no more. */
export type Amendment = {
  readonly conversation: ConversationId;
  /** The message's index and position. */
  readonly target: { readonly n: number; readonly pos: number };
  readonly pos: number;
  readonly at: number;
  readonly by: UserId;
} & (
  | { readonly type: 'edited'; readonly content: MessageContent; readonly mentioned: Mentioned }
  | { readonly type: 'recalled' }
);

export interface Receipt {
  readonly conversation: ConversationId;
  readonly user: UserId;
  readonly upTo: number;
  /** Milliseconds since 1970, the log's time of the mark. */
  readonly at: number;
}

/** How far a user has read. */
export interface ReadReceipt extends Receipt {
  /** The newest mark of the window that others may see; undefined: none, what they saw before stays. */
  readonly shown: Pick<Receipt, 'upTo' | 'at'> | undefined;
}

/** What a user has set for themselves; what is absent stays as it was. */
export interface PreferenceChange {
  /** '': about all. */
  readonly about: ConversationId | '';
  readonly user: UserId;
  readonly preferences: Preferences;
  /** Newest index of the conversation then: what is hidden is hidden up to it. */
  readonly lastIndex: number;
  readonly at: number;
}

/** Where the two of a direct conversation stand with each other from then on. */
export interface ContactChange {
  readonly conversation: ConversationId;
  readonly contact: Contact;
  readonly blockers: ReadonlySet<UserId>;
  /** Milliseconds since 1970, by the log. */
  readonly at: number;
}

/** What a window of the log changes, to be written in this order of fields. */
export interface ReadModelChanges {
  /** Conversations with a timeline that the window touched, as it left them. */
  readonly summaries: ReadonlyMap<ConversationId, Summary>;
  /** In the order of the log. */
  readonly memberships: readonly MembershipChange[];
  readonly entries: readonly {
    readonly conversation: ConversationId;
    readonly entry: TimelineEntry;
    readonly mentioned: Mentioned;
  }[];
  /** Index of the newest entry of one's own, of those who made one and are still there. */
  readonly ownLast: ReadonlyMap<ConversationId, ReadonlyMap<UserId, number>>;
  /** In the order of the log. */
  readonly amendments: readonly Amendment[];
  readonly receipts: readonly ReadReceipt[];
  /** How far the two of a direct conversation have stored it. */
  readonly delivered: readonly Receipt[];
  /** In the order of the log. */
  readonly preferences: readonly PreferenceChange[];
  /** As the window left them. */
  readonly contacts: readonly ContactChange[];
}

/** One lane's rows, with the fold's own state beside them: what is written together was folded together. */
export interface ReadModel extends FanOutLookup, ReadQueries {
  /** Position of the newest event that is in the file; 0 for an empty one. */
  readonly position: number;
  /** The newest event in the file that could be read: another one at its place means that the log is another one. */
  readonly witness: Witness | undefined;
  /**
   * Writes a window that ends at `to`: the fold's state, the rows and the position, in one transaction.
   * @param last the window's newest event
   * @throws RookeryError STATE_FILE_UNUSABLE
   */
  write(changes: FanOutChanges, rows: ReadModelChanges, to: number, last: LogEvent | undefined): void;
  /** Forgets everything, the file included: it begins again at the log's start. */
  discard(): void;
  /** Goes on with what was built anew beside it, if there is such: its position is that one's. */
  takeRebuilt(): void;
  close(): void;
}

export interface Witness {
  readonly pos: number;
  /** What the log says of the event, in short. */
  readonly event: string;
}

export const witnessOf = ({ pos, at, conversation, event }: LogEvent): Witness => ({
  pos,
  event: JSON.stringify([at, conversation, event.type, event.by, event.id]),
});
