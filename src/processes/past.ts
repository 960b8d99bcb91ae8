/**
 * How things stood: the log, or one conversation of it, folded up to a moment by the folds that serve. Rows lie in files of a
 * temporary folder, so that memory stays the same however long the log is.
 */
import { join } from 'node:path';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamConversationReader } from '../adapters/jetstream/log/conversation-reader.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { SqliteReadModel } from '../adapters/sqlite/read-model.ts';
import { makeTemporaryFolder } from '../adapters/sqlite/temporary-folder.ts';
import { foldPast } from '../application/replay/fold-past.ts';
import { readOn } from '../application/replay/followed-log.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { LogReader } from '../ports/conversation-log.ts';
import type { Badge, ListPlace } from '../ports/read-queries.ts';
import type { FoldedWindow } from '../projections/fan-out.ts';
import type { Entry, HistoryEntry, ListedConversation } from '../protocol/frames.ts';
import { convStreamOf, type Topology } from '../protocol/subjects.ts';

const LIST_PAGE = 1_000;
/** Conversations of one user that are compared: what changes in more is not told of. */
const MAX_LISTED = 100_000;

export interface PastParts {
  readonly nats: Nats;
  readonly topology: Topology;
  /** Of this conversation alone: nothing else is read. */
  readonly conversation?: ConversationId | undefined;
  /** Whose inbox is gathered on the way. */
  readonly user?: UserId | undefined;
  /** Newest entries of a timeline, of an inbox, of a list. */
  readonly lines: number;
  readonly stop: AbortSignal;
  readonly onProgress: (folded: number, end: number) => void;
}

export interface PastConversation {
  readonly conversation: ConversationId;
  readonly kind: 'none' | 'direct' | 'group';
  readonly name: string;
  readonly dissolved: boolean;
  readonly lastIndex: number;
  readonly settings: object;
  readonly contact: object;
  readonly blockers: readonly UserId[];
  readonly requests: readonly UserId[];
  readonly invites: number;
  readonly members: Readonly<
    Record<string, { readonly role: string; readonly readUpTo: number; readonly unread: number }>
  >;
  readonly timeline: readonly HistoryEntry[];
}

export type InboxEntry = Entry & { readonly conversation: ConversationId };

export interface PastUser {
  readonly user: UserId;
  readonly badge: Badge;
  /** Pinned ones first, the newest first. */
  readonly conversations: readonly ListedConversation[];
  /** The newest entries, in the order of the log's time. */
  readonly inbox: readonly InboxEntry[];
}

interface LanePast {
  readonly convStream: number;
  readonly reader: Pick<LogReader, 'read'>;
  readonly model: SqliteReadModel;
}

export class Past {
  readonly #parts: PastParts;
  readonly #folder = makeTemporaryFolder('past');
  readonly #lanes: readonly LanePast[];
  readonly #hears = new WeakMap<readonly UserId[], boolean>();
  #inbox: InboxEntry[] = [];
  #gathered = 0;

