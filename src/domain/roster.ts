/** Who is in a conversation and what they may do: the part of its state that only state events change. */
import type { EntryEvent, GroupEvent, GroupSettings, PairEvent, Role, StateEvent } from './conversation-events.ts';
import type { UserId } from './ids.ts';

export interface Invite {
  /** Milliseconds since 1970; 0: for ever. */
  readonly expiresAt: number;
  /** How often it may still be used; Infinity: as often as one likes. */
  readonly usesLeft: number;
}

export type Contact =
  | { readonly state: 'none' }
  | { readonly state: 'requested'; readonly by: UserId }
  /** `at`: milliseconds since 1970. */
  | { readonly state: 'declined'; readonly by: UserId; readonly at: number }
  | { readonly state: 'contacts' };

export interface Roster {
  readonly kind: 'none' | 'direct' | 'group';
  readonly name: string;
  /** In the order of joining: the order in which inbox entries are written. */
  readonly members: ReadonlyMap<UserId, Role>;
  /** Members who may not see all of the past: the index they joined at. */
  readonly joined: ReadonlyMap<UserId, number>;
  /** Who may not speak, until when: milliseconds since 1970. Also of those who have left, or leaving would be a way out. */
  readonly muted: ReadonlyMap<UserId, number>;
  readonly settings: GroupSettings;
  /** Who has asked to join and not been answered. */
  readonly requests: ReadonlySet<UserId>;
  readonly invites: ReadonlyMap<string, Invite>;
  /** Direct conversations only: whether the two are contacts, or who has asked, and when the other one said no. */
  readonly contact: Contact;
  /** Direct conversations only: who has blocked the other. */
  readonly blockers: ReadonlySet<UserId>;
  readonly dissolved: boolean;
}

/** Why a conversation refuses; each is a stable error code of the protocol (docs/ERRORS.md). */
export type RefusalCode =
  | 'NOT_A_MEMBER'
  | 'NOT_ALLOWED'
  | 'BLOCKED'
  | 'NOT_A_CONTACT'
  | 'MUTED'
  | 'MESSAGE_GONE'
  | 'CONVERSATION_EXISTS'
  | 'CONVERSATION_DISSOLVED'
  | 'ALREADY_A_MEMBER'
  | 'OWNER_MUST_HAND_OVER'
  | 'GROUP_TOO_LARGE'
  | 'TOO_MANY_REQUESTS'
  | 'TOO_MANY_INVITES'
  | 'INVITE_INVALID'
  | 'ASKED_BEFORE'
  | 'NO_CHANGE'
  | 'NOT_A_GROUP'
  | 'NOT_A_DIRECT_CONVERSATION'
  | 'INDEX_BEYOND_END';

/** At the limit a group refuses new members: beyond it a conversation is to become a channel. */
export const MAX_GROUP_MEMBERS = 10_000;
/** People who wait to be added. At the limit TOO_MANY_REQUESTS, until some are answered. */
export const MAX_JOIN_REQUESTS = 200;
/** Invites that were neither revoked nor used up. At the limit TOO_MANY_INVITES; expired ones make room first. */
export const MAX_INVITES = 50;

/** Mutes kept of those who have left, the ones that last longest: beyond it leaving ends a mute. */
export const MAX_ABSENT_MUTES = 500;

/** For so long who was told no may not ask the same person again. */
export const ASK_AGAIN_AFTER_MS = 24 * 3_600_000;

export const DEFAULT_SETTINGS: GroupSettings = {
  description: '',
  avatar: '',
  announcement: '',
  joinPolicy: 'closed',
  newcomersSee: 'nothing',
  mutedAll: false,
};

export const NO_ROSTER: Roster = {
  kind: 'none',
  name: '',
  members: new Map(),
  joined: new Map(),
  muted: new Map(),
  settings: DEFAULT_SETTINGS,
  requests: new Set(),
  invites: new Map(),
  contact: { state: 'none' },
  blockers: new Set(),
  dissolved: false,
};

