/**
 * The rows of the conversation list: as the server told them, and moved on by each entry since. Pure.
 *
 * A row says by its `lastIndex` and `pos` what it has taken in: an entry that comes again changes nothing.
 */
import type { ConversationId, Entry, HistoryEntry, ListedConversation, UserId } from '../../sdk/index.ts';
import { directPair } from '../../sdk/index.ts';
import { amended, isAmendment, isIndexed } from './timeline.ts';

export interface Row extends Omit<ListedConversation, 'last'> {
  /** Absent: nothing has been said yet. */
  readonly last?: HistoryEntry;
  /** Position of the newest entry that was taken in. */
  readonly pos: number;
  /** Name and members of a group have yet to be asked for. */
  readonly isIncomplete?: true;
  /** This user is in it no more. */
  readonly left?: true;
}

export function newRow(conversation: ConversationId): Row {
  const isDirect = directPair(conversation) !== undefined;
  return {
    conversation,
    kind: isDirect ? 'direct' : 'group',
    name: '',
    avatar: '',
    memberCount: isDirect ? 2 : 0,
    dissolved: false,
    lastIndex: 0,
    lastAt: 0,
    readUpTo: 0,
    unread: 0,
    mentions: 0,
    preferences: {},
    pos: 0,
    ...(!isDirect && { isIncomplete: true as const }),
  };
}

/** What the server tells, unless more is known already. */
export function told(row: Row | undefined, { ...listed }: ListedConversation): Row {
  const pos = listed.last.pos;
  if (row && row.lastIndex > listed.lastIndex) {
    const { name, avatar, memberCount, dissolved, kind } = listed;
    const { isIncomplete: _, ...known } = row;
    return { ...known, kind, name, avatar, memberCount, dissolved };
  }
  const readUpTo = Math.max(listed.readUpTo, row?.readUpTo ?? 0);
  const isRead = readUpTo > listed.readUpTo;
  const unread = isRead ? Math.max(0, Math.min(listed.unread, listed.lastIndex - readUpTo)) : listed.unread;
  const mentions = Math.min(listed.mentions, unread);
  return { ...listed, readUpTo, unread, mentions, pos: Math.max(pos, row?.pos ?? 0) };
}

/** The row after `entry`; the same one where it changes nothing. @param seen: what has come to it is read at once */
export function moved(row: Row, entry: Entry, me: UserId): Row {
  if (entry.pos <= row.pos) return row;
  const now = { ...row, pos: entry.pos };
  if (isIndexed(entry)) return grown(now, entry, me);
  if (isAmendment(entry)) {
    const last = now.last && isSame(now.last, entry.target) ? amended(now.last, entry) : now.last;
    return { ...now, ...(last && { last }) };
  }
  switch (entry.type) {
    case 'conversationRead':
      if (entry.by === me) return readUpTo(now, entry.upTo);
      return now.kind === 'direct' ? { ...now, peerReadUpTo: Math.max(now.peerReadUpTo ?? 0, entry.upTo) } : now;
    case 'conversationDelivered':
      return { ...now, peerDeliveredUpTo: Math.max(now.peerDeliveredUpTo ?? 0, entry.upTo) };
    case 'preferencesChanged':
      return entry.about === now.conversation
        ? { ...now, preferences: { ...now.preferences, ...entry.preferences } }
        : now;
    default:
      return now;
  }
}

/** What lies up to `upTo` is read. */
export function readUpTo(row: Row, upTo: number): Row {
  if (upTo <= row.readUpTo) return row;
  const unread = Math.max(0, Math.min(row.unread, row.lastIndex - upTo));
  return { ...row, readUpTo: upTo, unread, mentions: Math.min(row.mentions, unread) };
}

type Indexed = Extract<Entry, { readonly n: number }>;

function grown(row: Row, entry: Indexed, me: UserId): Row {
  const changed = { ...row, ...changeOf(row, entry, me) };
  if (entry.n <= row.lastIndex) return changed;
  const isOwn = entry.by === me;
  const joins = joinsBy(entry, me);
  const { hidden: _, ...preferences } = row.preferences;
  return {
    ...changed,
    ...{ lastIndex: entry.n, lastAt: entry.at, last: entry, preferences },
    ...(isOwn || joins
      ? { readUpTo: entry.n, unread: 0, mentions: 0 }
      : { unread: row.unread + 1, mentions: row.mentions + (isMentioned(entry, me) ? 1 : 0) }),
  };
}

/** What an entry changes of the conversation itself. */
function changeOf(row: Row, entry: Indexed, me: UserId): Partial<Row> {
  switch (entry.type) {
    case 'groupCreated':
      return { name: entry.name, memberCount: new Set([entry.by, ...entry.members]).size };
    case 'groupRenamed':
      return { name: entry.name };
    case 'groupChanged':
      return entry.settings.avatar === undefined ? {} : { avatar: entry.settings.avatar };
    case 'groupDissolved':
      return { dissolved: true };
    case 'memberJoined':
      return { memberCount: row.memberCount + 1 };
    case 'membersAdded':
      return { memberCount: row.memberCount + entry.members.length };
    case 'membersRemoved':
      return {
        memberCount: row.memberCount - entry.members.length,
        ...(entry.members.includes(me) && { left: true as const }),
      };
    case 'memberLeft':
      return { memberCount: row.memberCount - 1, ...(entry.by === me && { left: true as const }) };
    default:
      return {};
  }
}

const joinsBy = (entry: Indexed, me: UserId): boolean =>
  (entry.type === 'membersAdded' || entry.type === 'groupCreated') && entry.members.includes(me);

export const isMentioned = (entry: Entry, me: UserId): boolean =>
  entry.type === 'message' && (entry.mentionsAll === true || (entry.mentions?.includes(me) ?? false));

const isSame = (entry: HistoryEntry, target: { readonly by: UserId; readonly id: string }): boolean =>
  entry.by === target.by && entry.id === target.id;

/** Now; -1: for ever. */
export const isMuted = ({ preferences: { mutedUntil = 0 } }: Row, nowMs: number): boolean =>
  mutedUntil === -1 || mutedUntil > nowMs;

/** As the server orders them: pinned ones first, then by the newest entry. @param archived those that were put away instead */
export function inOrder(rows: Iterable<Row>, archived = false): Row[] {
  return [...rows]
    .filter(({ preferences }) => (preferences.archived ?? false) === archived && !preferences.hidden)
    .sort(
      (a, b) =>
        Number(b.preferences.pinned ?? false) - Number(a.preferences.pinned ?? false) ||
        b.lastAt - a.lastAt ||
        (a.conversation < b.conversation ? -1 : 1),
    );
}
