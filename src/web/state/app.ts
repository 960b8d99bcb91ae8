/**
 * A tab as one person: puts the parts together, and brings the news to them. What is shown at the start comes from the cache,
 * before any connection.
 */
import { computed, signal } from '@preact/signals';
import type { Command } from '../../protocol/frames.ts';
import {
  afterClose,
  type ChangedConversation,
  type ConversationId,
  type ConversationPage,
  type ConversationView,
  closeCodes,
  directPair,
  type Entry,
  type OwnAccount,
  type Status,
  type UserId,
} from '../../sdk/index.ts';
import { Cache, cacheName } from '../cache/cache.ts';
import { startClientHub } from '../link/client-hub.ts';
import type { News } from '../link/link.ts';
import { SeenTabs } from '../link/seen-tabs.ts';
import { Tabs } from '../link/tabs.ts';
import { deviceNameOf } from '../model/device-name.ts';
import { withoutControls } from '../model/markup.ts';
import { inOrder, isMuted, moved, newRow, type Row, readUpTo, told } from '../model/rows.ts';
import { OpenConversation } from './conversation.ts';
import { Drafts } from './drafts.ts';
import { Inspector } from './inspector.ts';
import { Names } from './names.ts';
import { newId, serverIsAheadBy } from './new-id.ts';
import { Presence } from './presence.ts';
import { Sending } from './sending.ts';
import { deviceOf, forgetToken, tokenOf } from './sign-in.ts';
import { Typing } from './typing.ts';

/** Rows that have changed are written so often. */
const SAVE_EVERY_MS = 500;
const PAGE = 100;
/** Entries that a row may have missed and is brought up by; the server tells the rest. */
const MAX_UNSAVED = 200;

const CHANGES_CONTACTS: ReadonlySet<Entry['type']> = new Set([
  ...(['contactRequested', 'contactDeclined', 'contactRemoved', 'userBlocked', 'userUnblocked'] as const),
]);

/** With the token of before one is not let in any more. */
const needsToken = (closeCode: number): boolean =>
  afterClose(closeCode) === 'reauthenticate' || closeCode === closeCodes.DEVICE_REVOKED;

/** Key in the cache: all pages of the list were had. */
const LIST_KNOWN = 'list known';

/** Beside the conversation. */
export type Panel = 'details' | 'settings' | 'contacts' | 'search' | 'inspect' | 'new group';

export class App {
  readonly me: UserId;
  readonly tabs: Tabs;
  readonly names: Names;
  readonly presence: Presence;
  readonly sending: Sending;
  readonly drafts: Drafts;
  readonly inspector: Inspector;
  readonly seenTabs: SeenTabs;
  readonly typing = new Typing();
  /** One's own, as the server told last. */
  readonly account = signal<OwnAccount | undefined>(undefined);
  readonly status = signal<Status>({ phase: 'connecting' });
  readonly rows = signal<ReadonlyMap<ConversationId, Row>>(new Map());
  /** The archive is looked at instead of the list. */
  readonly isArchive = signal(false);
  readonly list = computed(() => inOrder(this.rows.value.values(), this.isArchive.value));
  /** Unread in all that is neither put away nor muted. */
  readonly unread = computed(() =>
    inOrder(this.rows.value.values()).reduce((sum, row) => sum + (isMuted(row, Date.now()) ? 0 : row.unread), 0),
  );
  readonly open = signal<OpenConversation | undefined>(undefined);
  readonly panel = signal<Panel | undefined>(undefined);
  /** The search looks in the open conversation alone. */
  readonly searchesHere = signal(false);
  /** The token counts no more, and there is no other: one has to show again who one is. */
  readonly isSignedOut = signal(false);
  /** Something could not be done: told once. */
  readonly failure = signal<{ readonly code: string } | undefined>(undefined);
  /** Grows when contacts or blocks have changed. */
  readonly contactsVersion = signal(0);
  /** The list was had from the server at least once: what is empty is empty. */
  readonly isListKnown = signal(false);
  readonly #cache: Cache;
  readonly #unsaved = new Set<ConversationId>();
  #saving: ReturnType<typeof setTimeout> | undefined;
  #wasLive = false;

