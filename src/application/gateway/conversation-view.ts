/** A conversation as a member sees it: who is in it and how it is set; who leads it sees also who waits to come in, and by what one may. */
import type { UserId } from '../../domain/ids.ts';
import { isUsable, type Roster } from '../../domain/roster.ts';
import type { View } from '../../ports/conversation-views.ts';
import type { ConversationView } from '../../protocol/frames.ts';

/** Members told to who asks for a conversation; of more there is the count. */
export const MAX_QUERIED_MEMBERS = 500;

/** Undefined: there is no such conversation for this user. @param at milliseconds since 1970 */
export function viewFor(user: UserId, { conversation, memberCount }: View, at: number): ConversationView | undefined {
  const { id, roster, lastIndex } = conversation;
  const role = roster.members.get(user);
  if (role === undefined || roster.kind === 'none') return undefined;
  const { kind, name, settings, dissolved } = roster;
  return {
    ...{ conversation: id, kind, name, memberCount, settings, dissolved, lastIndex },
    members: membersOf(roster, at),
    ...(role !== 'member' && { requests: [...roster.requests], invites: invitesOf(roster, at) }),
  };
}

const membersOf = ({ members, muted }: Roster, at: number): ConversationView['members'] =>
  [...members].slice(0, MAX_QUERIED_MEMBERS).map(([user, role]) => {
    const mutedUntil = muted.get(user) ?? 0;
    return mutedUntil > at ? { user, role, mutedUntil } : { user, role };
  });

const invitesOf = ({ invites }: Roster, at: number): NonNullable<ConversationView['invites']> =>
  [...invites]
    .filter(([, invite]) => isUsable(invite, at))
    .map(([invite, { expiresAt, usesLeft }]) => ({
      ...{ invite, expiresAt },
      usesLeft: Number.isFinite(usesLeft) ? usesLeft : 0,
    }));
