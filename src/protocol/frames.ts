/**
 * The frames of `rookery.v1.msgpack` and `rookery.v1.json`: one shape, two encodings. docs/PROTOCOL.md is the source of
 * truth; a test pins its hash beside this file's.
 *
 * Every request carries an `id` chosen by the client (an integer, unique among its unanswered requests); its one answer
 * carries the same. Requests are pipelined and may be answered out of order.
 */

import type { GroupSettings, MessageContent, Preferences, Role } from '../domain/conversation.ts';
import type { DeviceKind } from '../domain/devices.ts';
import type { ClientMsgId, ConversationId, DeviceId, UserId } from '../domain/ids.ts';
import type { ContactPage, OwnAccount, OwnAccountCommand, Profiles } from './account-frames.ts';
import type { AccountFrame, TypingFrame, WritingFrame } from './ephemeral-frames.ts';
import type { ErrorCode } from './error-codes.ts';
import type { Entry } from './inbox-entry.ts';
import type { DeviceList, PresenceFrame, PresencePage, WatchFrame } from './presence-frames.ts';
import type {
  ChangesPage,
  ConversationPage,
  HistoryPage,
  MemberPage,
  Receipts,
  SearchPage,
  VersionPage,
} from './read-frames.ts';

export type * from './ephemeral-frames.ts';
export type * from './inbox-entry.ts';
export type * from './presence-frames.ts';
export type * from './read-frames.ts';

export const SUBPROTOCOL_MSGPACK = 'rookery.v1.msgpack';
export const SUBPROTOCOL_JSON = 'rookery.v1.json';

/** A place in a user's inbox stream. Of another epoch, the stream is another one and `seq` means nothing. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** Where a device wants to go on: after a cursor, from now on, or from the beginning of what the inbox keeps. */
export type Resume = Cursor | 'latest' | 'everything';

/**
 * How a device is brought up that has nothing, or whose cursor cannot be resumed: the past is replayed from the log, or the
 * device asks what has changed. Default: `replay`, and nothing for a device that begins with `latest`.
 */
export type OnGap = 'replay' | 'changes';

// ---- client → server ----

export interface HelloFrame {
  readonly t: 'hello';
  readonly id: number;
  readonly token: string;
  readonly device: DeviceId;
  readonly resume: Resume;
  readonly onGap?: OnGap;
  /** Name and version of the client. At most 128 characters. */
  readonly agent?: string;
  /** Default: `other`. */
  readonly kind?: DeviceKind;
  /** What its user may know it by, until they call it something else. At most 64 characters. */
  readonly name?: string;
}

/** Exactly one of `conversation` and `to` (the other user of a direct conversation). */
export interface SendFrame extends MessageContent {
  readonly t: 'send';
  readonly id: number;
  readonly conversation?: ConversationId;
  readonly to?: UserId;
  readonly clientMsgId: ClientMsgId;
}

export type Command =
  | OwnAccountCommand
  | {
      readonly type: 'createGroup';
      readonly conversation: ConversationId;
      readonly name: string;
      readonly members: readonly UserId[];
    }
  | {
      readonly type: 'addMembers' | 'removeMembers';
      readonly conversation: ConversationId;
      readonly members: readonly UserId[];
    }
  | { readonly type: 'leaveGroup' | 'dissolveGroup'; readonly conversation: ConversationId }
  | { readonly type: 'changeRole'; readonly conversation: ConversationId; readonly member: UserId; readonly role: Role }
  | { readonly type: 'renameGroup'; readonly conversation: ConversationId; readonly name: string }
  | { readonly type: 'changeGroup'; readonly conversation: ConversationId; readonly settings: Partial<GroupSettings> }
  | {
      readonly type: 'muteMember';
      readonly conversation: ConversationId;
      readonly member: UserId;
      /** Milliseconds since 1970; 0 lets the member speak again. */
      readonly until: number;
    }
  | { readonly type: 'requestToJoin'; readonly conversation: ConversationId; readonly greeting: string }
  | { readonly type: 'declineJoin'; readonly conversation: ConversationId; readonly member: UserId }
  | { readonly type: 'joinGroup'; readonly conversation: ConversationId; readonly invite?: string }
  | {
      readonly type: 'createInvite';
      readonly conversation: ConversationId;
      readonly invite: string;
      readonly expiresAt: number;
      readonly maxUses: number;
    }
  | { readonly type: 'revokeInvite'; readonly conversation: ConversationId; readonly invite: string }
  /** `target`: the clientMsgId of a message of one's own. */
  | ({
      readonly type: 'editMessage';
      readonly conversation: ConversationId;
      readonly target: ClientMsgId;
    } & MessageContent)
  | {
      readonly type: 'recallMessage';
      readonly conversation: ConversationId;
      readonly target: ClientMsgId;
      /** Whose message it is; default: one's own. */
      readonly sender?: UserId;
    }
  | { readonly type: 'markRead' | 'markDelivered'; readonly conversation: ConversationId; readonly upTo: number }
  | { readonly type: 'requestContact'; readonly user: UserId; readonly greeting: string }
  | { readonly type: 'declineContact' | 'removeContact'; readonly user: UserId }
  | {
      readonly type: 'changePreferences';
      /** The conversation they are about; '': all. */
      readonly about: ConversationId | '';
      readonly preferences: Preferences;
    }
  | { readonly type: 'blockUser' | 'unblockUser'; readonly user: UserId };