  static async start(me: UserId): Promise<App> {
    const cache = await Cache.open(cacheName(me));
    const app = new App(me, cache);
    await app.#load();
    app.tabs.start((error) => app.#failedToStart(error));
    void navigator.storage?.persist?.();
    return app;
  }

  private constructor(me: UserId, cache: Cache) {
    this.me = me;
    this.#cache = cache;
    const channel = new BroadcastChannel(`rookery:${me}`);
    this.tabs = new Tabs({
      channel,
      locks: navigator.locks,
      name: `rookery:${me}`,
      startHub: (tell) =>
        startClientHub({
          url: `${location.origin.replace('http', 'ws')}/v1/ws`,
          device: deviceOf(me),
          deviceName: deviceNameOf(navigator.userAgent),
          token: () => tokenOf(me),
          storage: `rookery:${me}`,
          cache,
          tell,
        }),
    });
    this.seenTabs = new SeenTabs(navigator.locks, `rookery:${me}`);
    this.names = new Names(this.tabs, cache);
    this.presence = new Presence(this.tabs);
    this.sending = new Sending(this.tabs, cache);
    this.drafts = new Drafts({
      me,
      kept: (conversation) => this.row(conversation).preferences.draft ?? '',
      keep: (conversation, draft) => this.changePreferences(conversation, { draft }),
    });
    this.inspector = new Inspector(this.tabs);
    this.tabs.on((news) => this.#hear(news));
  }

  /** @param n an index to bring into view */
  show(conversation: ConversationId | undefined, n?: number): void {
    const opened = this.open.peek();
    if (opened?.id !== conversation) {
      opened?.close();
      const row = conversation && (this.rows.peek().get(conversation) ?? newRow(conversation));
      this.open.value = row && new OpenConversation(row.conversation, { tabs: this.tabs, cache: this.#cache }, row);
      if (this.panel.peek() === 'details') this.panel.value = undefined;
    }
    if (n !== undefined) this.open.peek()?.show(n);
  }

  row(conversation: ConversationId): Row {
    return this.rows.value.get(conversation) ?? newRow(conversation);
  }

  /** The other of a direct conversation; oneself in that with oneself. */
  peerOf(conversation: ConversationId): UserId | undefined {
    const pair = directPair(conversation);
    return pair && (pair.find((user) => user !== this.me) ?? this.me);
  }

  titleOf(row: Row): string {
    const peer = this.peerOf(row.conversation);
    return peer === undefined ? withoutControls(row.name || row.conversation) : this.names.of(peer);
  }

  /** The members of the group that is open, as far as known: who may be named. */
  peopleIn(conversation: ConversationId): UserId[] {
    const open = this.open.value;
    return open?.id === conversation ? (open.view.value?.members ?? []).map(({ user }) => user) : [];
  }

  /** A command, of which a refusal is told to the person. @returns whether the log has it */
  async command(command: Command): Promise<boolean> {
    try {
      await this.tabs.ask({ type: 'command', command, clientMsgId: newId() });
      return true;
    } catch (error) {
      this.failure.value = { code: (error as { code?: string }).code ?? 'INTERNAL' };
      return false;
    }
  }

  /** All up to `n` was on the screen. Where it is refused nobody is told: they have done nothing, and the next mark has this one in it. */
  markRead(conversation: ConversationId, n: number): void {
    const row = this.rows.peek().get(conversation);
    if (!row || n <= row.readUpTo) return;
    this.#put(readUpTo(row, n));
    const unmark = row.preferences.markedUnread === true;
    this.#mark({ type: 'markRead', conversation, upTo: n });
    if (unmark) this.#mark({ type: 'changePreferences', about: conversation, preferences: { markedUnread: false } });
  }

  #mark(command: Command): void {
    this.tabs.ask({ type: 'command', command, clientMsgId: newId() }).catch(() => undefined);
  }

  changePreferences(conversation: ConversationId, preferences: Row['preferences']): Promise<boolean> {
    const row = this.row(conversation);
    this.#put({ ...row, preferences: { ...row.preferences, ...preferences } });
    return this.command({ type: 'changePreferences', about: conversation, preferences });
  }

  /** This tab is looked at, or is not any more. */
  turn(isSeen: boolean): void {
    this.seenTabs.turn(isSeen);
    this.presence.turn(isSeen);
  }

  async close(): Promise<void> {
    this.seenTabs.turn(false);
    this.open.peek()?.close();
    this.typing.close();
    await this.tabs.close();
    await this.#save();
    await this.#cache.close();
  }

  async #load(): Promise<void> {
    const [rows] = await Promise.all([this.#cache.rows(), this.names.load(), this.sending.load()]);
    const known = new Map(rows.map((row) => [row.conversation, row]));
    for (const [conversation, newest] of await this.#cache.newest()) {
      const row = known.get(conversation) ?? newRow(conversation);
      if (row.lastIndex >= newest) continue;
      // The tab ended before it had written the row: the entries are there.
      const first = Math.max(row.lastIndex + 1, newest - MAX_UNSAVED);
      const entries = await this.#cache.entries(conversation, first, newest);
      known.set(
        conversation,
        entries.reduce((now, entry) => moved(now, entry, this.me), row),
      );
    }
    this.rows.value = known;
    this.isListKnown.value = (await this.#cache.about<boolean>(LIST_KNOWN)) ?? false;
    for (const row of known.values()) this.#learnRemark(row);
  }

  #hear(news: News): void {
    switch (news.type) {
      case 'entry':
        return this.#heardEntry(news.conversation, news.entry);
      case 'changed':
        return this.#heardChange(news.changed);
      case 'begun anew':
        // A list that was kept from before may lack some, whatever it knew.
        this.isListKnown.value = false;
        this.#refreshList().catch(() => undefined);
        return;
      case 'status':
        return this.#heardStatus(news.status);
      case 'frame':
        return this.inspector.saw(news);
      case 'typing':
        return this.typing.began(news.conversation, news.user, news.forMs);
      case 'presence':
        return this.presence.heard(news.presence);
      case 'account':
        this.account.value = news.account;
        return;
      case 'clock':
        return serverIsAheadBy(news.aheadMs);
      default:
        this.sending.heard(news);
    }
  }

  #heardEntry(conversation: ConversationId, entry: Entry): void {
    const row = this.rows.peek().get(conversation) ?? newRow(conversation);
    const next = moved(row, entry, this.me);
    const isKnown = this.rows.peek().has(conversation);
    if (next !== row && (isKnown || next.last !== undefined)) this.#put(next);
    if (next.isIncomplete && next.last) void this.#complete(conversation);
    this.sending.arrived(entry, this.me);
    if (entry.type === 'message') this.typing.ended(conversation, entry.by);
    if (CHANGES_CONTACTS.has(entry.type)) this.contactsVersion.value += 1;
    const open = this.open.peek();
    if (open?.id === conversation) open.heard(entry);
  }

  /** As it is now; what was said meanwhile is fetched when somebody looks. */
  #heardChange(changed: ChangedConversation): void {
    const row = this.rows.peek().get(changed.conversation);
    if ('left' in changed) {
      if (row) this.#put({ ...row, left: true });
      return;
    }
    const { amended, amendedMore, ...listed } = changed;
    this.#put(told(row, listed));
    const open = this.open.peek();
    if (open?.id === changed.conversation) open.forget(amendedMore ? 'all' : amended);
  }

  #heardStatus(status: Status): void {
    this.status.value = status;
    if (status.phase === 'offline' || status.phase === 'stopped') this.presence.lost();
    if (status.phase === 'stopped' && needsToken(status.closeCode ?? 0)) {
      forgetToken(this.me);
      this.isSignedOut.value = true;
    }
    const isLive = status.phase === 'live';
    if (isLive && !this.#wasLive) void this.#connected().catch(() => undefined);
    this.#wasLive = isLive;
  }

  /** What is no entry, and may have changed meanwhile. The list is whole from the first time on; entries move it on. */
  async #connected(): Promise<void> {
    this.names.refresh();
    this.presence.ask();
    await this.#refreshList();
    this.account.value = await this.tabs.ask<OwnAccount>({ type: 'query', query: { type: 'account' } });
  }

  /** What was put away is asked for when somebody looks. */
  showArchive(archive: boolean): void {
    this.isArchive.value = archive;
    if (archive) this.#refreshList(true).catch(() => undefined);
  }

  /** Page by page; the first one alone where the list is whole already. */
  async #refreshList(archived = false): Promise<void> {
    let cursor: string | undefined;
    do {
      const which = { ...(archived && { archived: true as const }), ...(cursor !== undefined && { cursor }) };
      const query = { type: 'conversations' as const, limit: PAGE, ...which };
      const page: ConversationPage = await this.tabs.ask({ type: 'query', query });
      const rows = new Map(this.rows.peek());
      for (const listed of page.conversations) {
        const row = told(rows.get(listed.conversation), listed);
        rows.set(row.conversation, row);
        this.#changed(row);
      }
      this.rows.value = rows;
      cursor = this.isListKnown.peek() && !archived ? undefined : page.cursor;
    } while (cursor !== undefined);
    if (archived) return;
    this.isListKnown.value = true;
    await this.#cache.putAbout(LIST_KNOWN, true);
  }

