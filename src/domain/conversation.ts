/**
 * A conversation: who is in it and what may happen to it. `decide` and `evolve` are pure; time and ids come in the command.
 * The gateway decides against a view that may be stale, the fan-out fold decides again in the order of the log: both call
 * `refusalOf`, so that they can never disagree about the same state.
 *
 * | event          | who may cause it                      | what it changes                                    |
 * |----------------|---------------------------------------|----------------------------------------------------|
 * | messageSent    | a member, in direct unless blocked    | the index                                          |
 * | groupCreated   | anyone, on an id not yet used         | members, name; the creator becomes owner           |
 * | membersAdded   | owner, admin                          | members                                            |
 * | membersRemoved | owner anyone; admin plain members     | members                                            |
 * | memberLeft     | a member; the owner only when alone   | members                                            |
 * | roleChanged    | owner; role `owner` hands over        | a member's role                                    |
 * | groupRenamed   | owner, admin                          | name                                               |
 * | groupDissolved | owner                                 | nobody may do anything afterwards                  |
 * | userBlocked    | one of the two of a direct one        | the other's messages are refused from here on      |
 * | userUnblocked  | who blocked                           |                                                    |
 * | conversationRead | a member                            | nothing here: see read-mark.ts                     |
 */
import { type ClientMsgId, type ConversationId, directPair, type UserId } from './ids.ts';

export type Role = 'owner' | 'admin' | 'member';

/** The part of a conversation that only state events change; a message leaves it identical (`===`). */
export interface Roster {
  readonly kind: 'none' | 'direct' | 'group';
  readonly name: string;
  /** In the order of joining: the order in which inbox entries are written. */
  readonly members: ReadonlyMap<UserId, Role>;
  /** Direct conversations only: who has blocked the other. */
  readonly blockers: ReadonlySet<UserId>;
  readonly dissolved: boolean;
}

export interface Conversation {
  readonly id: ConversationId;
  readonly roster: Roster;
  /** Index of the newest timeline entry; 0 before the first. Gapless: the next entry has `lastIndex + 1`. */
  readonly lastIndex: number;
}

/** What a message carries. The engine never looks into `body`. */
export interface MessageContent {
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Name of the data key that encrypts the body; absent: plain. */
  readonly keyId?: string;
  /** Index of the message this one answers. */
  readonly replyTo?: number;
  readonly mentions?: readonly UserId[];
  /** Milliseconds since 1970 after which clients hide the message. */
  readonly expiresAt?: number;
}

type By = { readonly by: UserId; readonly id: ClientMsgId };

export type MessageSent = By & { readonly type: 'messageSent' } & MessageContent;

export type StateEvent =
  | (By & { readonly type: 'groupCreated'; readonly name: string; readonly members: readonly UserId[] })
  | (By & { readonly type: 'membersAdded'; readonly members: readonly UserId[] })
  | (By & { readonly type: 'membersRemoved'; readonly members: readonly UserId[] })
  | (By & { readonly type: 'memberLeft' })
  | (By & { readonly type: 'roleChanged'; readonly member: UserId; readonly role: Role })
  | (By & { readonly type: 'groupRenamed'; readonly name: string })
  | (By & { readonly type: 'groupDissolved' })
  | (By & { readonly type: 'userBlocked' })
  | (By & { readonly type: 'userUnblocked' });

export type ConversationRead = By & { readonly type: 'conversationRead'; readonly upTo: number };

export type ConversationEvent = MessageSent | StateEvent | ConversationRead;

/** A command is an event somebody wants to happen: same fields, imperative name. */
export type ConversationCommand =
  | (By & { readonly type: 'sendMessage' } & MessageContent)
  | (By & { readonly type: 'createGroup'; readonly name: string; readonly members: readonly UserId[] })
  | (By & { readonly type: 'addMembers'; readonly members: readonly UserId[] })
  | (By & { readonly type: 'removeMembers'; readonly members: readonly UserId[] })
  | (By & { readonly type: 'leaveGroup' })
  | (By & { readonly type: 'changeRole'; readonly member: UserId; readonly role: Role })
  | (By & { readonly type: 'renameGroup'; readonly name: string })
  | (By & { readonly type: 'dissolveGroup' })
  | (By & { readonly type: 'blockUser' })
  | (By & { readonly type: 'unblockUser' })
  | (By & { readonly type: 'markRead'; readonly upTo: number });

