/** What a client may ask of the past: each question goes to the lanes that can know, and a list is put together from all. */
import type { Preferences } from '../../domain/conversation.ts';
import { type ConversationId, directConversationId, type UserId } from '../../domain/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  type Badge,
  type ChangesPart,
  type HistoryRange,
  type ListPlace,
  MAX_PAGE_BYTES,
  type ReadAnswer,
  type ReadModels,
  type ReadQuestion,
  type SearchPart,
} from '../../ports/read-queries.ts';
import type { ContactPage } from '../../protocol/account-frames.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type {
  ChangedConversation,
  ChangesPage,
  ConversationPage,
  HistoryPage,
  ListedConversation,
  MemberPage,
  Query,
  QueryResult,
  Receipts,
  SearchPage,
  VersionPage,
} from '../../protocol/frames.ts';
import {
  decodeIdCursor,
  decodeListCursor,
  decodeMemberCursor,
  decodeReached,
  decodeSearchCursor,
  encodeIdCursor,
  encodeListCursor,
  encodeMemberCursor,
  encodeSearchCursor,
} from '../../protocol/query-cursors.ts';
import { convStreamOf, type Topology } from '../../protocol/subjects.ts';

const DEFAULT_PAGE_ENTRIES = 50;

/** What read models know. */
export type ReadQuery = Extract<
  Query,
  {
    readonly type:
      | 'conversations'
      | 'changes'
      | 'preferences'
      | 'contacts'
      | 'history'
      | 'edits'
      | 'members'
      | 'receipts'
      | 'search';
  }
>;

export class Reading {
  readonly #models: ReadModels;
  readonly #topology: Topology;
  readonly #clock: Clock;

  constructor(models: ReadModels, topology: Topology, clock: Clock) {
    this.#models = models;
    this.#topology = topology;
    this.#clock = clock;
  }

