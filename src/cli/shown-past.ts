/** A past state on a terminal. */
import type { FoldCounts } from '../application/replay/fold-counts.ts';
import type { MessageContent } from '../domain/conversation.ts';
import type { InboxEntry, PastConversation, PastUser } from '../processes/past.ts';
import type { Entry, HistoryEntry } from '../protocol/frames.ts';
import { shownTime } from './places.ts';
import { detailsOf } from './shown-event.ts';
import { counted, onOneLine, painted, table } from './terminal.ts';

export function conversationLines(past: PastConversation): string {
  const { conversation, kind, name, dissolved, lastIndex, members, timeline } = past;
  const title = name === '' ? '' : ` ${JSON.stringify(name)}`;
  const head = `${painted(onOneLine(conversation), 'bold')}  ${kind}${onOneLine(title)}, index ${lastIndex}${dissolved ? ', dissolved' : ''}`;
  const people = Object.entries(members).map(([user, { role, readUpTo, unread }]) => [
    onOneLine(user),
    role,
    `read up to ${readUpTo}`,
    `${unread} unread`,
  ]);
  const { settings, contact, blockers, requests, invites } = past;
  const more = kind === 'direct' ? { contact, blockers } : { ...settings, requests, invites };
  return [head, table(people, '  '), `  ${painted(onOneLine(JSON.stringify(more)), 'dim')}`, entriesTable(timeline)]
    .filter((part) => part !== '')
    .join('\n');
}

export function userLines({ user, badge, conversations, inbox }: PastUser): string {
  const head = `${painted(onOneLine(user), 'bold')}  ${badge.unread} unread in ${counted(badge.conversations, 'conversation')} (${badge.mutedUnread} muted)`;
  const list = conversations.map(({ conversation, name, unread, mentions, lastIndex, last }) => [
    onOneLine(conversation),
    onOneLine(name),
    `index ${lastIndex}`,
    `${unread} unread${mentions > 0 ? `, ${counted(mentions, 'mention')}` : ''}`,
    detailsOf(asEvent(last)),
  ]);
  const entries = inbox.map((entry) => [onOneLine(entry.conversation), ...cellsOf(entry)]);
  return [head, table(list, '  '), 'inbox, the newest last', table(entries, '  ')]
    .filter((part) => part !== '')
    .join('\n');
}

/** All events that were read, below them what came of each, and then what inboxes get. */
export function countLines(counts: FoldCounts): string {
  const { events, accepted, unchanged, refused, duplicates, unreadable, entries } = counts;
  const outcomes = [
    ['accepted', accepted],
    ['changed nothing', unchanged],
    ['duplicates', duplicates],
    ...[...refused].sort().map(([code, count]) => [`refused ${code}`, count]),
    ['unreadable', unreadable],
  ];
  const rows = [['events read', events], ...outcomes.map(([name, count]) => [`  ${name}`, count])];
  return table(
    [...rows, ['inbox entries', entries]].map(([name, count]) => [String(name), String(count)]),
    '  ',
  );
}

const entriesTable = (timeline: readonly HistoryEntry[]): string => table(timeline.map(cellsOf), '  ');

function cellsOf(entry: Entry | HistoryEntry | InboxEntry): string[] {
  const { edited, recalled } = entry as HistoryEntry;
  const note = recalled
    ? `recalled by ${onOneLine(recalled.by)} at ${shownTime(recalled.at)}`
    : edited
      ? '(edited) '
      : '';
  const n = 'n' in entry ? String(entry.n) : '·';
  const text = recalled ? note : note + detailsOf(asEvent(entry));
  return [n, painted(shownTime(entry.at), 'dim'), onOneLine(entry.by), entry.type, text];
}

/** What it says beside what every entry has. */
function asEvent(entry: Entry | HistoryEntry | InboxEntry): Parameters<typeof detailsOf>[0] {
  const {
    n: _n,
    pos: _pos,
    at: _at,
    conversation: _conversation,
    edited: _edited,
    ...rest
  } = entry as HistoryEntry & Partial<InboxEntry> & Partial<MessageContent>;
  return rest as never;
}
