/**
 * What can happen in a conversation, and what somebody may want to happen: an event in the past tense for each command in the
 * imperative. Who may cause what is decided in `conversation.ts` and `roster.ts`.
 *
 * | event          | who may cause it                      | what it changes                                    |
 * |----------------|---------------------------------------|----------------------------------------------------|
 * | messageSent    | a member; not blocked, not muted; a contact where it must be | the index                                          |
 * | messageEdited  | its sender, within the horizon        | what is shown of a message                         |
 * | messageRecalled | its sender; owner, admin             | a message is shown no more                         |
 * | groupCreated   | anyone, on an id not yet used         | members, name; the creator becomes owner           |
 * | membersAdded   | owner, admin                          | members; who had asked to join has not any more    |
 * | membersRemoved | owner anyone; admin plain members     | members                                            |
 * | memberJoined   | anyone, by an invite or where it is open | members                                         |
 * | memberLeft     | a member; the owner only when alone   | members                                            |
 * | roleChanged    | owner; role `owner` hands over        | a member's role                                    |
 * | memberMuted    | owner anyone; admin plain members     | until when a member may not speak                  |
 * | groupRenamed   | owner, admin                          | name                                               |
 * | groupChanged   | owner, admin                          | settings                                           |
 * | groupDissolved | owner                                 | nobody may do anything afterwards                  |
 * | joinRequested  | who is no member, where it is asked   | who waits to be added                              |
 * | joinDeclined   | owner, admin                          | who waits to be added                              |
 * | inviteCreated, inviteRevoked | owner, admin            | invites                                            |
 * | contactRequested | one of the two of a direct one       | whether they are contacts                          |
 * | contactDeclined | who was asked                        | whether they are contacts                          |
 * | contactRemoved | either                                | whether they are contacts                          |
 * | preferencesChanged | a member, for themselves          | nothing here: their devices and read models follow |
 * | userBlocked    | one of the two of a direct one        | the other's messages are refused from here on      |
 * | userUnblocked  | who blocked                           |                                                    |
 * | conversationRead | a member                            | nothing here: see read-mark.ts                     |
 * | conversationDelivered | one of the two of a direct one | nothing here: see delivered-mark.ts                |
 */
import type { ClientMsgId, ConversationId, UserId } from './ids.ts';

export type Role = 'owner' | 'admin' | 'member';

/** What a message carries. The engine never looks into `body`. */
export interface MessageContent {
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Name of the data key that encrypts the body; absent: plain. */
  readonly keyId?: string;
  /** Index of the message this one answers. */
  readonly replyTo?: number;
  readonly mentions?: readonly UserId[];
  /** Everybody is meant. */
  readonly mentionsAll?: true;
  /** Milliseconds since 1970 after which clients hide the message. */
  readonly expiresAt?: number;
}

/** Whether there is nothing but the body, as in most: to find that out costs a third of leaving out each field that is not there. */
export const isPlainContent = ({ keyId, replyTo, mentions, mentionsAll, expiresAt }: MessageContent): boolean =>
  keyId === undefined && replyTo === undefined && !mentions && !mentionsAll && expiresAt === undefined;

/** A message by who sent it and their id for it, as both are known before it has an index. */
export interface MessageRef {
  readonly by: UserId;
  readonly id: ClientMsgId;
}

export interface GroupSettings {
  readonly description: string;
  /** Address of a picture; the engine never fetches it. */
  readonly avatar: string;
  readonly announcement: string;
  /** `closed`: owner and admins add members; `approval`: anyone may ask them to; `open`: anyone may join. Invites work in each. */
  readonly joinPolicy: 'closed' | 'approval' | 'open';
  /** What members added from now on may see of the past. */
  readonly newcomersSee: 'nothing' | 'everything';
  /** Plain members may not speak. */
  readonly mutedAll: boolean;
}

/** What a user has set for themselves about a conversation or, with `about: ''`, about all. What is absent stays. */
export interface Preferences {
  readonly pinned?: boolean;
  readonly archived?: boolean;
  /** Not shown in the list until something new comes. */
  readonly hidden?: boolean;
  readonly markedUnread?: boolean;
  /** No notifications until then, milliseconds since 1970; -1: for ever; 0: not muted. */
  readonly mutedUntil?: number;
  /** What was typed and not sent. */
  readonly draft?: string;
  /** One's own name for the other of a direct conversation. */
  readonly remark?: string;
  /** One's own groups of contacts. */
  readonly labels?: readonly string[];
}

type By = { readonly by: UserId; readonly id: ClientMsgId };

/** The policy that was in force when it was written, in a direct conversation: absent, anybody may write. */
interface WrittenUnder {
  readonly contactsOnly?: true;
}

export type MessageSent = By & { readonly type: 'messageSent' } & WrittenUnder & MessageContent;
export type MessageEdited = By & { readonly type: 'messageEdited'; readonly target: MessageRef } & WrittenUnder &
  MessageContent;
export type MessageRecalled = By & { readonly type: 'messageRecalled'; readonly target: MessageRef };

/** A mute outlives these, up to its time. Absent in logs from before that was so: there it ended with the stay. */
interface EndsStays {
  readonly keepsMutes?: true;
}