/** Why a conversation refuses; each is a stable error code of the protocol (docs/ERRORS.md). */
export type RefusalCode =
  | 'NOT_A_MEMBER'
  | 'NOT_ALLOWED'
  | 'BLOCKED'
  | 'CONVERSATION_EXISTS'
  | 'CONVERSATION_DISSOLVED'
  | 'ALREADY_A_MEMBER'
  | 'OWNER_MUST_HAND_OVER'
  | 'GROUP_TOO_LARGE'
  | 'NO_CHANGE'
  | 'NOT_A_GROUP'
  | 'NOT_A_DIRECT_CONVERSATION'
  | 'INDEX_BEYOND_END';

/** At the limit a group refuses new members: beyond it a conversation is to become a channel (DESIGN section 5). */
export const MAX_GROUP_MEMBERS = 10_000;

const NO_ROSTER: Roster = { kind: 'none', name: '', members: new Map(), blockers: new Set(), dissolved: false };

/** A conversation before its first event. A direct one exists as soon as anyone speaks of it; a group must be created. */
export function initialConversation(id: ConversationId): Conversation {
  const pair = directPair(id);
  const roster: Roster = pair
    ? { ...NO_ROSTER, kind: 'direct', members: new Map(pair.map((user) => [user, 'member'])) }
    : NO_ROSTER;
  return { id, roster, lastIndex: 0 };
}

const COMMAND_TO_EVENT = {
  sendMessage: 'messageSent',
  createGroup: 'groupCreated',
  addMembers: 'membersAdded',
  removeMembers: 'membersRemoved',
  leaveGroup: 'memberLeft',
  changeRole: 'roleChanged',
  renameGroup: 'groupRenamed',
  dissolveGroup: 'groupDissolved',
  blockUser: 'userBlocked',
  unblockUser: 'userUnblocked',
  markRead: 'conversationRead',
} as const satisfies Record<ConversationCommand['type'], ConversationEvent['type']>;

export type Decision =
  | { readonly event: ConversationEvent; readonly refusal?: undefined }
  | { readonly refusal: RefusalCode; readonly event?: undefined };

export function decide(state: Conversation, command: ConversationCommand): Decision {
  const event = eventOf(command);
  const refusal = refusalOf(state, event);
  return refusal ? { refusal } : { event };
}

/** The event a command asks for, unchecked: for a gateway that has no view of the conversation and leaves it to the fold. */
export const eventOf = (command: ConversationCommand): ConversationEvent =>
  ({ ...command, type: COMMAND_TO_EVENT[command.type] }) as ConversationEvent;

/** Why `event` must not happen in `state`, or undefined when it may. */
export function refusalOf(state: Conversation, event: ConversationEvent): RefusalCode | undefined {
  const { roster } = state;
  if (event.type === 'groupCreated') {
    if (roster.kind === 'direct') return 'NOT_A_GROUP';
    if (roster.kind !== 'none') return 'CONVERSATION_EXISTS';
    return new Set([event.by, ...event.members]).size > MAX_GROUP_MEMBERS ? 'GROUP_TOO_LARGE' : undefined;
  }
  // An unknown conversation and a foreign one give the same answer, so that nobody can probe for ids.
  const role = roster.members.get(event.by);
  if (role === undefined) return 'NOT_A_MEMBER';
  if (roster.dissolved && event.type !== 'conversationRead') return 'CONVERSATION_DISSOLVED';
  switch (event.type) {
    case 'messageSent':
      return blockedByOther(roster, event.by) ? 'BLOCKED' : undefined;
    case 'conversationRead':
      return event.upTo > state.lastIndex ? 'INDEX_BEYOND_END' : undefined;
    case 'userBlocked':
    case 'userUnblocked':
      if (roster.kind !== 'direct') return 'NOT_A_DIRECT_CONVERSATION';
      return roster.blockers.has(event.by) === (event.type === 'userBlocked') ? 'NO_CHANGE' : undefined;
    default:
      return roster.kind === 'group' ? groupRefusal(roster, role, event) : 'NOT_A_GROUP';
  }
}