  /**
   * @param reached what a resync has told: the answer comes from read models that have got as far
   * @throws RookeryError NOT_A_MEMBER, BAD_REQUEST for a cursor that is none of ours, READ_MODEL_UNAVAILABLE
   */
  async answer(user: UserId, query: ReadQuery, reached?: string): Promise<QueryResult> {
    if (reached !== undefined) {
      const models = modelsThatReached(this.#models, decodeReached(reached, this.#topology.convStreams));
      return new Reading(models, this.#topology, this.#clock).answer(user, query);
    }
    switch (query.type) {
      case 'conversations':
        return this.conversations(user, query);
      case 'changes':
        return this.changes(user, query);
      case 'preferences':
        return this.preferences(user, query);
      case 'contacts':
        return this.contacts(user, query);
      case 'history':
        return this.history(user, query);
      case 'edits':
        return this.edits(user, query);
      case 'members':
        return this.members(user, query);
      case 'receipts':
        return this.receipts(user, query);
      case 'search':
        return this.search(user, query);
    }
  }

  /**
   * A conversation is in one lane, so a page of the whole list is the first of what the lanes' pages begin with.
   * @throws RookeryError BAD_REQUEST for a cursor that is none of ours, READ_MODEL_UNAVAILABLE
   */
  async conversations(user: UserId, query: Extract<Query, { type: 'conversations' }>): Promise<ConversationPage> {
    const { limit = DEFAULT_PAGE_ENTRIES, archived = false } = query;
    const after = query.cursor === undefined ? undefined : decodeListCursor(query.cursor);
    const pages = this.#ofAll({ type: 'conversations', user, archived, after, limit });
    const badges = after ? [] : this.#ofAll({ type: 'badge', user, now: this.#clock.nowMs() });
    const { conversations, more } = merged(await pages, limit, inList);
    const last = conversations.at(-1);
    const page = { conversations, ...(more && last && { cursor: encodeListCursor(placeOf(last)) }) };
    return after ? page : { ...page, badge: (await badges).reduce(sum) };
  }

  /** @throws RookeryError BAD_REQUEST for a cursor that is none of ours, READ_MODEL_UNAVAILABLE */
  async changes(user: UserId, query: Extract<Query, { type: 'changes' }>): Promise<ChangesPage> {
    const { limit = DEFAULT_PAGE_ENTRIES, since } = query;
    const after = query.cursor === undefined ? undefined : decodeIdCursor(query.cursor);
    const pages = await this.#ofAll({ type: 'changes', user, since, after, limit });
    const { conversations, more } = merged(pages, limit, byId);
    const last = conversations.at(-1);
    const page = { conversations, ...(more && last && { cursor: encodeIdCursor(last.conversation) }) };
    const total = totalOf(pages);
    return total === undefined ? page : { ...page, total };
  }

  /** @throws RookeryError READ_MODEL_UNAVAILABLE */
  preferences(user: UserId, { about }: Extract<Query, { type: 'preferences' }>): Promise<Preferences> {
    const lane = this.#laneOf(about || directConversationId(user, user));
    return this.#models.ask(lane, { type: 'preferences', user, about });
  }

  /** @throws RookeryError BAD_REQUEST for a cursor that is none of ours, READ_MODEL_UNAVAILABLE */
  async contacts(user: UserId, query: Extract<Query, { type: 'contacts' }>): Promise<ContactPage> {
    const { limit = DEFAULT_PAGE_ENTRIES } = query;
    const after = query.cursor === undefined ? undefined : decodeIdCursor(query.cursor);
    const parts = await this.#ofAll({ type: 'contacts', user, after, limit });
    const all = parts.flatMap(({ contacts }) => contacts).sort(byId);
    const contacts = all.slice(0, limit);
    const last = contacts.at(-1);
    const isMore = all.length > limit || parts.some(({ more }) => more);
    return { contacts, ...(isMore && last && { cursor: encodeIdCursor(last.conversation) }) };
  }

  /** @throws RookeryError NOT_A_MEMBER, READ_MODEL_UNAVAILABLE */
  async history(user: UserId, query: Extract<Query, { type: 'history' }>): Promise<HistoryPage> {
    const { conversation } = query;
    const question = {
      type: 'history',
      user,
      conversation,
      range: rangeOf(query),
      limit: query.limit ?? DEFAULT_PAGE_ENTRIES,
    } as const;
    return found(await this.#models.ask(this.#laneOf(conversation), question));
  }

  /** @throws RookeryError NOT_A_MEMBER, READ_MODEL_UNAVAILABLE */
  async edits(user: UserId, query: Extract<Query, { type: 'edits' }>): Promise<VersionPage> {
    const { conversation, n, before = Number.MAX_SAFE_INTEGER, limit = DEFAULT_PAGE_ENTRIES } = query;
    const question = { type: 'edits', user, conversation, n, before, limit } as const;
    return found(await this.#models.ask(this.#laneOf(conversation), question));
  }

  /** @throws RookeryError NOT_A_MEMBER, BAD_REQUEST for a cursor that is none of ours, READ_MODEL_UNAVAILABLE */
  async members(user: UserId, query: Extract<Query, { type: 'members' }>): Promise<MemberPage> {
    const { conversation, cursor, limit = DEFAULT_PAGE_ENTRIES } = query;
    const after = cursor === undefined ? undefined : decodeMemberCursor(cursor);
    const question = { type: 'members', user, conversation, after, limit } as const;
    const { more, ...page } = found(await this.#models.ask(this.#laneOf(conversation), question));
    const last = page.members.at(-1);
    return { ...page, ...(more && last && { cursor: encodeMemberCursor(last) }) };
  }

  /** @throws RookeryError NOT_A_MEMBER, READ_MODEL_UNAVAILABLE */
  async receipts(user: UserId, { conversation, n }: Extract<Query, { type: 'receipts' }>): Promise<Receipts> {
    return found(await this.#models.ask(this.#laneOf(conversation), { type: 'receipts', user, conversation, n }));
  }

  /**
   * The newest hits of all lanes, or of the conversation's.
   * @throws RookeryError BAD_REQUEST for a cursor that is none of ours, READ_MODEL_UNAVAILABLE
   */
  async search(user: UserId, query: Extract<Query, { type: 'search' }>): Promise<SearchPage> {
    const { words, conversation, by, since, until, cursor, limit = DEFAULT_PAGE_ENTRIES } = query;
    const search = { words, conversation, by, since, until };
    const { convStreams } = this.#topology;
    const only = conversation === undefined ? undefined : this.#laneOf(conversation);
    const befores = cursor === undefined ? startsOf(convStreams, only) : decodeSearchCursor(cursor, convStreams);
    const parts = await Promise.all(
      befores.map((before, lane) =>
        before === 0 ? NOTHING : this.#models.ask(lane, { type: 'search', user, search, before, limit }),
      ),
    );
    const { hits, searchedTo } = newest(parts, befores, limit);
    return { hits, ...(searchedTo.some((pos) => pos > 0) && { cursor: encodeSearchCursor(searchedTo) }) };
  }

  /** Of every lane. Nobody needs to wait for an answer that another failed one makes useless: none is left unhandled. */
  #ofAll<Question extends ReadQuestion>(question: Question): Promise<ReadAnswer<Question['type']>[]> {
    const lanes = Array.from({ length: this.#topology.convStreams }, (_, lane) => lane);
    const answers = Promise.all(lanes.map((lane) => this.#models.ask(lane, question)));
    answers.catch(() => undefined);
    return answers;
  }

  #laneOf(conversation: ConversationId): number {
    return convStreamOf(conversation, this.#topology);
  }
}

const modelsThatReached = (models: ReadModels, positions: readonly number[]): ReadModels => ({
  ask: (lane, question) => models.ask(lane, question, positions[lane]),
});

function rangeOf({ before, after, around, since }: Extract<Query, { type: 'history' }>): HistoryRange {
  if (before !== undefined) return { type: 'before', n: before };
  if (after !== undefined) return { type: 'after', n: after };
  if (around !== undefined) return { type: 'around', n: around };
  return since === undefined ? { type: 'newest' } : { type: 'since', at: since };
}

/** What is not yours answers like what does not exist, so that nobody can probe for ids. */
function found<Answer>(answer: Answer | undefined): Answer {
  if (answer === undefined) throw new RookeryError('NOT_A_MEMBER', 'there is no such conversation for you');
  return answer;
}

const NOTHING: SearchPart = { hits: [], searchedTo: 0 };

/** From the end of each lane, or of the one that can have it. */
const startsOf = (lanes: number, only: number | undefined): number[] =>
  Array.from({ length: lanes }, (_, lane) => (only === undefined || lane === only ? Number.MAX_SAFE_INTEGER : 0));

/**
 * The newest of what the lanes have found, and how far each counts as searched: where not all of its hits were taken, down to
 * the last one that was.
 */
function newest(parts: readonly SearchPart[], befores: readonly number[], limit: number) {
  const all = parts.flatMap(({ hits }, lane) => hits.map((hit) => ({ hit, lane })));
  all.sort(
    (one, other) =>
      other.hit.entry.at - one.hit.entry.at || one.lane - other.lane || other.hit.entry.pos - one.hit.entry.pos,
  );
  const taken: typeof all = [];
  let bytes = 0;
  for (const one of all) {
    bytes += 'body' in one.hit.entry ? one.hit.entry.body.length : 0;
    if (taken.length === limit || (bytes > MAX_PAGE_BYTES && taken.length > 0)) break;
    taken.push(one);
  }
  const searchedTo = parts.map((part, lane) => {
    const own = taken.filter((one) => one.lane === lane);
    if (own.length === part.hits.length) return part.searchedTo;
    return own.at(-1)?.hit.entry.pos ?? befores[lane] ?? 0;
  });
  return { hits: taken.map(({ hit }) => hit), searchedTo };
}

const sum = (one: Badge, other: Badge): Badge => ({
  unread: one.unread + other.unread,
  conversations: one.conversations + other.conversations,
  mutedUnread: one.mutedUnread + other.mutedUnread,
  mutedConversations: one.mutedConversations + other.mutedConversations,
});

/** Undefined where a lane has not counted, or is an older one that does not. */
function totalOf(parts: readonly ChangesPart[]): number | undefined {
  let all = 0;
  for (const { total } of parts) {
    if (total === undefined) return undefined;
    all += total;
  }
  return all;
}

/**
 * The first of all that the pages hold. A lane whose page ended early, for its bodies, may have more right behind: then nothing
 * that comes after its last one is taken yet.
 */
function merged<One extends ChangedConversation | ListedConversation>(
  pages: readonly { readonly conversations: readonly One[]; readonly more: boolean }[],
  limit: number,
  compare: (one: One, other: One) => number,
): { readonly conversations: One[]; readonly more: boolean } {
  const ends = pages.flatMap(({ conversations, more }) => (more ? conversations.slice(-1) : []));
  const all = pages.flatMap(({ conversations }) => conversations).sort(compare);
  const known = all.filter((one) => ends.every((end) => compare(one, end) <= 0));
  const conversations: One[] = [];
  let bytes = 0;
  for (const one of known) {
    bytes += 'last' in one ? weightOf(one) : 0;
    if (conversations.length === limit || (bytes > MAX_PAGE_BYTES && conversations.length > 0)) break;
    conversations.push(one);
  }
  return { conversations, more: conversations.length < all.length || ends.length > 0 };
}

/** What may be long of a listed conversation. */
const weightOf = ({ last, preferences: { draft = '' } }: ListedConversation): number =>
  ('body' in last ? last.body.length : 0) + MAX_BYTES_PER_CHAR * draft.length;

const MAX_BYTES_PER_CHAR = 3;

export const placeOf = ({ preferences, lastAt, conversation }: ListedConversation): ListPlace => ({
  pinned: preferences.pinned === true,
  lastAt,
  conversation,
});

/** Pinned ones first, then the newest; then by the id's UTF-8, as the workers' files have it. */
export const byPlace = (one: ListPlace, other: ListPlace): number =>
  Number(other.pinned) - Number(one.pinned) ||
  other.lastAt - one.lastAt ||
  byUtf8(one.conversation, other.conversation);

const inList = (one: ListedConversation, other: ListedConversation): number => byPlace(placeOf(one), placeOf(other));

const byId = (
  one: { readonly conversation: ConversationId },
  other: { readonly conversation: ConversationId },
): number => byUtf8(one.conversation, other.conversation);

/** UTF-16 puts what is beyond the basic plane before U+E000 to U+FFFF, UTF-8 behind them. */
function byUtf8(one: string, other: string): number {
  if (one === other) return 0;
  const [a, b] = [[...one], [...other]];
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = (a[i]?.codePointAt(0) ?? 0) - (b[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
