/**
 * The fold behind the fan-out: events of the log in, what each user must see out. Pure: it knows of no clock but the log's
 * and of no I/O; what it must know is asked of `FanOutLookup`, what it changed is returned.
 *
 * A window is a span of consecutive events folded together. Within it, the entries of one conversation are gathered into
 * runs: the same entries for the same audience, written once and sent to all. A run keeps the log's order, and so do the
 * runs of one conversation; runs of different conversations may overtake each other within a window (docs/adr/0001).
 */
import {
  type Conversation,
  type ConversationEvent,
  evolve,
  hasIndex,
  type MessageRef,
  partOf,
  type RefusalCode,
  refusalOf,
} from '../domain/conversation.ts';
import { movesDeliveredMark } from '../domain/delivered-mark.ts';
import { type ConversationId, type UserId, uuidv7TimeMs } from '../domain/ids.ts';
import { movesReadMark } from '../domain/read-mark.ts';
import { adminsOf, maySee, type Roster, showsMarks } from '../domain/roster.ts';
import type { LogEvent, UnreadableEvent } from '../ports/conversation-log.ts';
import type { ChangedMark, FanOutChanges, FanOutLookup, FoldedConversation, Seen } from '../ports/fan-out-state.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { encodeLogEvent } from '../protocol/log-event.ts';
import { Remembered } from './remembered.ts';
import { EntryCounts, type Outlet, type Run, RunsDraft } from './runs.ts';

export type { Run } from './runs.ts';

/**
 * How long an accepted id is remembered. A retry within it makes no second message; a UUIDv7 older than it is refused, so
 * that such a retry makes none however late it comes. Other ids are new again after it.
 */
export const SEEN_HORIZON_MS = 24 * 3_600_000;

/** An event that took effect, and what it met and left: what read models are built from, so that they never judge anew. */
export interface Accepted {
  readonly logged: LogEvent;
  readonly before: Conversation;
  /** The very same as `before` where the event changes no conversation (a read mark). */
  readonly after: Conversation;
  /** The message that an edit or a recall changes. */
  readonly target: Seen | undefined;
}

/** An event that took no effect, for its sender to hear of. */
export interface Refused {
  readonly logged: LogEvent;
  readonly code: RefusalCode | 'MESSAGE_ID_EXPIRED';
}

export interface FoldedWindow {
  readonly runs: readonly Run[];
  /** In the order of the log. */
  readonly accepted: readonly Accepted[];
  readonly refused: readonly Refused[];
  readonly changes: FanOutChanges;
  /** Conversations whose roster is another one now: gateways drop their view of them. */
  readonly rosterChanges: readonly ConversationId[];
}

/** A folded window without its entries for inboxes. */
export type Judged = Omit<FoldedWindow, 'runs'>;

export const foldWindow = (lookup: FanOutLookup, events: readonly LogEvent[]): FoldedWindow => {
  const draft = new RunsDraft();
  return { ...judged(lookup, events, draft), runs: draft.runs };
};

function judged(lookup: FanOutLookup, events: readonly LogEvent[], outlet: Outlet | undefined): Judged {
  const draft = new WindowDraft(lookup, outlet);
  for (const event of events) draft.fold(event);
  return draft.finish();
}

interface Readable {
  /** Events the fold threw at: a defect of ours, or an event no gateway of ours wrote. They are left out. */
  readonly unreadable: readonly UnreadableEvent[];
}

export type FoldedReadable = FoldedWindow & Readable;

/** As `foldWindow`, but an event that makes the fold throw stops nobody: it is left out and returned with the reason. */
export const foldReadable = (lookup: FanOutLookup, events: readonly LogEvent[]): FoldedReadable =>
  readable((readable) => foldWindow(lookup, readable), events);

/** The same for who only asks what took effect: entries for inboxes are not made. */
export const acceptReadable = (lookup: FanOutLookup, events: readonly LogEvent[]): Judged & Readable =>
  readable((readable) => judged(lookup, readable, undefined), events);

/** The same for who only counts entries. */
export const countReadable = (
  lookup: FanOutLookup,
  events: readonly LogEvent[],
): Judged & Readable & { readonly counts: EntryCounts } =>
  readable((readable) => {
    const counts = new EntryCounts();
    return { ...judged(lookup, readable, counts), counts };
  }, events);

function readable<Folded>(
  fold: (events: readonly LogEvent[]) => Folded,
  events: readonly LogEvent[],
): Folded & Readable {
  try {
    return { ...fold(events), unreadable: [] };
  } catch (error) {
    // The lookup's own trouble (a full disk) is not the event's fault.
    if (error instanceof RookeryError) throw error;
  }
  const left: LogEvent[] = [];
  const unreadable: UnreadableEvent[] = [];
  for (const event of events) {
    try {
      fold([...left, event]);
      left.push(event);
    } catch (error) {
      if (error instanceof RookeryError) throw error;
      unreadable.push({
        pos: event.pos,
        subject: event.conversation,
        reason: `the fold failed: ${String(error)}`,
        data: encodeLogEvent(event.event),
      });
    }
  }
  return { ...fold(left), unreadable };
}