export interface CommandFrame {
  readonly t: 'command';
  readonly id: number;
  readonly clientMsgId: ClientMsgId;
  readonly command: Command;
}

export type Query =
  | { readonly type: 'conversation'; readonly conversation: ConversationId }
  /** The user's list of conversations, or of those archived, from the beginning or from a `cursor` on. */
  | { readonly type: 'conversations'; readonly archived?: true; readonly cursor?: string; readonly limit?: number }
  /** The user's conversations in which something has changed since a time (milliseconds since 1970); 0: all of them. */
  | { readonly type: 'changes'; readonly since: number; readonly cursor?: string; readonly limit?: number }
  /** What the user has set about a conversation, or with '' about all. */
  | { readonly type: 'preferences'; readonly about: ConversationId | '' }
  /**
   * A part of a timeline: `before` or `after` an index (not included), `around` one, `since` a time (milliseconds since 1970);
   * with none of them the newest.
   */
  | {
      readonly type: 'history';
      readonly conversation: ConversationId;
      readonly before?: number;
      readonly after?: number;
      readonly around?: number;
      readonly since?: number;
      readonly limit?: number;
    }
  /**
   * Messages with all of the words, in all conversations of the user or one; of one sender; of a time. From the newest, or
   * from a `cursor` on.
   */
  | {
      readonly type: 'search';
      readonly words: string;
      readonly conversation?: ConversationId;
      readonly by?: UserId;
      readonly since?: number;
      readonly until?: number;
      readonly cursor?: string;
      readonly limit?: number;
    }
  /** Whom one knows, has blocked or been asked by. */
  | { readonly type: 'contacts'; readonly cursor?: string; readonly limit?: number }
  /** One's own account. */
  | { readonly type: 'account' }
  /** One's own devices. */
  | { readonly type: 'devices' }
  /** Who of up to 100 users is online, as far as the user may see it. */
  | { readonly type: 'presence'; readonly users: readonly UserId[] }
  /** What everybody may see of these users. */
  | { readonly type: 'profiles'; readonly users: readonly UserId[] }
  /** What message `n` was before it was edited; the newest versions, or those before a position. */
  | {
      readonly type: 'edits';
      readonly conversation: ConversationId;
      readonly n: number;
      readonly before?: number;
      readonly limit?: number;
    }
  /** Who is in a conversation, from the beginning or from a `cursor` on. */
  | {
      readonly type: 'members';
      readonly conversation: ConversationId;
      readonly cursor?: string;
      readonly limit?: number;
    }
  /** Who has read up to index `n`. */
  | { readonly type: 'receipts'; readonly conversation: ConversationId; readonly n: number };

export interface QueryFrame {
  readonly t: 'query';
  readonly id: number;
  readonly query: Query;
  /** As a `resync` gave it: the answer is not older than what stood in the log then. Of read models alone. */
  readonly reached?: string;
}

/** Confirms a cursor frame: the device has stored all up to it. No answer. */
export interface ConfirmFrame {
  readonly t: 'confirm';
  readonly seq: number;
}

export interface PingFrame {
  readonly t: 'ping';
}

export type ClientFrame =
  | HelloFrame
  | SendFrame
  | CommandFrame
  | QueryFrame
  | ConfirmFrame
  | WritingFrame
  | PingFrame
  | WatchFrame;

