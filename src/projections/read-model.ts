/**
 * The rows that a window of the log changes in the read model. Pure. It starts from what the fan-out's fold has accepted, so
 * that a list, an unread count or a page of history can never disagree with what was delivered.
 */
import type { MessageContent, Roster } from '../domain/conversation.ts';
import { hasIndex } from '../domain/conversation.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import { showsMarks } from '../domain/roster.ts';
import type { LogEvent } from '../ports/conversation-log.ts';
import {
  type Amendment,
  type ContactChange,
  type ConversationFacts,
  EVERYBODY,
  type MembershipChange,
  type Mentioned,
  type PreferenceChange,
  type ReadModelChanges,
  type ReadReceipt,
  type Receipt,
  type Summary,
  type TimelineEntry,
} from '../ports/read-model.ts';
import { contentOf, timelineEntry } from './entry.ts';
import type { Accepted } from './fan-out.ts';

export function readModelChanges(accepted: readonly Accepted[]): ReadModelChanges {
  const draft = new Draft();
  for (const event of accepted) draft.add(event);
  return draft.changes();
}

class Draft {
  readonly #summaries = new Map<ConversationId, Summary>();
  readonly #memberships: MembershipChange[] = [];
  readonly #entries: { conversation: ConversationId; entry: TimelineEntry; mentioned: Mentioned }[] = [];
  readonly #ownLast = new Map<ConversationId, Map<UserId, number>>();
  readonly #amendments: Amendment[] = [];
  /** By conversation and user: of several marks in a window the last one counts. */
  readonly #receipts = new Map<ConversationId, Map<UserId, ReadReceipt>>();
  readonly #delivered = new Map<ConversationId, Map<UserId, Receipt>>();
  readonly #preferences: PreferenceChange[] = [];
  readonly #contacts = new Map<ConversationId, ContactChange>();

  add(accepted: Accepted): void {
    const { event } = accepted.logged;
    if (event.type === 'conversationRead') this.#read(accepted, event.upTo);
    else if (event.type === 'conversationDelivered') this.#deliver(accepted, event.upTo);
    else if (hasIndex(event)) this.#enter(accepted);
    else if (event.type === 'messageEdited') this.#amend(accepted, contentOf(event));
    else if (event.type === 'messageRecalled') this.#amend(accepted);
    else if (event.type === 'preferencesChanged') {
      const { by: user, about, preferences } = event;
      const { lastIndex } = accepted.after;
      this.#preferences.push({ about, user, preferences, lastIndex, at: accepted.logged.at });
    } else if (accepted.after.roster.kind === 'direct') this.#relate(accepted);
  }

  #relate({ logged, after }: Accepted): void {
    const { conversation, at } = logged;
    const { contact, blockers } = after.roster;
    this.#contacts.set(conversation, { conversation, contact, blockers, at });
  }

  changes(): ReadModelChanges {
    return {
      summaries: this.#summaries,
      memberships: this.#memberships,
      entries: this.#entries,
      ownLast: this.#ownLast,
      amendments: this.#amendments,
      receipts: [...this.#receipts.values()].flatMap((marks) => [...marks.values()]),
      delivered: [...this.#delivered.values()].flatMap((marks) => [...marks.values()]),
      preferences: this.#preferences,
      contacts: [...this.#contacts.values()],
    };
  }

  #enter({ logged, before, after }: Accepted): void {
    const { conversation, event, pos, at } = logged;
    const { roster, lastIndex: n } = after;
    const isNew = n === 1 || roster !== before.roster;
    const about = isNew ? factsOf(roster) : this.#summaries.get(conversation)?.about;
    this.#summaries.set(conversation, { about, lastIndex: n, lastPos: pos, lastAt: at });
    this.#follow(logged, before.roster, roster, n);
    const mentioned = event.type === 'messageSent' ? mentionedBy(event, roster) : [];
    this.#entries.push({ conversation, entry: timelineEntry(logged, n) as TimelineEntry, mentioned });
    if (roster.members.has(event.by)) of(this.#ownLast, conversation).set(event.by, n);
  }

  /** Who is there now and was not before, and the reverse. Both of a direct conversation are there from its first entry on. */
  #follow({ conversation, at }: LogEvent, before: Roster, after: Roster, n: number): void {
    if (after.kind === 'direct' && n === 1) {
      for (const [user, role] of after.members) {
        this.#memberships.push({ type: 'joined', conversation, user, n: 0, seesFrom: 0, role });
      }
    }
    if (after.members === before.members) return;
    for (const [user, role] of after.members) {
      const roleBefore = before.members.get(user);
      if (roleBefore === undefined) {
        const seesFrom = after.joined.get(user) ?? 0;
        this.#memberships.push({ type: 'joined', conversation, user, n, seesFrom, role });
      } else if (roleBefore !== role) this.#memberships.push({ type: 'role', conversation, user, role });
    }
    for (const user of before.members.keys()) {
      if (after.members.has(user)) continue;
      this.#memberships.push({ type: 'left', conversation, user, n, at });
      // Who has left reads and writes no more: rows are written after all memberships of the window, and must not outlive this one.
      this.#receipts.get(conversation)?.delete(user);
      this.#ownLast.get(conversation)?.delete(user);
    }
  }

  /** @param content what is shown from now on; none: nothing */
  #amend({ logged, after, target }: Accepted, content?: MessageContent): void {
    if (!target) return;
    const { conversation, pos, at, event } = logged;
    const about = { conversation, target: { n: target.n, pos: target.pos }, pos, at, by: event.by };
    this.#amendments.push(
      content
        ? { type: 'edited', ...about, content, mentioned: mentionedBy(content, after.roster) }
        : { type: 'recalled', ...about },
    );
  }

  /** For the other alone: what is not shown to them is nothing. */
  #deliver({ logged, after }: Accepted, upTo: number): void {
    const { conversation, at, event } = logged;
    if (!showsMarks(after.roster)) return;
    of(this.#delivered, conversation).set(event.by, { conversation, user: event.by, upTo, at });
  }

  #read({ logged, after }: Accepted, upTo: number): void {
    const { conversation, at, event } = logged;
    const receipts = of(this.#receipts, conversation);
    const shown = showsMarks(after.roster) ? { upTo, at } : receipts.get(event.by)?.shown;
    receipts.set(event.by, { conversation, user: event.by, upTo, at, shown });
  }
}

const factsOf = ({ kind, name, settings, members, dissolved }: Roster): ConversationFacts => ({
  kind: kind === 'direct' ? 'direct' : 'group',
  name,
  avatar: settings.avatar,
  memberCount: members.size,
  dissolved,
});

function mentionedBy({ mentions, mentionsAll }: MessageContent, { members }: Roster): Mentioned {
  if (!mentions && !mentionsAll) return NOBODY;
  const named = new Set((mentions ?? []).filter((user) => members.has(user)));
  return mentionsAll ? [EVERYBODY, ...named] : [...named];
}

const NOBODY: Mentioned = [];

function of<Value>(maps: Map<ConversationId, Map<UserId, Value>>, conversation: ConversationId): Map<UserId, Value> {
  let map = maps.get(conversation);
  if (!map) maps.set(conversation, (map = new Map()));
  return map;
}