/** Whether the member may not speak at `at` (milliseconds since 1970). */
export function isMuted({ settings, muted }: Roster, user: UserId, role: Role, at: number): boolean {
  if (role === 'member' && settings.mutedAll) return true;
  return muted.size > 0 && (muted.get(user) ?? 0) > at;
}

/** Whether a member may see the entry with index `n`. */
export const maySee = ({ joined }: Roster, user: UserId, n: number): boolean => (joined.get(user) ?? 0) <= n;

/** Owner and admins, in the order of joining. */
export const adminsOf = ({ members }: Roster): UserId[] =>
  [...members].filter(([, role]) => role !== 'member').map(([user]) => user);

/** Of one who wants to come in. What is closed answers like what does not exist, so that nobody can probe for ids. */
export function entryRefusal(roster: Roster, event: EntryEvent, at: number): RefusalCode | undefined {
  const isInvite = event.type === 'memberJoined' && event.invite !== undefined;
  if (roster.members.has(event.by)) return roster.kind === 'group' ? 'ALREADY_A_MEMBER' : 'NOT_A_GROUP';
  if (roster.kind !== 'group' || roster.dissolved) return isInvite ? 'INVITE_INVALID' : 'NOT_A_MEMBER';
  if (event.type === 'joinRequested') {
    if (roster.settings.joinPolicy !== 'approval') return 'NOT_A_MEMBER';
    if (roster.requests.has(event.by)) return 'NO_CHANGE';
    return roster.requests.size >= MAX_JOIN_REQUESTS ? 'TOO_MANY_REQUESTS' : undefined;
  }
  if (event.invite !== undefined) {
    if (!isUsable(roster.invites.get(event.invite), at)) return 'INVITE_INVALID';
  } else if (roster.settings.joinPolicy !== 'open') return 'NOT_A_MEMBER';
  return roster.members.size >= MAX_GROUP_MEMBERS ? 'GROUP_TOO_LARGE' : undefined;
}

export const isUsable = (invite: Invite | undefined, at: number): invite is Invite =>
  invite !== undefined && invite.usesLeft > 0 && (invite.expiresAt === 0 || invite.expiresAt > at);

/** Of one of the two of a direct conversation. */
export function pairRefusal({ contact, blockers }: Roster, event: PairEvent, at: number): RefusalCode | undefined {
  switch (event.type) {
    case 'userBlocked':
    case 'userUnblocked':
      return blockers.has(event.by) === (event.type === 'userBlocked') ? 'NO_CHANGE' : undefined;
    case 'contactRequested':
      if (isBlocked(blockers, event.by)) return 'BLOCKED';
      if (contact.state === 'contacts' || (contact.state === 'requested' && contact.by === event.by))
        return 'NO_CHANGE';
      return isTooSoon(contact, event.by, at) ? 'ASKED_BEFORE' : undefined;
    case 'contactDeclined':
      return contact.state === 'requested' && contact.by !== event.by ? undefined : 'NO_CHANGE';
    case 'contactRemoved':
      return contact.state === 'contacts' || (contact.state === 'requested' && contact.by === event.by)
        ? undefined
        : 'NO_CHANGE';
  }
}

/** Whether others may see how far somebody has read, and what was delivered to them: not where one of two has blocked the other. */
export const showsMarks = ({ kind, blockers }: Pick<Roster, 'kind' | 'blockers'>): boolean =>
  kind !== 'direct' || blockers.size === 0;

export function isBlocked(blockers: Roster['blockers'], user: UserId): boolean {
  if (blockers.size === 0) return false;
  for (const blocker of blockers) if (blocker !== user) return true;
  return false;
}

const isTooSoon = (contact: Contact, by: UserId, at: number): boolean =>
  contact.state === 'declined' && contact.by !== by && at < contact.at + ASK_AGAIN_AFTER_MS;