  constructor(parts: PastParts) {
    this.#parts = parts;
    const { topology, conversation } = parts;
    const only = conversation === undefined ? undefined : convStreamOf(conversation, topology);
    this.#lanes = Array.from({ length: topology.convStreams }, (_, convStream) => convStream)
      .filter((convStream) => only === undefined || convStream === only)
      .map((convStream) => this.#open(convStream));
  }

  /** Folds on up to there. @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING, STATE_FILE_UNUSABLE */
  async advance(to: (convStream: number) => number): Promise<void> {
    const { stop, onProgress } = this.#parts;
    for (const { convStream, reader, model } of this.#lanes) {
      const end = to(convStream);
      await foldPast(readOn(reader, model.position + 1, end, stop), model, (folded, position) => {
        this.#gather(folded);
        onProgress(position, end);
      });
    }
  }

  conversation(id: ConversationId): PastConversation {
    const { model } = this.#lanes.find(
      ({ convStream }) => convStream === convStreamOf(id, this.#parts.topology),
    ) as LanePast;
    const { lastIndex, roster } = model.folded(id).conversation;
    const { kind, name, dissolved, settings, contact, blockers, requests, invites } = roster;
    const members = [...roster.members].map(([user, role]) => {
      const listed = model.conversations(user, false, undefined, 1).conversations[0];
      return [user, { role, readUpTo: listed?.readUpTo ?? 0, unread: listed?.unread ?? 0 }] as const;
    });
    // Who may see the whole past, if anybody may.
    const witness = [...roster.members.keys()].sort(
      (a, b) => (roster.joined.get(a) ?? 0) - (roster.joined.get(b) ?? 0),
    )[0];
    const { lines } = this.#parts;
    const timeline = witness === undefined ? undefined : model.history(witness, id, { type: 'newest' }, lines);
    return {
      ...{ conversation: id, kind, name, dissolved, lastIndex, settings, contact },
      ...{ blockers: [...blockers], requests: [...requests], invites: invites.size },
      members: Object.fromEntries(members),
      timeline: timeline?.entries ?? [],
    };
  }

  /** The newest index of each conversation of a user's list, whatever part of it is shown; of so many conversations at most. */
  listed(user: UserId): ReadonlyMap<ConversationId, number> {
    const listed = new Map<ConversationId, number>();
    for (const { model } of this.#lanes) {
      let after: ListPlace | undefined;
      do {
        const { conversations, more } = model.conversations(user, false, after, LIST_PAGE);
        for (const { conversation, lastIndex } of conversations) listed.set(conversation, lastIndex);
        const last = conversations.at(-1);
        after = more && last ? { ...last, pinned: Boolean(last.preferences.pinned) } : undefined;
      } while (after && listed.size < MAX_LISTED);
    }
    return listed;
  }

  /** @param now milliseconds since 1970: what is muted until then counts as muted */
  person(user: UserId, now: number): PastUser {
    const { lines } = this.#parts;
    const badge = { unread: 0, conversations: 0, mutedUnread: 0, mutedConversations: 0 };
    const conversations: ListedConversation[] = [];
    for (const { model } of this.#lanes) {
      const part = model.badge(user, now);
      for (const key of Object.keys(badge) as (keyof Badge)[]) badge[key] += part[key];
      conversations.push(...model.conversations(user, false, undefined, lines).conversations);
    }
    const pinned = ({ preferences }: ListedConversation): number => Number(preferences.pinned ?? false);
    conversations.sort((a, b) => pinned(b) - pinned(a) || b.lastAt - a.lastAt);
    return { user, badge, conversations: conversations.slice(0, lines), inbox: [...this.#inbox] };
  }

  /** Entries of the user's inbox so far, of which the newest are kept. */
  get gathered(): number {
    return this.#gathered;
  }

  close(): void {
    for (const { model } of this.#lanes) model.close();
    this.#folder.remove();
  }

  #open(convStream: number): LanePast {
    const { nats, conversation } = this.#parts;
    const { nc, jsm, inboxPrefix } = nats;
    const reader =
      conversation === undefined
        ? new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream })
        : new JetstreamConversationReader({ nc, jsm, inboxPrefix, convStream, conversation });
    const model = new SqliteReadModel({
      path: join(this.#folder.path, `lane-${convStream}.sqlite`),
      log: 'the past',
      isBuilt: true,
    });
    return { convStream, reader, model };
  }

  #gather({ runs }: FoldedWindow): void {
    const { user, lines } = this.#parts;
    if (user === undefined) return;
    const inbox: InboxEntry[] = [];
    for (const { audience, entries, conversation } of runs) {
      if (this.#isHeard(audience, user)) inbox.push(...entries.map((entry) => ({ ...entry, conversation })));
    }
    if (inbox.length === 0) return;
    this.#gathered += inbox.length;
    this.#inbox = [...this.#inbox, ...inbox].sort((a, b) => a.at - b.at).slice(-lines);
  }

  #isHeard(audience: readonly UserId[], user: UserId): boolean {
    let isHeard = this.#hears.get(audience);
    if (isHeard === undefined) this.#hears.set(audience, (isHeard = audience.includes(user)));
    return isHeard;
  }
}