function blockedByOther(roster: Roster, by: UserId): boolean {
  if (roster.blockers.size === 0) return false;
  for (const blocker of roster.blockers) if (blocker !== by) return true;
  return false;
}

type GroupEvent = Exclude<StateEvent, { type: 'groupCreated' | 'userBlocked' | 'userUnblocked' }>;

function groupRefusal(roster: Roster, role: Role, event: GroupEvent): RefusalCode | undefined {
  const { members } = roster;
  switch (event.type) {
    case 'membersAdded':
      if (role === 'member') return 'NOT_ALLOWED';
      if (event.members.every((user) => members.has(user))) return 'ALREADY_A_MEMBER';
      return new Set([...members.keys(), ...event.members]).size > MAX_GROUP_MEMBERS ? 'GROUP_TOO_LARGE' : undefined;
    case 'membersRemoved':
      if (role === 'member') return 'NOT_ALLOWED';
      if (!event.members.some((user) => members.has(user))) return 'NO_CHANGE';
      return event.members.some((user) => !mayRemove(role, members.get(user))) ? 'NOT_ALLOWED' : undefined;
    case 'memberLeft':
      return role === 'owner' && members.size > 1 ? 'OWNER_MUST_HAND_OVER' : undefined;
    case 'roleChanged':
      if (role !== 'owner') return 'NOT_ALLOWED';
      if (event.member === event.by) return 'OWNER_MUST_HAND_OVER';
      if (!members.has(event.member)) return 'NO_CHANGE';
      return members.get(event.member) === event.role ? 'NO_CHANGE' : undefined;
    case 'groupRenamed':
      if (role === 'member') return 'NOT_ALLOWED';
      return event.name === roster.name ? 'NO_CHANGE' : undefined;
    case 'groupDissolved':
      return role === 'owner' ? undefined : 'NOT_ALLOWED';
  }
}

/** Of a user who is no member there is nothing to remove, so that is no reason to refuse. */
const mayRemove = (role: Role, target: Role | undefined): boolean =>
  target === undefined || target === 'member' || (role === 'owner' && target === 'admin');

/** Does `event` take an index, so that members see it in the timeline? Read marks, blocks and unblocks do not. */
export const hasIndex = (event: ConversationEvent): boolean =>
  event.type !== 'conversationRead' && event.type !== 'userBlocked' && event.type !== 'userUnblocked';

/** The state after an event that `refusalOf` let pass. */
export function evolve(state: Conversation, event: ConversationEvent): Conversation {
  const lastIndex = hasIndex(event) ? state.lastIndex + 1 : state.lastIndex;
  if (event.type === 'messageSent') return { id: state.id, roster: state.roster, lastIndex };
  if (event.type === 'conversationRead') return state;
  return { id: state.id, roster: evolveRoster(state.roster, event), lastIndex };
}

function evolveRoster(roster: Roster, event: StateEvent): Roster {
  switch (event.type) {
    case 'groupCreated': {
      const members = new Map<UserId, Role>([[event.by, 'owner']]);
      for (const user of event.members) if (!members.has(user)) members.set(user, 'member');
      return { ...roster, kind: 'group', name: event.name, members };
    }
    case 'membersAdded': {
      const members = new Map(roster.members);
      for (const user of event.members) if (!members.has(user)) members.set(user, 'member');
      return { ...roster, members };
    }
    case 'membersRemoved':
      return { ...roster, members: without(roster.members, event.members) };
    case 'memberLeft':
      return { ...roster, members: without(roster.members, [event.by]) };
    case 'roleChanged': {
      const members = new Map(roster.members).set(event.member, event.role);
      if (event.role === 'owner') members.set(event.by, 'admin');
      return { ...roster, members };
    }
    case 'groupRenamed':
      return { ...roster, name: event.name };
    case 'groupDissolved':
      return { ...roster, dissolved: true };
    case 'userBlocked':
      return { ...roster, blockers: new Set(roster.blockers).add(event.by) };
    case 'userUnblocked':
      return { ...roster, blockers: new Set([...roster.blockers].filter((user) => user !== event.by)) };
  }
}

function without(members: ReadonlyMap<UserId, Role>, gone: readonly UserId[]): ReadonlyMap<UserId, Role> {
  const left = new Map(members);
  for (const user of gone) left.delete(user);
  return left;
}