/** Of a member with this role. */
export function groupRefusal(roster: Roster, role: Role, event: GroupEvent, at: number): RefusalCode | undefined {
  const { members } = roster;
  switch (event.type) {
    case 'memberLeft':
      return role === 'owner' && members.size > 1 ? 'OWNER_MUST_HAND_OVER' : undefined;
    case 'groupDissolved':
      return role === 'owner' ? undefined : 'NOT_ALLOWED';
    case 'roleChanged':
      if (role !== 'owner') return 'NOT_ALLOWED';
      if (event.member === event.by) return 'OWNER_MUST_HAND_OVER';
      if (!members.has(event.member)) return 'NO_CHANGE';
      return members.get(event.member) === event.role ? 'NO_CHANGE' : undefined;
  }
  if (role === 'member') return 'NOT_ALLOWED';
  switch (event.type) {
    case 'membersAdded':
      if (event.members.every((user) => members.has(user))) return 'ALREADY_A_MEMBER';
      return new Set([...members.keys(), ...event.members]).size > MAX_GROUP_MEMBERS ? 'GROUP_TOO_LARGE' : undefined;
    case 'membersRemoved':
      if (!event.members.some((user) => members.has(user))) return 'NO_CHANGE';
      return event.members.some((user) => !isBelow(role, members.get(user))) ? 'NOT_ALLOWED' : undefined;
    case 'memberMuted':
      if (!members.has(event.member) || (roster.muted.get(event.member) ?? 0) === event.until) return 'NO_CHANGE';
      return isBelow(role, members.get(event.member)) ? undefined : 'NOT_ALLOWED';
    case 'groupRenamed':
      return event.name === roster.name ? 'NO_CHANGE' : undefined;
    case 'groupChanged':
      return isChanged(roster.settings, event.settings) ? undefined : 'NO_CHANGE';
    case 'joinDeclined':
      return roster.requests.has(event.member) ? undefined : 'NO_CHANGE';
    case 'inviteCreated':
      if (roster.invites.has(event.invite)) return 'NO_CHANGE';
      return usable(roster.invites, at).size >= MAX_INVITES ? 'TOO_MANY_INVITES' : undefined;
    case 'inviteRevoked':
      return roster.invites.has(event.invite) ? undefined : 'NO_CHANGE';
  }
}

/** Of a user who is no member there is nothing to remove, so that is no reason to refuse. */
const isBelow = (role: Role, target: Role | undefined): boolean =>
  target === undefined || target === 'member' || (role === 'owner' && target === 'admin');

const isChanged = (settings: GroupSettings, changes: Partial<GroupSettings>): boolean =>
  (Object.keys(changes) as (keyof GroupSettings)[]).some((key) => changes[key] !== settings[key]);

const usable = (invites: Roster['invites'], at: number): Map<string, Invite> =>
  new Map([...invites].filter(([, invite]) => isUsable(invite, at)));