/** A window in the making. Nothing of it is seen outside before `finish`. */
class WindowDraft {
  readonly #lookup: FanOutLookup;
  readonly #conversations = new Map<ConversationId, FoldedConversation>();
  readonly #readMarks: Marks = new Map();
  readonly #deliveredMarks: Marks = new Map();
  /** What this window itself has accepted. */
  readonly #remembered = new Remembered();
  readonly #outlet: Outlet | undefined;
  readonly #accepted: Accepted[] = [];
  readonly #refused: Refused[] = [];
  readonly #rosterChanges = new Set<ConversationId>();
  #at = 0;

  /** @param outlet undefined: who must see what is not asked */
  constructor(lookup: FanOutLookup, outlet: Outlet | undefined) {
    this.#lookup = lookup;
    this.#outlet = outlet;
  }

  fold(logged: LogEvent): void {
    const { event, conversation: id } = logged;
    this.#at = Math.max(this.#at, logged.at);
    const before = this.#folded(id);
    const isStateEvent = partOf(event) === 's';
    const statePos = isStateEvent ? logged.pos : before.statePos;

    if (!isMark(event)) {
      const original = this.#seen(logged, event);
      if (original !== undefined) {
        this.#outlet?.duplicate(logged, original.pos);
        if (isStateEvent) this.#conversations.set(id, { conversation: before.conversation, statePos });
        return;
      }
    }
    const target = 'target' in event ? this.#seen(logged, event.target) : undefined;
    const circumstances = { at: logged.at, targetStands: (target?.n ?? 0) > 0 };
    const refusal = isExpired(event, logged.at)
      ? 'MESSAGE_ID_EXPIRED'
      : refusalOf(before.conversation, event, circumstances);
    if (refusal) {
      this.#refuse(logged, refusal);
      if (isStateEvent) this.#conversations.set(id, { conversation: before.conversation, statePos });
      return;
    }
    if (event.type === 'conversationRead') {
      this.#moveReadMark(logged, event.upTo, before);
      return;
    }
    if (event.type === 'conversationDelivered') {
      this.#moveDeliveredMark(logged, event.upTo, before);
      return;
    }
    this.#accept(logged, before, statePos, target);
  }