  async #complete(conversation: ConversationId): Promise<void> {
    const query = { type: 'conversation' as const, conversation };
    const view = await this.tabs.ask<ConversationView>({ type: 'query', query }).catch(() => undefined);
    const row = this.rows.peek().get(conversation);
    if (!view || !row) return;
    const { isIncomplete: _, ...known } = row;
    const { name, memberCount, dissolved, settings } = view;
    this.#put({ ...known, name, memberCount, dissolved, avatar: settings.avatar });
  }

  #put(row: Row): void {
    this.rows.value = new Map(this.rows.peek()).set(row.conversation, row);
    this.#changed(row);
  }

  #changed(row: Row): void {
    this.#learnRemark(row);
    const open = this.open.peek();
    if (open?.id === row.conversation) open.reaches(row.lastIndex);
    this.#unsaved.add(row.conversation);
    this.#saving ??= setTimeout(() => void this.#save(), SAVE_EVERY_MS);
  }

  #learnRemark({ conversation, preferences }: Row): void {
    const peer = this.peerOf(conversation);
    if (peer !== undefined) this.names.remarked(peer, preferences.remark);
  }

  async #save(): Promise<void> {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    const rows = [...this.#unsaved].flatMap((conversation) => this.rows.peek().get(conversation) ?? []);
    this.#unsaved.clear();
    if (this.tabs.isLeader) await this.#cache.putRows(rows);
  }

  #failedToStart(error: unknown): void {
    this.status.value = { phase: 'stopped', reason: String(error) };
  }
}