// ---- server → client ----

/**
 * Why the cursor could not be resumed: the inbox stream is another one, has dropped what lies between, or the cursor lies
 * beyond its end. `NOTHING_KEPT`: there was no cursor; only to a device that wants to ask for changes.
 */
export type ResyncReason = 'EPOCH_CHANGED' | 'CURSOR_TOO_OLD' | 'CURSOR_UNKNOWN' | 'TOO_FAR_BEHIND' | 'NOTHING_KEPT';

export interface WelcomeFrame {
  readonly t: 'welcome';
  readonly id: number;
  readonly session: string;
  readonly user: UserId;
  readonly device: DeviceId;
  /** Milliseconds since 1970, by the gateway's clock. */
  readonly serverTime: number;
  readonly limits: { readonly maxBodyBytes: number; readonly maxInFlight: number; readonly heartbeatMs: number };
}

/**
 * At connect or later (a slow device that fell behind the retention). Without `by` it comes before the entries it announces:
 * the past once more, in each conversation from its first entry that the user may see. With it nothing is replayed: what lies
 * between the device's place and the next cursor it asks for.
 */
export interface ResyncFrame {
  readonly t: 'resync';
  readonly reason: ResyncReason;
  readonly by?: 'changes';
  /** With `by`: for queries, so that their answers have all that comes as entries no more. Opaque. */
  readonly reached?: string;
}

/** The message is durable at this position in the log. Not yet: that every member may see it (the fold decides that). */
export interface SentFrame {
  readonly t: 'sent';
  readonly id: number;
  readonly conversation: ConversationId;
  readonly pos: number;
  /** Milliseconds since 1970, by the gateway's clock; the entry's own `at` is the log's. */
  readonly at: number;
  readonly duplicate?: true;
}

export interface DoneFrame {
  readonly t: 'done';
  readonly id: number;
  readonly pos: number;
  readonly duplicate?: true;
}

export interface ConversationView {
  readonly conversation: ConversationId;
  readonly kind: 'direct' | 'group';
  readonly name: string;
  /** Of a larger group 500 of them, the one who asks among them. */
  readonly members: readonly {
    readonly user: UserId;
    readonly role: Role;
    /** Milliseconds since 1970: who may not speak until then. */
    readonly mutedUntil?: number;
  }[];
  readonly memberCount: number;
  /** For owner and admins: who has asked to join and not been answered; and the invites that can be used. */
  readonly requests?: readonly UserId[];
  readonly invites?: readonly {
    readonly invite: string;
    /** 0: without end, both. */
    readonly expiresAt: number;
    readonly usesLeft: number;
  }[];
  readonly settings: GroupSettings;
  readonly dissolved: boolean;
  readonly lastIndex: number;
}

export type QueryResult =
  | ContactPage
  | OwnAccount
  | DeviceList
  | PresencePage
  | Profiles
  | ConversationView
  | ConversationPage
  | ChangesPage
  | Preferences
  | HistoryPage
  | VersionPage
  | MemberPage
  | Receipts
  | SearchPage;

export interface ResultFrame {
  readonly t: 'result';
  readonly id: number;
  readonly result: QueryResult;
}

/** Entries of one conversation in the order of the log. The same bytes go to all recipients. */
export interface DeliverFrame {
  readonly t: 'deliver';
  readonly conversation: ConversationId;
  readonly entries: readonly Entry[];
}

/** All of this user's inbox up to `seq` has been written to this socket before this frame. */
export interface CursorFrame extends Cursor {
  readonly t: 'cursor';
  /**
   * Milliseconds since 1970, where it is known: all that the log had stored before this time has been written, too. Whoever
   * cannot resume this cursor any more asks for `changes` since then.
   */
  readonly asOf?: number;
  /** What the device had missed is not all written yet: a replay of the log is at a place from which it can go on. */
  readonly more?: true;
}

export interface ErrorFrame {
  readonly t: 'error';
  /** The request it answers; absent where the frame could not be read. */
  readonly id?: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

export interface PongFrame {
  readonly t: 'pong';
}

export type ServerFrame =
  | WelcomeFrame
  | ResyncFrame
  | SentFrame
  | DoneFrame
  | ResultFrame
  | DeliverFrame
  | CursorFrame
  | TypingFrame
  | AccountFrame
  | ErrorFrame
  | PongFrame
  | PresenceFrame;
