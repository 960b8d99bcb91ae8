/**
 * The fold's state while a log is folded from its beginning and thrown away afterwards: conversations and marks in memory, the
 * ids seen in files. So memory is that of the conversations there are, however long the log is.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { initialConversation } from '../../domain/conversation.ts';
import { initialDeliveredMark } from '../../domain/delivered-mark.ts';
import type { ClientMsgId, ConversationId, UserId } from '../../domain/ids.ts';
import { initialReadMark } from '../../domain/read-mark.ts';
import type { FanOutChanges, FanOutLookup, FoldedConversation, Seen, SeenEvent } from '../../ports/fan-out-state.ts';
import { withoutJournal } from './no-journal.ts';
import { SEEN_SCHEMA, SeenRows } from './seen-rows.ts';
import { SpilledIds } from './spilled-ids.ts';

/** Ids in memory; beyond, they are written into the file together. */
const MAX_RECENT = 65_536;
const PAGE_CACHE_KIB = 16_384;
/** Of tens of thousands: a third less for each than with sixteen. */
const ROWS_A_STATEMENT = 64;

export class ReplayState implements FanOutLookup {
  readonly #db: Database.Database;
  readonly #rows: SeenRows;
  readonly #spilled: SpilledIds;
  readonly #maxRecent: number;
  readonly #conversations = new Map<ConversationId, FoldedConversation>();
  readonly #readMarks = new Map<ConversationId, Map<UserId, number>>();
  readonly #deliveredMarks = new Map<ConversationId, Map<UserId, number>>();
  /** By conversation and sender the greatest id ever accepted: a greater one is new, and nearly every one is. */
  readonly #greatest = new Map<ConversationId, Map<UserId, ClientMsgId>>();
  /** In order; of the same id the last one of a conversation and sender counts. */
  #recent: SeenEvent[] = [];
  /** The first so many of them by id: made when somebody looks, for where all ids are new ones nobody ever does. */
  #byId = new Map<ClientMsgId, SeenEvent | SeenEvent[]>();
  #indexed = 0;

  /** @param folder empty, and removed by its owner; @param maxRecent ids in memory */
  constructor(folder: string, maxRecent = MAX_RECENT) {
    this.#maxRecent = maxRecent;
    this.#db = new Database(join(folder, 'seen.sqlite'));
    withoutJournal(this.#db);
    this.#db.pragma(`cache_size = -${PAGE_CACHE_KIB}`);
    this.#db.exec(SEEN_SCHEMA);
    this.#rows = new SeenRows(this.#db, ROWS_A_STATEMENT);
    this.#spilled = new SpilledIds(folder, this.#db, this.#rows);
  }

  get conversationCount(): number {
    return this.#conversations.size;
  }

  folded(id: ConversationId): FoldedConversation {
    return this.#conversations.get(id) ?? { conversation: initialConversation(id), statePos: 0 };
  }

  readMark(conversation: ConversationId, user: UserId): number {
    return this.#readMarks.get(conversation)?.get(user) ?? initialReadMark;
  }

  deliveredMark(conversation: ConversationId, user: UserId): number {
    return this.#deliveredMarks.get(conversation)?.get(user) ?? initialDeliveredMark;
  }

  seen(conversation: ConversationId, by: UserId, id: ClientMsgId, at: number): Seen | undefined {
    const greatest = this.#greatest.get(conversation)?.get(by);
    if (greatest === undefined || id > greatest) return undefined;
    this.#index();
    const recent = this.#byId.get(id);
    const found = recent === undefined ? undefined : lastOf(recent, conversation, by);
    const seen = found ?? this.#older(conversation, by, id);
    return seen && seen.expiresAt > at ? seen : undefined;
  }

  apply({ at, conversations, readMarks, deliveredMarks, seen }: FanOutChanges): void {
    for (const [id, folded] of conversations) this.#conversations.set(id, folded);
    for (const { conversation, user, upTo } of readMarks) of(this.#readMarks, conversation).set(user, upTo);
    for (const { conversation, user, upTo } of deliveredMarks) of(this.#deliveredMarks, conversation).set(user, upTo);
    for (const event of seen) this.#remember(event);
    if (this.#recent.length > this.#maxRecent) this.#spill(at);
  }

  close(): void {
    this.#db.close();
  }

  #remember(event: SeenEvent): void {
    const { conversation, by, id } = event;
    const greatest = of(this.#greatest, conversation);
    const before = greatest.get(by);
    if (before === undefined || id > before) greatest.set(by, id);
    this.#recent.push(event);
  }

  #index(): void {
    for (; this.#indexed < this.#recent.length; this.#indexed++) {
      const event = this.#recent[this.#indexed] as SeenEvent;
      const others = this.#byId.get(event.id);
      if (others === undefined) this.#byId.set(event.id, event);
      else if (Array.isArray(others)) others.push(event);
      else this.#byId.set(event.id, [others, event]);
    }
  }

  #older(conversation: ConversationId, by: UserId, id: ClientMsgId): Seen | undefined {
    this.#spilled.settle(id);
    return this.#rows.find(conversation, by, id);
  }

  #spill(at: number): void {
    this.#spilled.add(this.#recent, at);
    this.#db.transaction(() => this.#rows.forget(at))();
    this.#recent = [];
    this.#byId = new Map();
    this.#indexed = 0;
  }
}

function lastOf(events: SeenEvent | SeenEvent[], conversation: ConversationId, by: UserId): SeenEvent | undefined {
  const list = Array.isArray(events) ? events : [events];
  return list.findLast((event) => event.conversation === conversation && event.by === by);
}

function of<Value>(maps: Map<ConversationId, Map<UserId, Value>>, conversation: ConversationId): Map<UserId, Value> {
  let map = maps.get(conversation);
  if (!map) maps.set(conversation, (map = new Map()));
  return map;
}
