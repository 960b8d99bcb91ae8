/**
 * A conversation: what may happen to it. `decide` and `evolve` are pure; time and ids come in the command. The gateway decides
 * against a view that may be stale, the fan-out fold decides again in the order of the log: both call `refusalOf`, so that
 * they can never disagree about the same state. The table of events stands in `conversation-events.ts`.
 */
import {
  type ConversationCommand,
  type ConversationEvent,
  eventOf,
  hasIndex,
  type MessageEdited,
  type MessageRecalled,
  type Role,
} from './conversation-events.ts';
import { type ConversationId, directPair, type UserId } from './ids.ts';
import {
  entryRefusal,
  evolveRoster,
  groupRefusal,
  isBlocked,
  isMuted,
  MAX_GROUP_MEMBERS,
  NO_ROSTER,
  pairRefusal,
  type RefusalCode,
  type Roster,
} from './roster.ts';

export type * from './conversation-events.ts';
export { eventOf, hasIndex, partOf } from './conversation-events.ts';
export { MAX_GROUP_MEMBERS, type RefusalCode, type Roster } from './roster.ts';

export interface Conversation {
  readonly id: ConversationId;
  /** Only state events change it; a message leaves it identical (`===`). */
  readonly roster: Roster;
  /** Index of the newest timeline entry; 0 before the first. Gapless: the next entry has `lastIndex + 1`. */
  readonly lastIndex: number;
}

/** What a decision needs beside the state. */
export interface Circumstances {
  /** Milliseconds since 1970: the log's time in the fold, the clock's at the gateway. */
  readonly at: number;
  /** Whether the message that an edit or recall names is there to be changed; undefined where that cannot be told. */
  readonly targetStands?: boolean | undefined;
}

/** A conversation before its first event. A direct one exists as soon as anyone speaks of it; a group must be created. */
export function initialConversation(id: ConversationId): Conversation {
  const pair = directPair(id);
  const roster: Roster = pair
    ? { ...NO_ROSTER, kind: 'direct', members: new Map(pair.map((user) => [user, 'member'])) }
    : NO_ROSTER;
  return { id, roster, lastIndex: 0 };
}

export type Decision =
  | { readonly event: ConversationEvent; readonly refusal?: undefined }
  | { readonly refusal: RefusalCode; readonly event?: undefined };

export function decide(state: Conversation, command: ConversationCommand, circumstances: Circumstances): Decision {
  const event = eventOf(command);
  const refusal = refusalOf(state, event, circumstances);
  return refusal ? { refusal } : { event };
}

/** Why `event` must not happen in `state`, or undefined when it may. */
export function refusalOf(
  state: Conversation,
  event: ConversationEvent,
  circumstances: Circumstances,
): RefusalCode | undefined {
  const { roster } = state;
  if (event.type === 'groupCreated') {
    if (roster.kind === 'direct') return 'NOT_A_GROUP';
    if (roster.kind !== 'none') return 'CONVERSATION_EXISTS';
    return new Set([event.by, ...event.members]).size > MAX_GROUP_MEMBERS ? 'GROUP_TOO_LARGE' : undefined;
  }
  if (event.type === 'memberJoined' || event.type === 'joinRequested') {
    return entryRefusal(roster, event, circumstances.at);
  }
  // An unknown conversation and a foreign one give the same answer, so that nobody can probe for ids.
  const role = roster.members.get(event.by);
  if (role === undefined) return 'NOT_A_MEMBER';
  const isOwnMatter = event.type === 'conversationRead' || event.type === 'preferencesChanged';
  if (roster.dissolved && !isOwnMatter) return 'CONVERSATION_DISSOLVED';
  switch (event.type) {
    case 'messageSent':
      return speechRefusal(roster, event, role, circumstances.at);
    case 'messageEdited':
    case 'messageRecalled':
      return changeRefusal(roster, role, event, circumstances);
    case 'conversationRead':
      return event.upTo > state.lastIndex ? 'INDEX_BEYOND_END' : undefined;
    case 'conversationDelivered':
      if (roster.kind !== 'direct' || isSelf(roster)) return 'NOT_A_DIRECT_CONVERSATION';
      return event.upTo > state.lastIndex ? 'INDEX_BEYOND_END' : undefined;
    case 'userBlocked':
    case 'userUnblocked':
    case 'contactRequested':
    case 'contactDeclined':
    case 'contactRemoved':
      if (roster.kind !== 'direct' || isSelf(roster)) return 'NOT_A_DIRECT_CONVERSATION';
      return pairRefusal(roster, event, circumstances.at);
    case 'preferencesChanged':
      return event.about === state.id || (event.about === '' && isSelf(roster)) ? undefined : 'NOT_ALLOWED';
    default:
      return roster.kind === 'group' ? groupRefusal(roster, role, event, circumstances.at) : 'NOT_A_GROUP';
  }
}

/** Hot path: each message asks. */
function speechRefusal(
  roster: Roster,
  { by, contactsOnly }: { readonly by: UserId; readonly contactsOnly?: true },
  role: Role,
  at: number,
): RefusalCode | undefined {
  if (roster.kind === 'group') return isMuted(roster, by, role, at) ? 'MUTED' : undefined;
  if (isBlocked(roster.blockers, by)) return 'BLOCKED';
  return contactsOnly && roster.contact.state !== 'contacts' && !isSelf(roster) ? 'NOT_A_CONTACT' : undefined;
}

/** The conversation of a user with themselves. */
const isSelf = ({ kind, members }: Roster): boolean => kind === 'direct' && members.size === 1;

function changeRefusal(
  roster: Roster,
  role: Role,
  event: MessageEdited | MessageRecalled,
  { at, targetStands }: Circumstances,
): RefusalCode | undefined {
  const { type, by, target } = event;
  const isOwn = target.by === by;
  if (!isOwn && (type === 'messageEdited' || role === 'member' || roster.members.get(target.by) === 'owner')) {
    return 'NOT_ALLOWED';
  }
  // Recalling takes something away: who may not speak may still do that.
  const speech = speechRefusal(roster, event, role, at);
  if (speech && !(speech === 'MUTED' && type === 'messageRecalled')) return speech;
  return targetStands === false ? 'MESSAGE_GONE' : undefined;
}

/** The state after an event that `refusalOf` let pass; @param at milliseconds since 1970, the log's time of the event */
export function evolve(state: Conversation, event: ConversationEvent, at: number): Conversation {
  const lastIndex = hasIndex(event) ? state.lastIndex + 1 : state.lastIndex;
  switch (event.type) {
    case 'messageSent':
      return { id: state.id, roster: state.roster, lastIndex };
    case 'messageEdited':
    case 'messageRecalled':
    case 'conversationRead':
    case 'conversationDelivered':
    case 'preferencesChanged':
      return state;
    default:
      return { id: state.id, roster: evolveRoster(state.roster, event, lastIndex, at), lastIndex };
  }
}
