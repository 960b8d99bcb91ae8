/** The read model as a child would write it: every event folded alone, every inbox kept whole, every answer counted anew. */
import type { MessageContent, Preferences, Roster } from '../../src/domain/conversation.ts';
import type { ConversationId, UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { foldWindow } from '../../src/projections/fan-out.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import type { Entry } from '../../src/protocol/frames.ts';

/** What one user has got of one conversation. */
interface Inbox {
  /** Indexes they may see, each with the positions of the message and of those edits they were told. */
  readonly visible: Map<number, readonly number[]>;
  /** Indexes got since they came in for the last time. */
  since: number[];
  /** How far they have read since then; their own newest entry. */
  mark: number;
  markAt: number;
  /** The furthest that some device of theirs has told to have stored. */
  delivered: number;
  /** What the others may see of these. */
  shown: number;
  shownAt: number;
  shownDelivered: number;
  ownLast: number;
  joined: number;
  preferences: Preferences;
  /** Newest index when it was hidden. */
  hiddenAt: number;
  /** The log's time of the newest thing they got of it. */
  changedAt: number;
}

/** What changes a conversation for who gets it. */
const CHANGES: ReadonlySet<Entry['type']> = new Set<Entry['type']>([
  'conversationRead',
  'messageEdited',
  'messageRecalled',
  'preferencesChanged',
]);

const nothingYet = () => ({ preferences: {}, hiddenAt: -1, changedAt: -1 });
const byUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export interface NaiveMessage {
  readonly n: number;
  readonly pos: number;
  readonly at: number;
  readonly sender: UserId;
  /** What is shown of it; undefined: it was recalled, or is no message. */
  shown: MessageContent | undefined;
  recalled: boolean;
  editedPos: number | undefined;
  /** Positions of the message and its edits; of what was recalled none. */
  versions: readonly number[];
  /** Whom the content shown names, of those who were there then. */
  named: readonly UserId[];
}

export class NaiveReadModel {
  readonly state = new MemoryFanOutState();
  readonly #inboxes = new Map<string, Inbox>();
  readonly timelines = new Map<ConversationId, NaiveMessage[]>();

  /** What was edited or recalled, and when. */
  readonly amended: { readonly id: ConversationId; readonly n: number; readonly at: number }[] = [];

  constructor(log: readonly LogEvent[]) {
    for (const event of log) this.#add(event);
  }

  /** Who has left sees a message as it stood then, unless it was recalled. */
  seenBy(user: UserId, id: ConversationId, n: number): NaiveMessage | undefined {
    const message = this.timelines.get(id)?.[n - 1];
    const versions = this.inbox(user, id).visible.get(n);
    if (!message || !versions || message.recalled || !message.shown) return message;
    const newest = versions.at(-1) ?? message.pos;
    const editedPos = newest === message.pos ? undefined : newest;
    return { ...message, versions, editedPos, shown: this.#contents.get(newest) };
  }

  inbox(user: UserId, id: ConversationId): Inbox {
    const key = `${user} ${id}`;
    let inbox = this.#inboxes.get(key);
    if (!inbox) {
      inbox = {
        visible: new Map(),
        since: [],
        mark: 0,
        markAt: 0,
        delivered: 0,
        shown: 0,
        shownAt: 0,
        shownDelivered: 0,
        ownLast: 0,
        joined: 0,
        ...nothingYet(),
      };
      this.#inboxes.set(key, inbox);
    }
    return inbox;
  }

  /** In their order. */
  conversationsOf(user: UserId, archived = false): ConversationId[] {
    const last = (id: ConversationId): number => this.timelines.get(id)?.at(-1)?.at ?? 0;
    const pinned = (id: ConversationId): number => Number(this.inbox(user, id).preferences.pinned ?? false);
    return [...this.timelines.keys()]
      .filter((id) => this.isMember(user, id))
      .filter((id) => (this.inbox(user, id).preferences.archived ?? false) === archived && !this.isHidden(user, id))
      .sort((a, b) => pinned(b) - pinned(a) || last(b) - last(a) || byUtf8(a, b));
  }

  isMember(user: UserId, id: ConversationId): boolean {
    return this.state.folded(id).conversation.roster.members.has(user);
  }

  isHidden(user: UserId, id: ConversationId): boolean {
    const { preferences, hiddenAt } = this.inbox(user, id);
    return preferences.hidden === true && hiddenAt === this.timelines.get(id)?.length;
  }

  /** Those they got something of since then, by their ids. */
  changedFor(user: UserId, since: number): ConversationId[] {
    return [...this.timelines.keys()].filter((id) => this.inbox(user, id).changedAt >= since).sort(byUtf8);
  }

  unread(user: UserId, id: ConversationId): NaiveMessage[] {
    const { since, mark, ownLast, joined } = this.inbox(user, id);
    return since
      .filter((n) => n > mark && n > ownLast && n > joined)
      .map((n) => this.timelines.get(id)?.[n - 1] as NaiveMessage)
      .filter(({ recalled }) => !recalled);
  }

  mentions(user: UserId, id: ConversationId): number {
    return this.unread(user, id).filter(({ shown, named }) => shown?.mentionsAll || named.includes(user)).length;
  }

  #add(logged: LogEvent): void {
    const { conversation: id, event, pos, at } = logged;
    const before = this.state.folded(id).conversation.roster;
    const { runs, changes } = foldWindow(this.state, [logged]);
    this.state.apply(changes);
    const { roster } = this.state.folded(id).conversation;
    if (event.type === 'conversationDelivered') this.#deliver(logged, roster, event.upTo);
    const entry = runs[0]?.entries[0];
    if (!entry || entry.type === 'rejected' || entry.type === 'duplicate') return;
    let timeline = this.timelines.get(id);
    for (const user of this.#concerned(entry, runs[0]?.audience ?? [])) {
      this.inbox(user, id).changedAt = Math.max(at, this.inbox(user, id).changedAt);
    }
    if (entry.type === 'preferencesChanged') {
      const inbox = this.inbox(entry.by, id);
      inbox.preferences = { ...inbox.preferences, ...entry.preferences };
      if (entry.preferences.hidden) inbox.hiddenAt = timeline?.length ?? 0;
    }
    const named = (mentions: readonly UserId[] = []) => mentions.filter((user) => roster.members.has(user));
    if (entry.type === 'conversationRead') {
      Object.assign(this.inbox(entry.by, id), { mark: entry.upTo, markAt: at });
      if (!hasBlock(roster)) Object.assign(this.inbox(entry.by, id), { shown: entry.upTo, shownAt: at });
    }
    if (entry.type === 'messageRecalled' || entry.type === 'messageEdited') {
      const target = timeline?.find((message) => message.pos === this.#posOf(id, entry.target));
      if (!target) return;
      const isRecall = entry.type === 'messageRecalled';
      this.amended.push({ id, n: target.n, at });
      target.versions = isRecall ? [] : [...target.versions, pos];
      target.recalled ||= isRecall;
      target.shown = isRecall ? undefined : entry;
      target.editedPos = isRecall ? undefined : pos;
      for (const user of runs[0]?.audience ?? []) this.inbox(user, id).visible.set(target.n, target.versions);
      if (!isRecall) this.#contents.set(pos, entry);
      target.named = isRecall ? [] : named((entry as MessageContent).mentions);
    }
    if (!('n' in entry)) return;
    if (!timeline) this.timelines.set(id, (timeline = []));
    const isMessage = entry.type === 'message';
    if (isMessage) this.#contents.set(pos, entry);
    this.#positions.set(`${id} ${entry.by} ${entry.id}`, pos);
    timeline.push({
      ...{ n: entry.n, pos, at, sender: entry.by, recalled: false, editedPos: undefined, versions: [pos] },
      shown: isMessage ? entry : undefined,
      named: isMessage ? named(entry.mentions) : [],
    });
    for (const user of roster.members.keys()) {
      if (before.members.has(user)) continue;
      Object.assign(this.inbox(user, id), { since: [], mark: 0, shown: 0, ownLast: 0, joined: entry.n });
      if (before.settings.newcomersSee !== 'everything') continue;
      for (const { n, versions } of timeline) this.inbox(user, id).visible.set(n, versions);
    }
    for (const user of runs[0]?.audience ?? []) {
      const inbox = this.inbox(user, id);
      inbox.visible.set(entry.n, [pos]);
      inbox.since.push(entry.n);
    }
    this.inbox(event.by, id).ownLast = entry.n;
  }

  /** The other of a direct conversation sees the furthest of what was told, and what was read counts as well. */
  #deliver({ conversation: id, event, at }: LogEvent, roster: Roster, upTo: number): void {
    const { kind, members } = roster;
    const inbox = this.inbox(event.by, id);
    const isThere = upTo <= (this.timelines.get(id)?.length ?? 0);
    if (kind !== 'direct' || !members.has(event.by) || !isThere || upTo <= inbox.delivered) return;
    const isNew = upTo > inbox.mark;
    inbox.delivered = upTo;
    if (!isNew || hasBlock(roster)) return;
    inbox.shownDelivered = upTo;
    for (const user of members.keys()) {
      if (user !== event.by) this.inbox(user, id).changedAt = Math.max(at, this.inbox(user, id).changedAt);
    }
  }

  /** How far the other of a direct conversation has read it, and has it; nothing of a group. */
  peerOf(user: UserId, id: ConversationId): { peerReadUpTo?: number; peerDeliveredUpTo?: number } {
    const { kind, members } = this.state.folded(id).conversation.roster;
    const peer = [...members.keys()].find((one) => one !== user);
    if (kind !== 'direct' || peer === undefined) return {};
    const { shown, shownDelivered } = this.inbox(peer, id);
    return { peerReadUpTo: shown, peerDeliveredUpTo: Math.max(shown, shownDelivered) };
  }

  #concerned(entry: Entry, audience: readonly UserId[]): Iterable<UserId> {
    return 'n' in entry || CHANGES.has(entry.type) ? audience : [];
  }

  /** Of messages and edits, by position. */
  readonly #contents = new Map<number, MessageContent>();
  readonly #positions = new Map<string, number>();

  #posOf(id: ConversationId, { by, id: messageId }: { by: UserId; id: string }): number | undefined {
    return this.#positions.get(`${id} ${by} ${messageId}`);
  }
}

/** Between two who have blocked each other, or one the other, nobody sees how far somebody is. */
const hasBlock = ({ kind, blockers }: Roster): boolean => kind === 'direct' && blockers.size > 0;