  finish(): Judged {
    const [readMarks, deliveredMarks] = [listOf(this.#readMarks), listOf(this.#deliveredMarks)];
    const seen = this.#remembered.all();
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      changes: { at: this.#at, conversations: this.#conversations, readMarks, deliveredMarks, seen },
      rosterChanges: [...this.#rosterChanges],
    };
  }

  #accept(logged: LogEvent, before: FoldedConversation, statePos: number, target: Seen | undefined): void {
    const { event, conversation: id, pos, at } = logged;
    const after = evolve(before.conversation, event, at);
    this.#accepted.push({ logged, before: before.conversation, after, target });
    this.#conversations.set(id, { conversation: after, statePos });
    const n = event.type === 'messageSent' ? after.lastIndex : 0;
    this.#remembered.put({ conversation: id, by: event.by, id: event.id, pos, n, expiresAt: expiryOf(logged) });
    if (event.type === 'messageRecalled' && target) {
      this.#remembered.put({ conversation: id, ...event.target, pos: target.pos, n: 0, expiresAt: target.expiresAt });
    }
    if (after.roster !== before.conversation.roster) this.#rosterChanges.add(id);
    if (!hasIndex(event)) {
      this.#outlet?.beside(logged, audienceBeside(after.roster, event, target?.n ?? 0));
      return;
    }
    // Who leaves still sees that they left; who is added sees it as their first entry.
    const leaves = event.type === 'memberLeft' || event.type === 'membersRemoved';
    const { members } = (leaves ? before.conversation : after).roster;
    this.#outlet?.timeline(logged, audienceOf(members), after.lastIndex);
  }

  #moveReadMark(logged: LogEvent, upTo: number, { conversation }: FoldedConversation): void {
    const { conversation: id, event } = logged;
    if (!movesReadMark(this.#readMark(id, event.by), upTo)) return;
    putMark(this.#readMarks, id, event.by, upTo);
    this.#accepted.push({ logged, before: conversation, after: conversation, target: undefined });
    // To the reader's other devices; in a direct conversation also to the other one.
    this.#outlet?.beside(logged, [...new Set([event.by, ...peersOf(conversation.roster)])]);
  }

  #moveDeliveredMark(logged: LogEvent, upTo: number, { conversation }: FoldedConversation): void {
    const { conversation: id, event } = logged;
    const { by } = event;
    const mark = this.#deliveredMarks.get(id)?.get(by) ?? this.#lookup.deliveredMark(id, by);
    if (!movesDeliveredMark(mark, this.#readMark(id, by), upTo)) return;
    putMark(this.#deliveredMarks, id, by, upTo);
    this.#accepted.push({ logged, before: conversation, after: conversation, target: undefined });
    // To who has sent it alone: one's own devices have nothing of it.
    const audience = peersOf(conversation.roster).filter((user) => user !== by);
    if (audience.length > 0) this.#outlet?.beside(logged, audience);
  }

  #readMark(id: ConversationId, user: UserId): number {
    return this.#readMarks.get(id)?.get(user) ?? this.#lookup.readMark(id, user);
  }

  #refuse(logged: LogEvent, code: RefusalCode | 'MESSAGE_ID_EXPIRED'): void {
    this.#refused.push({ logged, code });
    this.#outlet?.rejected(logged, code);
  }

  #folded(id: ConversationId): FoldedConversation {
    return this.#conversations.get(id) ?? this.#lookup.folded(id);
  }

  /** What was accepted of this sender with this id, in this window or before. */
  #seen({ conversation, at }: LogEvent, { by, id }: MessageRef): Seen | undefined {
    const here = this.#remembered.get(conversation, by, id);
    if (here) return here.expiresAt > at ? here : undefined;
    return this.#lookup.seen(conversation, by, id, at);
  }
}

type Marks = Map<ConversationId, Map<UserId, number>>;

function putMark(all: Marks, id: ConversationId, user: UserId, upTo: number): void {
  let marks = all.get(id);
  if (!marks) all.set(id, (marks = new Map()));
  marks.set(user, upTo);
}

const listOf = (all: Marks): ChangedMark[] =>
  [...all].flatMap(([conversation, marks]) => [...marks].map(([user, upTo]) => ({ conversation, user, upTo })));

/** A mark that only moves forward: the same once more is nothing, so its id needs not be remembered. */
const isMark = ({ type }: ConversationEvent): boolean =>
  type === 'conversationRead' || type === 'conversationDelivered';

/** The two of a direct conversation. While there is a block between them neither hears of the other's marks. */
const peersOf = (roster: Roster): UserId[] =>
  roster.kind === 'direct' && showsMarks(roster) ? [...roster.members.keys()] : [];

/**
 * A clock ahead of the log's must not make its ids forgotten while they still count as fresh. One that is ahead by more than the
 * horizon is no clock: such an id is remembered as any other, or whoever makes them up would be remembered for ever.
 */
function expiryOf({ event, at }: LogEvent): number {
  const made = uuidv7TimeMs(event.id) ?? 0;
  return (made > at + SEEN_HORIZON_MS ? at : Math.max(at, made)) + SEEN_HORIZON_MS;
}

/**
 * Whether an id is so old that the fold may have forgotten it: then nobody can tell a retry from a new message, and it is
 * refused. The gateway asks the same before it appends.
 */
export function isExpired(event: ConversationEvent, at: number): boolean {
  if (isMark(event)) return false;
  const { id } = event;
  const made = uuidv7TimeMs(id);
  return made !== undefined && made <= at - SEEN_HORIZON_MS;
}

const audiences = new WeakMap<ReadonlyMap<UserId, unknown>, readonly UserId[]>();

/** The members in the order of joining; the same array for the same map of members. */
function audienceOf(members: ReadonlyMap<UserId, unknown>): readonly UserId[] {
  let audience = audiences.get(members);
  if (!audience) audiences.set(members, (audience = [...members.keys()]));
  return audience;
}

/**
 * Who sees what has no place in the timeline. A block concerns who blocks: the other must not learn of it. What changes a
 * message concerns those who may see it. Who wants to come in concerns them and those who may let them in.
 */
function audienceBeside(roster: Roster, event: ConversationEvent, targetIndex: number): readonly UserId[] {
  switch (event.type) {
    case 'messageEdited':
    case 'messageRecalled': {
      const everybody = audienceOf(roster.members);
      const isForAll = everybody.every((user) => maySee(roster, user, targetIndex));
      return isForAll ? everybody : everybody.filter((user) => maySee(roster, user, targetIndex));
    }
    case 'joinRequested':
      return [...adminsOf(roster), event.by];
    case 'joinDeclined':
      return [...adminsOf(roster), event.member];
    case 'inviteCreated':
    case 'inviteRevoked':
      return adminsOf(roster);
    case 'contactRequested':
    case 'contactDeclined':
    case 'contactRemoved':
      // Who has blocked the other hears nothing of them.
      return audienceOf(roster.members).filter((user) => user === event.by || !roster.blockers.has(user));
    default:
      return [event.by];
  }
}
