/** A conversation that is looked at: the part of its timeline that is drawn, from the cache first and from the server then. */
import { signal } from '@preact/signals';
import type { ConversationId, ConversationView, Entry, HistoryPage, UserId } from '../../sdk/index.ts';
import { directPair } from '../../sdk/index.ts';
import type { Cache } from '../cache/cache.ts';
import type { Tabs } from '../link/tabs.ts';
import { isAmendment, isIndexed, Timeline } from '../model/timeline.ts';

const PAGE = 100;
/** Entries without an index after which the group is another one for who leads it. */
const ABOUT_MEMBERS: ReadonlySet<string> = new Set(['joinRequested', 'joinDeclined', 'inviteCreated', 'inviteRevoked']);
/** Asked for beyond what is drawn. */
const AHEAD = 40;
/** After a question that was not answered. */
const ASK_AGAIN_AFTER_MS = 1_000;

export class OpenConversation {
  readonly id: ConversationId;
  readonly timeline = new Timeline();
  /** Grows with each change of the timeline. */
  readonly version = signal(0);
  /** An index to be brought into view, once. */
  readonly target = signal<{ readonly n: number } | undefined>(undefined);
  /** Answered with the next message. */
  readonly replyTo = signal<number | undefined>(undefined);
  /** Shown in the composer, to be changed. */
  readonly editing = signal<number | undefined>(undefined);
  /** Grows when something was sent from here: the end is looked at then. */
  readonly atEnd = signal(0);
  /** Of a group: members, roles, settings, as the server told last. */
  readonly view = signal<ConversationView | undefined>(undefined);
  /** What who asks to be let in says: as entries told it to this tab. */
  readonly greetings = signal<ReadonlyMap<UserId, string>>(new Map());
  /** Where the line stands that says what is new: fixed while the conversation is open. */
  readonly unreadFrom: number | undefined;
  readonly #tabs: Tabs;
  readonly #cache: Cache;
  #wanted = { from: 0, to: 0 };
  #loading: Promise<void> | undefined;
  #isClosed = false;

  constructor(
    id: ConversationId,
    { tabs, cache }: { tabs: Tabs; cache: Cache },
    { lastIndex, readUpTo, unread }: { lastIndex: number; readUpTo: number; unread: number },
  ) {
    this.id = id;
    this.#tabs = tabs;
    this.#cache = cache;
    this.timeline.reaches(lastIndex);
    this.unreadFrom = unread > 0 ? readUpTo + 1 : undefined;
    void this.refreshView();
  }

  /** These indexes are drawn: what is missing of them and around them is fetched. */
  look(from: number, to: number): void {
    this.#wanted = { from, to };
    this.timeline.trim(from, to);
    this.#load();
  }

  heard(entry: Entry): void {
    const changed = isAmendment(entry) ? this.timeline.amend(entry) : isIndexed(entry) && this.timeline.put(entry);
    if (changed) this.#changed();
    this.#heardOfMembers(entry);
  }

  /** Asked again: members come and go. Fails silently without a connection, and is asked again with the next change. */
  async refreshView(): Promise<void> {
    if (directPair(this.id)) return;
    const query = { type: 'conversation' as const, conversation: this.id };
    this.view.value = await this.#tabs.ask<ConversationView>({ type: 'query', query }).catch(() => this.view.peek());
  }

  reaches(lastIndex: number): void {
    if (lastIndex <= this.timeline.last) return;
    this.timeline.reaches(lastIndex);
    this.#changed();
  }

  /** Messages that are not what they were: they come as they are now. */
  forget(indexes: readonly number[] | 'all'): void {
    this.timeline.forget(indexes);
    this.#changed();
    this.#load();
  }

  /** Brings `n` into view. */
  show(n: number): void {
    this.target.value = { n };
  }

  /** The first index at or after a time, milliseconds since 1970; undefined where there is none. */
  async indexAt(since: number): Promise<number | undefined> {
    const page = await this.#history({ since, limit: 1 });
    return page.entries[0]?.n;
  }

  close(): void {
    this.#isClosed = true;
  }

  #heardOfMembers(entry: Entry): void {
    if (entry.type === 'joinRequested') {
      this.greetings.value = new Map(this.greetings.peek()).set(entry.by, entry.greeting);
    }
    const isAboutMembers = ABOUT_MEMBERS.has(entry.type) || (isIndexed(entry) && entry.type !== 'message');
    if (isAboutMembers) void this.refreshView();
  }

  #changed(): void {
    this.version.value += 1;
  }

  #load(): void {
    this.#loading ??= this.#loadAll().then(
      () => {
        this.#loading = undefined;
      },
      () => {
        // Not connected, or no read model: what is drawn is asked for again, as long as somebody looks.
        setTimeout(() => {
          this.#loading = undefined;
          if (!this.#isClosed) this.#load();
        }, ASK_AGAIN_AFTER_MS);
      },
    );
  }

  async #loadAll(): Promise<void> {
    while (!this.#isClosed) {
      const { from, to } = this.#wanted;
      const wide = this.timeline.missing(from - AHEAD, to + AHEAD);
      // Who drags the bar of the scrolling over a hundred thousand waits for what is seen alone.
      const missing = this.timeline.missing(from, to) ?? wide;
      if (!missing) return;
      if (await this.#fromCache(missing)) continue;
      const before = missing.to + 1;
      const page = await this.#history({ before, limit: PAGE });
      this.timeline.add(page, { before });
      this.#changed();
      await this.#cache.putEntries(this.id, page.entries);
      if (page.entries.length === 0 && page.older) return;
    }
  }

  async #fromCache(missing: { from: number; to: number }): Promise<boolean> {
    const kept = await this.#cache.entries(this.id, missing.from, missing.to);
    let isNew = false;
    for (const entry of kept) if (this.timeline.at(entry.n) === undefined) isNew = this.timeline.put(entry) || isNew;
    if (isNew) this.#changed();
    return isNew;
  }

  #history(place: { before?: number; since?: number; limit: number }): Promise<HistoryPage> {
    return this.#tabs.ask({ type: 'query', query: { type: 'history', conversation: this.id, ...place } });
  }
}