/** @param n index of the event, of the newest entry where it has none; @param at milliseconds since 1970 */
export function evolveRoster(roster: Roster, event: StateEvent, n: number, at: number): Roster {
  switch (event.type) {
    case 'groupCreated': {
      const members = new Map<UserId, Role>([[event.by, 'owner']]);
      for (const user of event.members) if (!members.has(user)) members.set(user, 'member');
      return { ...roster, kind: 'group', name: event.name, members };
    }
    case 'membersAdded':
      return withMembers(roster, event.members, n);
    case 'memberJoined':
      return withInviteUsed(withMembers(roster, [event.by], n), event.invite);
    case 'membersRemoved':
      return withoutMembers(roster, event.members, event.keepsMutes ? at : undefined);
    case 'memberLeft':
      return withoutMembers(roster, [event.by], event.keepsMutes ? at : undefined);
    case 'roleChanged': {
      const members = new Map(roster.members).set(event.member, event.role);
      if (event.role === 'owner') members.set(event.by, 'admin');
      return { ...roster, members };
    }
    case 'memberMuted': {
      const muted = new Map([...roster.muted].filter(([user, until]) => user !== event.member && until > at));
      if (event.until > at) muted.set(event.member, event.until);
      return { ...roster, muted };
    }
    case 'groupRenamed':
      return { ...roster, name: event.name };
    case 'groupChanged':
      return { ...roster, settings: { ...roster.settings, ...event.settings } };
    case 'groupDissolved':
      return { ...roster, dissolved: true };
    case 'joinRequested':
      return { ...roster, requests: new Set(roster.requests).add(event.by) };
    case 'joinDeclined':
      return { ...roster, requests: without(roster.requests, [event.member]) };
    case 'inviteCreated': {
      const invite = { expiresAt: event.expiresAt, usesLeft: event.maxUses || Number.POSITIVE_INFINITY };
      return { ...roster, invites: usable(roster.invites, at).set(event.invite, invite) };
    }
    case 'inviteRevoked':
      return { ...roster, invites: new Map([...roster.invites].filter(([invite]) => invite !== event.invite)) };
    case 'contactRequested':
      return { ...roster, contact: answered(roster.contact, event.by) };
    case 'contactDeclined':
      return { ...roster, contact: { state: 'declined', by: event.by, at } };
    case 'contactRemoved':
      return { ...roster, contact: { state: 'none' } };
    case 'userBlocked':
      return { ...roster, blockers: new Set(roster.blockers).add(event.by) };
    case 'userUnblocked':
      return { ...roster, blockers: without(roster.blockers, [event.by]) };
  }
}

/** Who asks the one by whom they were asked says yes. */
const answered = (contact: Contact, by: UserId): Contact =>
  contact.state === 'requested' && contact.by !== by ? { state: 'contacts' } : { state: 'requested', by };

function withMembers(roster: Roster, added: readonly UserId[], n: number): Roster {
  const members = new Map(roster.members);
  const joined = new Map(roster.joined);
  for (const user of added) {
    if (members.has(user)) continue;
    members.set(user, 'member');
    if (roster.settings.newcomersSee === 'nothing') joined.set(user, n);
  }
  const requests = roster.requests.size > 0 ? without(roster.requests, added) : roster.requests;
  return { ...roster, members, joined, requests };
}

function withInviteUsed(roster: Roster, used: string | undefined): Roster {
  const invite = used === undefined ? undefined : roster.invites.get(used);
  if (used === undefined || !invite) return roster;
  return { ...roster, invites: new Map(roster.invites).set(used, { ...invite, usesLeft: invite.usesLeft - 1 }) };
}

/** @param at milliseconds since 1970, where mutes outlive it */
function withoutMembers(roster: Roster, gone: readonly UserId[], at: number | undefined): Roster {
  const [members, joined, muted] = [new Map(roster.members), new Map(roster.joined), new Map(roster.muted)];
  for (const map of at === undefined ? [members, joined, muted] : [members, joined]) {
    for (const user of gone) map.delete(user);
  }
  return { ...roster, members, joined, muted: at === undefined ? muted : standing(muted, members, at) };
}

/** Mutes whose time is not over, of those who have left no more than MAX_ABSENT_MUTES. */
function standing(muted: Roster['muted'], members: Roster['members'], at: number): Roster['muted'] {
  const still = [...muted].filter(([, until]) => until > at);
  const absent = still.filter(([user]) => !members.has(user)).sort(([, one], [, other]) => other - one);
  const ended = new Set(absent.slice(MAX_ABSENT_MUTES).map(([user]) => user));
  return new Map(still.filter(([user]) => !ended.has(user)));
}

const without = (users: ReadonlySet<UserId>, gone: readonly UserId[]): ReadonlySet<UserId> =>
  new Set([...users].filter((user) => !gone.includes(user)));