export type GroupEvent =
  | (By & { readonly type: 'membersAdded'; readonly members: readonly UserId[] })
  | (By & { readonly type: 'membersRemoved'; readonly members: readonly UserId[] } & EndsStays)
  | (By & { readonly type: 'memberLeft' } & EndsStays)
  | (By & { readonly type: 'roleChanged'; readonly member: UserId; readonly role: Role })
  /** `until`: milliseconds since 1970; 0 lets the member speak again. */
  | (By & { readonly type: 'memberMuted'; readonly member: UserId; readonly until: number })
  | (By & { readonly type: 'groupRenamed'; readonly name: string })
  | (By & { readonly type: 'groupChanged'; readonly settings: Partial<GroupSettings> })
  | (By & { readonly type: 'groupDissolved' })
  | (By & { readonly type: 'joinDeclined'; readonly member: UserId })
  /** `invite` is the secret itself; `maxUses` 0 and `expiresAt` 0: without end. */
  | (By & {
      readonly type: 'inviteCreated';
      readonly invite: string;
      readonly expiresAt: number;
      readonly maxUses: number;
    })
  | (By & { readonly type: 'inviteRevoked'; readonly invite: string });

/** By who is no member yet. */
export type EntryEvent =
  | (By & { readonly type: 'memberJoined'; readonly invite?: string })
  | (By & { readonly type: 'joinRequested'; readonly greeting: string });

/** In a direct conversation. */
export type PairEvent =
  /** Asks the other, or says yes to who has asked. */
  | (By & { readonly type: 'contactRequested'; readonly greeting: string })
  | (By & { readonly type: 'contactDeclined' })
  | (By & { readonly type: 'contactRemoved' })
  | (By & { readonly type: 'userBlocked' })
  | (By & { readonly type: 'userUnblocked' });

export type StateEvent =
  | (By & { readonly type: 'groupCreated'; readonly name: string; readonly members: readonly UserId[] })
  | GroupEvent
  | EntryEvent
  | PairEvent;

export type ConversationRead = By & { readonly type: 'conversationRead'; readonly upTo: number };

/** In a direct conversation: some device of the user has stored it up to there. */
export type ConversationDelivered = By & { readonly type: 'conversationDelivered'; readonly upTo: number };

/** In the conversation they are about; those about all in the conversation of a user with themselves. */
export type PreferencesChanged = By & {
  readonly type: 'preferencesChanged';
  readonly about: ConversationId | '';
  readonly preferences: Preferences;
};

export type ConversationEvent =
  | PreferencesChanged
  | MessageSent
  | MessageEdited
  | MessageRecalled
  | StateEvent
  | ConversationRead
  | ConversationDelivered;

const COMMAND_TO_EVENT = {
  sendMessage: 'messageSent',
  editMessage: 'messageEdited',
  recallMessage: 'messageRecalled',
  createGroup: 'groupCreated',
  addMembers: 'membersAdded',
  removeMembers: 'membersRemoved',
  joinGroup: 'memberJoined',
  leaveGroup: 'memberLeft',
  changeRole: 'roleChanged',
  muteMember: 'memberMuted',
  renameGroup: 'groupRenamed',
  changeGroup: 'groupChanged',
  dissolveGroup: 'groupDissolved',
  requestToJoin: 'joinRequested',
  declineJoin: 'joinDeclined',
  createInvite: 'inviteCreated',
  revokeInvite: 'inviteRevoked',
  requestContact: 'contactRequested',
  declineContact: 'contactDeclined',
  removeContact: 'contactRemoved',
  changePreferences: 'preferencesChanged',
  blockUser: 'userBlocked',
  unblockUser: 'userUnblocked',
  markRead: 'conversationRead',
  markDelivered: 'conversationDelivered',
} as const satisfies Record<string, ConversationEvent['type']>;

type CommandType = keyof typeof COMMAND_TO_EVENT;

/** Every type an event may have. */
export const EVENT_TYPES: readonly ConversationEvent['type'][] = Object.values(COMMAND_TO_EVENT);

/** A command is an event somebody wants to happen: same fields, imperative name. */
export type ConversationCommand = {
  [Type in CommandType]: Extract<ConversationEvent, { type: (typeof COMMAND_TO_EVENT)[Type] }> extends infer Event
    ? Event extends ConversationEvent
      ? Omit<Event, 'type'> & { readonly type: Type }
      : never
    : never;
}[CommandType];

/** The event a command asks for, unchecked: for a gateway that has no view of the conversation and leaves it to the fold. */
export const eventOf = (command: ConversationCommand): ConversationEvent =>
  ({
    ...command,
    type: COMMAND_TO_EVENT[command.type],
    ...((command.type === 'leaveGroup' || command.type === 'removeMembers') && { keepsMutes: true }),
  }) as ConversationEvent;

/**
 * The part of the log an event belongs to: `m` messages, what changes them and what nobody decides about, `s` what changes the conversation itself (of
 * these the newest is what the optimistic lock compares), `r` marks of what was read and delivered.
 */
export function partOf({ type }: ConversationEvent): 'm' | 's' | 'r' {
  switch (type) {
    case 'messageSent':
    case 'messageEdited':
    case 'messageRecalled':
    case 'preferencesChanged':
      return 'm';
    case 'conversationRead':
    case 'conversationDelivered':
      return 'r';
    default:
      return 's';
  }
}

/** Does `event` take an index, so that members see it in the timeline? */
export function hasIndex({ type }: ConversationEvent): boolean {
  switch (type) {
    case 'messageEdited':
    case 'messageRecalled':
    case 'conversationRead':
    case 'conversationDelivered':
    case 'preferencesChanged':
    case 'contactRequested':
    case 'contactDeclined':
    case 'contactRemoved':
    case 'userBlocked':
    case 'userUnblocked':
    case 'joinRequested':
    case 'joinDeclined':
    case 'inviteCreated':
    case 'inviteRevoked':
      return false;
    default:
      return true;
  }
}
