// long because: what an app may call stands in one place
/**
 * Rookery's client for browsers and Node (22 and later).
 *
 * ```ts
 * const client = await createClient({ url: 'ws://127.0.0.1:7700/v1/ws', token: () => fetchToken(), device: 'laptop' });
 * client.on('entry', async (conversation, entry) => show(conversation, entry));
 * client.start();
 * await client.sendText({ to: 'bob' }, 'hello').durable;
 * ```
 *
 * machine.ts decides, runtime.ts performs; here is what an app calls.
 */
import type { ProfileChanges, UserSettings } from '../domain/account.ts';
import type { GroupSettings, MessageContent, Preferences, Role } from '../domain/conversation.ts';
import { DEVICE_KINDS, type DeviceKind } from '../domain/devices.ts';
import {
  type ClientMsgId,
  type ConversationId,
  type DeviceId,
  directConversationId,
  parseClientMsgId,
  parseConversationId,
  parseDeviceId,
  parseGroupId,
  parseUserId,
  type UserId,
} from '../domain/ids.ts';
import type { ContactPage, OwnAccount, Profiles, PublicProfile } from '../protocol/account-frames.ts';
import { jsonCodec, msgpackCodec } from '../protocol/codec.ts';
import { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
import { fitName } from '../protocol/fit-name.ts';
import type {
  ChangedConversation,
  ChangesPage,
  ClientFrame,
  Command,
  ConversationPage,
  ConversationView,
  DeviceList,
  Entry,
  HistoryPage,
  ListedDevice,
  MemberPage,
  PresencePage,
  Query,
  QueryResult,
  Receipts,
  ResyncReason,
  SearchPage,
  SeenUser,
  ServerFrame,
  VersionPage,
} from '../protocol/frames.ts';
import { MAX_DEVICE_NAME_CHARS } from '../protocol/limits.ts';
import type { ClientErrorCode } from './client-error.ts';
import type { Effect, Gap, Input, Outcome, Status } from './inputs-and-effects.ts';
import { DRAIN_WITHIN_MS } from './limits.ts';
import { Machine } from './machine.ts';
import { watchable } from './presence.ts';
import type { Address, Request } from './requests.ts';
import { Runtime } from './runtime.ts';
import { MemoryStorage, type Storage, type StoredState } from './storage.ts';
import type { Synced } from './sync.ts';
import { uuidv7 } from './uuidv7.ts';
import { queryText, requestText, toldError } from './words.ts';

export interface ClientOptions {
  /** `ws://host:port/v1/ws` or `wss://…` */
  readonly url: string;
  /**
   * A JWT, or who fetches one: asked before each connection. It should give another one when the last was refused: the
   * same again ends the client. What it throws counts as a lost connection, to be tried again.
   */
  readonly token: string | (() => string | Promise<string>);
  /** Names this installation among the user's devices: 1 to 128 bytes of UTF-8, the same at every start. */
  readonly device: string;
  /** Where outbox and cursor are kept; one client at a time. Default: in memory, so a restart begins at `resume`. */
  readonly storage?: Storage;
  /** Default: `msgpack`. */
  readonly codec?: 'msgpack' | 'json';
  /** Where a device without a cursor begins. Default: `everything`. Does not count with `sync: 'recent'`. */
  readonly resume?: 'latest' | 'everything';
  /**
   * How a device is brought up that has nothing, or was away for so long that it cannot go on from its cursor.
   *
   * `recent`, for an app that shows conversations: `changed` tells the newest of the list, or those in which something has
   * changed, then `synced`; `history` has what lies in them. It takes as long for a past of a million messages as for one of ten.
   *
   * `replay` (default), for a program that only looks at entries: all of them come, from the inbox or from the log.
   */
  readonly sync?: 'recent' | 'replay';
  /**
   * Whether those who write to this user directly are told what this device has stored of theirs, by itself and coalesced.
   * Default: true.
   */
  readonly deliveredReceipts?: boolean;
  /** Name and version of the app, for the operator's logs. At most 128 characters. */
  readonly agent?: string;
  /** What it runs on: a deployment may bound how many of a kind are online at once. Default: `other`. */
  readonly deviceKind?: DeviceKind;
  /** What its user may know this device by, until they call it something else. At most 64 characters. */
  readonly deviceName?: string;
}

/** At most one of the first four; without any, the newest. */
export type ListPart = Omit<Extract<Query, { readonly type: 'conversations' }>, 'type'>;
export type HistoryPlace = Omit<Extract<Query, { readonly type: 'history' }>, 'type' | 'conversation'>;

/** Conversation, sender, time and page of a search. */
export interface SearchPlace {
  readonly conversation?: string;
  readonly by?: string;
  /** Milliseconds since 1970, both included. */
  readonly since?: number;
  readonly until?: number;
  readonly cursor?: string;
  readonly limit?: number;
}

export interface ClientEvents {
  /**
   * One inbox entry, in order, once; after a crash those may come again that were handled in its last quarter of a second.
   * The next one comes when the promise has resolved; only then is this one taken off the server's list. If it throws or
   * rejects, the client stops (`failed`), and the entry comes again at the next start. Do not await `close` in it.
   */
  entry(conversation: ConversationId, entry: Entry): void | Promise<void>;
  /**
   * With `sync: 'recent'`, a conversation as it is now: of a device that had nothing, each on the list's first page, in its order; of one
   * that was away, each in which something has changed. What an app kept of its list and of `amended` messages is to be replaced;
   * entries that it lacks, up to `lastIndex`, `history` has. Handled as an `entry` is, one after the other; after a crash some
   * may come again.
   *
   * Entries come meanwhile, also of conversations yet to be told: an index that is not behind `lastIndex` was told already, a list is
   * that of the newest of both. Do not await an answer of the server in it: begin to ask, and return.
   */
  changed(conversation: ChangedConversation): void | Promise<void>;
  /**
   * With `sync: 'recent'`: all is told, nothing is missing. What is not in conversations may have changed as well: `contacts`,
   * `account`, `preferences('')`. From here on the status is `live`.
   */
  synced(synced: Synced): void;
  status(status: Status): void;
  /** A member is writing: to be shown for `forMs`, unless a message of theirs comes before. */
  typing(conversation: ConversationId, writing: { readonly user: UserId; readonly forMs: number }): void;
  /**
   * Of users that `watch` named: all of them when the server has taken the set, also after each reconnect, then those of whom
   * something has changed. Without a connection nothing is known of them.
   */
  presence(seen: readonly SeenUser[]): void;
  /** This user's account has changed, here or on another device. What has changed while there was no connection `account()` tells. */
  account(account: OwnAccount): void;
  /** The cursor meant nothing any more; what is not known yet comes from the log, or is told by `changed`. */
  resync(reason: ResyncReason): void;
  /**
   * What was sent, and acked, was refused in the order of the log: the sender had been removed or blocked a moment before
   * (the same comes as an `entry`). Or it was left in the outbox by an earlier run, and is refused now.
   */
  rejected(
    conversation: ConversationId,
    refused: { readonly clientMsgId: ClientMsgId; readonly code: ErrorCode | ClientErrorCode },
  ): void;
  /** What was sent again stands in the log already, at `original`: nothing is lost and nothing doubled. */
  duplicate(
    conversation: ConversationId,
    repeated: { readonly clientMsgId: ClientMsgId; readonly original: number },
  ): void;
  /** Indexes are missing. Not `lost`: the inbox is asked again. `lost`: it was, in vain, and the client goes on. */
  gap(conversation: ConversationId, gap: Gap): void;
  /** The storage, an `entry` or a `changed` handler failed: the client has stopped, nothing was confirmed that was not handled. */
  failed(error: unknown): void;
  /** Every frame as it goes out or has come in, tokens included: for who looks at the wire. Costs nothing without a handler. */
  frame(direction: 'out' | 'in', frame: ClientFrame | ServerFrame): void;
}

/** Where it stands in the log. */
export interface Durable {
  readonly clientMsgId: ClientMsgId;
  /** With messages, as `at`. */
  readonly conversation?: ConversationId;
  readonly pos: number;
  /** Milliseconds since 1970, by the server's clock. */
  readonly at?: number;
}

/** Something on its way: known by its id at once, durable later. */
export interface Sending {
  readonly clientMsgId: ClientMsgId;
  /**
   * Resolves when the log has it. Rejects with a RookeryError that carries the code of the refusal, or with a ClientError:
   * OUTBOX_FULL, or CLIENT_CLOSED where the client ends first. It does not reject because there is no connection: it waits.
   */
  readonly durable: Promise<Durable>;
}

/** The other user of a direct conversation, or a conversation's id. */
export type Target = { readonly to: string } | { readonly conversation: string };

export class Client {
  readonly #machine: Machine;
  readonly #runtime: Runtime;
  /** Calls that wait for their answer, by ticket: sends and commands, then queries. */
  readonly #sendings = new Map<number, (outcome: Outcome) => void>();
  readonly #questions = new Map<number, (result: Extract<Effect, { type: 'answer' }>['result']) => void>();
  readonly #handlers: { [Name in keyof ClientEvents]: Set<ClientEvents[Name]> } = {
    entry: new Set(),
    changed: new Set(),
    synced: new Set(),
    status: new Set(),
    typing: new Set(),
    presence: new Set(),
    account: new Set(),
    resync: new Set(),
    rejected: new Set(),
    duplicate: new Set(),
    gap: new Set(),
    failed: new Set(),
    frame: new Set(),
  };
  #nextTicket = 1;
  #flushed: (() => void)[] = [];
  #status: Status = { phase: 'offline', reason: 'not started', retryInMs: 0 };
  #closing: Promise<void> | undefined;

  /** Use `createClient`. */
  constructor({ url, token, codec }: ClientOptions, machine: Machine, storage: Storage) {
    this.#machine = machine;
    this.#runtime = new Runtime(machine, {
      url,
      codec: codec === 'json' ? jsonCodec : msgpackCodec,
      storage,
      token: async () => (typeof token === 'string' ? token : token()),
      handle: (conversation, entry) => this.#handOver(conversation, entry),
      announce: (changed) => oneAfterTheOther(this.#handlers.changed, (handler) => handler(changed)),
      perform: (effect) => this.#perform(effect),
      failed: (error) => this.#emit('failed', error),
      sawFrame: (direction, frame) => this.#emit('frame', direction, frame),
      settled: () => this.#resolveFlushed(),
    });
  }

  get status(): Status {
    return this.#status;
  }

  /** Milliseconds since 1970 by the server's clock, as of its last welcome; undefined before the first. */
  get serverTimeMs(): number | undefined {
    return this.#machine.serverTimeMs(performance.now());
  }

  /** Messages and commands not yet acked or refused. */
  get outboxSize(): number {
    return this.#machine.outboxSize;
  }

  /** Gives back how to take the handler away. What a handler other than `entry` and `changed` throws is left to the global handler. */
  on<Name extends keyof ClientEvents>(name: Name, handler: ClientEvents[Name]): () => void {
    this.#handlers[name].add(handler);
    return () => void this.#handlers[name].delete(handler);
  }

  /** Connects, and stays so until `close`. Call it after the handlers are set. */
  start(): void {
    this.#runtime.input({ type: 'start' });
  }

  /**
   * Stored, then sent, and sent again until acked or refused; messages of one conversation keep their order. Before
   * `start` it only waits.
   * @param clientMsgId the same id again is the same message, for a day; default: a new UUIDv7
   * @throws RookeryError BAD_ID when the target or `clientMsgId` is no id
   */
  send(target: Target, content: MessageContent, clientMsgId: string = this.#newId()): Sending {
    const id = required(parseClientMsgId(clientMsgId), '`clientMsgId`');
    // It may wait for long: what the caller does with its bytes meanwhile must not change the message.
    const kept = { ...content, body: content.body.slice() };
    return this.#request({ t: 'send', address: addressOf(target), content: kept }, id);
  }

  /** As `send`, `text/plain`. */
  sendText(target: Target, text: string): Sending {
    return this.send(target, { contentType: 'text/plain', body: new TextEncoder().encode(text) });
  }

  /**
   * Tells the others that this user is writing; may be called with each key, it is thinned out. Without a connection nothing
   * happens. @throws RookeryError BAD_ID
   */
  typing(target: Target): void {
    this.#runtime.input({ type: 'typing', address: addressOf(target) });
  }

  /**
   * A command as the wire has it, for who passes on what others ask (one tab of a browser for all): its ids must be ids.
   * @param clientMsgId the same id again is the same command, for a day; default: a new UUIDv7
   */
  command(command: Command, clientMsgId: string = this.#newId()): Sending {
    return this.#request({ t: 'command', command }, required(parseClientMsgId(clientMsgId), '`clientMsgId`'));
  }

  /** A query as the wire has it; the answer is that of its kind. @throws as `conversation`, `conversations` */
  query<Result extends QueryResult = QueryResult>(query: Query): Promise<Result> {
    return this.#query<Result>(query);
  }

  /** Ids of the messages and commands not yet acked or refused, those that an earlier run has left among them. */
  get waiting(): readonly ClientMsgId[] {
    return this.#machine.waiting;
  }

  // Commands: stored and sent as messages are, each throws RookeryError BAD_ID for what is no id.

  /** @param members beside you, who become its owner */
  createGroup(id: string, name: string, members: readonly string[]): Sending {
    return this.#command({ type: 'createGroup', conversation: groupId(id), name, members: members.map(userId) });
  }

  addMembers(group: string, members: readonly string[]): Sending {
    return this.#command({ type: 'addMembers', conversation: groupId(group), members: members.map(userId) });
  }

  removeMembers(group: string, members: readonly string[]): Sending {
    return this.#command({ type: 'removeMembers', conversation: groupId(group), members: members.map(userId) });
  }

  leaveGroup(group: string): Sending {
    return this.#command({ type: 'leaveGroup', conversation: groupId(group) });
  }

  renameGroup(group: string, name: string): Sending {
    return this.#command({ type: 'renameGroup', conversation: groupId(group), name });
  }

  /** @param role `owner` hands the group over */
  changeRole(group: string, member: string, role: Role): Sending {
    return this.#command({ type: 'changeRole', conversation: groupId(group), member: userId(member), role });
  }

  dissolveGroup(group: string): Sending {
    return this.#command({ type: 'dissolveGroup', conversation: groupId(group) });
  }

  /** @param settings what is to change; the rest stays */
  changeGroup(group: string, settings: Partial<GroupSettings>): Sending {
    return this.#command({ type: 'changeGroup', conversation: groupId(group), settings });
  }

  /** @param until milliseconds since 1970; 0 lets the member speak again */
  muteMember(group: string, member: string, until: number): Sending {
    return this.#command({ type: 'muteMember', conversation: groupId(group), member: userId(member), until });
  }

  /** Joins a group that is open, or by an invite. */
  joinGroup(group: string, invite?: string): Sending {
    return this.#command({ type: 'joinGroup', conversation: groupId(group), ...(invite !== undefined && { invite }) });
  }

  /** Asks owner and admins of a group to be let in: `addMembers` or `declineJoin` answers. */
  requestToJoin(group: string, greeting = ''): Sending {
    return this.#command({ type: 'requestToJoin', conversation: groupId(group), greeting });
  }

  declineJoin(group: string, member: string): Sending {
    return this.#command({ type: 'declineJoin', conversation: groupId(group), member: userId(member) });
  }

  /**
   * @param expiresAt milliseconds since 1970; 0: never
   * @param maxUses 0: as often as one likes
   * @param invite the secret; default: 128 random bits
   */
  createInvite(
    group: string,
    { expiresAt = 0, maxUses = 0, invite = randomInvite() } = {},
  ): Sending & { invite: string } {
    const command = { type: 'createInvite', conversation: groupId(group), invite, expiresAt, maxUses } as const;
    return { invite, ...this.#command(command) };
  }

  revokeInvite(group: string, invite: string): Sending {
    return this.#command({ type: 'revokeInvite', conversation: groupId(group), invite });
  }

  /**
   * Shows something else in place of a message of yours, within a day.
   * @param clientMsgId of the message, as `send` gave it
   */
  edit(conversation: string, clientMsgId: string, content: MessageContent): Sending {
    const target = required(parseClientMsgId(clientMsgId), '`clientMsgId`');
    const kept = { ...content, body: content.body.slice() };
    return this.#command({ type: 'editMessage', conversation: conversationId(conversation), target, ...kept });
  }

  /** Takes a message back, within a day: your own, or as owner or admin also another's. @param by default: you */
  recall(conversation: string, clientMsgId: string, by?: string): Sending {
    const target = required(parseClientMsgId(clientMsgId), '`clientMsgId`');
    const sender = by === undefined ? {} : { sender: userId(by) };
    return this.#command({ type: 'recallMessage', conversation: conversationId(conversation), target, ...sender });
  }

  /** @param upTo index of the newest entry that was read */
  markRead(conversation: string, upTo: number): Sending {
    return this.#command({ type: 'markRead', conversation: conversationId(conversation), upTo });
  }

  /** Asks somebody to be a contact, or says yes to who has asked. */
  requestContact(user: string, greeting = ''): Sending {
    return this.#command({ type: 'requestContact', user: userId(user), greeting });
  }

  declineContact(user: string): Sending {
    return this.#command({ type: 'declineContact', user: userId(user) });
  }

  /** Ends it, or takes a request back. */
  removeContact(user: string): Sending {
    return this.#command({ type: 'removeContact', user: userId(user) });
  }

  /** One's own name for somebody, and the groups of contacts they are in: what is absent stays, '' and [] take it away. */
  setContact(user: string, about: Pick<Preferences, 'remark' | 'labels'>): Sending {
    const { user: me } = this.#machine;
    if (me === undefined)
      throw new RookeryError('BAD_REQUEST', 'who this user is, is known from the first connection on');
    return this.#command({
      type: 'changePreferences',
      about: directConversationId(me, userId(user)),
      preferences: about,
    });
  }

  /**
   * Pins, drafts, quiet hours …: all devices of the user follow. What is absent stays.
   * @param about a conversation; '': everything
   */
  changePreferences(about: string, preferences: Preferences): Sending {
    return this.#command({ type: 'changePreferences', about: about === '' ? '' : conversationId(about), preferences });
  }

  /** What everybody may see of this user: what is absent stays, a field that is null goes. */
  changeProfile(profile: ProfileChanges): Sending {
    return this.#command({ type: 'changeProfile', profile });
  }

  /** Quiet hours, and by whom this user wants to be seen and written to: what is absent stays. */
  changeSettings(settings: Partial<UserSettings>): Sending {
    return this.#command({ type: 'changeSettings', settings });
  }

  /** All tokens issued until now count no more, this device's among them: its next connection needs another one. */
  signOut(): Sending {
    return this.#command({ type: 'signOut' });
  }

  /** What this user calls one of their devices from now on: at most 64 characters. */
  renameDevice(device: string, name: string): Sending {
    return this.#command({ type: 'renameDevice', device: deviceId(device), name });
  }

  /** Sends a device away: its client stops, and tokens issued until now do not let it in any more. May be this one. */
  revokeDevice(device: string): Sending {
    return this.#command({ type: 'revokeDevice', device: deviceId(device) });
  }

  block(user: string): Sending {
    return this.#command({ type: 'blockUser', user: userId(user) });
  }

  unblock(user: string): Sending {
    return this.#command({ type: 'unblockUser', user: userId(user) });
  }

  /**
   * Members, name and newest index of a conversation. Waits for a connection.
   * @throws RookeryError BAD_ID, NOT_A_MEMBER, LOG_UNAVAILABLE, …; ClientError OUTBOX_FULL, CLIENT_CLOSED
   */
  async conversation(id: string): Promise<ConversationView> {
    return this.#query<ConversationView>({ type: 'conversation', conversation: conversationId(id) });
  }

  /**
   * A page of this user's conversations, the newest first, with what is unread in each; the next one with the `cursor` it gives.
   * @throws as `conversation`, RookeryError READ_MODEL_UNAVAILABLE
   */
  async conversations(page: ListPart = {}): Promise<ConversationPage> {
    return this.#query<ConversationPage>({ type: 'conversations', ...page });
  }

  /**
   * A page of those in which something has changed since a time (milliseconds since 1970), as they are now; 0: all of them.
   * @throws as `conversations`
   */
  async changes(since: number, page: Omit<ListPart, 'archived'> = {}): Promise<ChangesPage> {
    return this.#query<ChangesPage>({ type: 'changes', since, ...page });
  }

  /**
   * A page of those this user knows, has asked, has been asked by or has blocked, with one's own names and groups for them.
   * @throws as `conversations`
   */
  async contacts(page: Omit<ListPart, 'archived'> = {}): Promise<ContactPage> {
    return this.#query<ContactPage>({ type: 'contacts', ...page });
  }

  /** What this user has set about a conversation, or with '' about all. @throws as `conversations` */
  async preferences(about: string): Promise<Preferences> {
    return this.#query<Preferences>({ type: 'preferences', about: about === '' ? '' : conversationId(about) });
  }

  /**
   * A page of a conversation's past: `before` or `after` an index, `around` one, `since` a time; else the newest.
   * @throws as `conversations`
   */
  async history(id: string, page: HistoryPlace = {}): Promise<HistoryPage> {
    return this.#query<HistoryPage>({ type: 'history', conversation: conversationId(id), ...page });
  }

  /**
   * Messages with all of the words, the newest first, in all of this user's conversations or one.
   * @throws as `conversations`
   */
  async search(words: string, { conversation, by, ...where }: SearchPlace = {}): Promise<SearchPage> {
    return this.#query<SearchPage>({
      type: 'search',
      words,
      ...where,
      ...(conversation !== undefined && { conversation: conversationId(conversation) }),
      ...(by !== undefined && { by: userId(by) }),
    });
  }

  /** What message `n` was before it was edited; those `before` a position, else the newest. @throws as `conversations` */
  async edits(id: string, n: number, page: { readonly before?: number; readonly limit?: number } = {}) {
    return this.#query<VersionPage>({ type: 'edits', conversation: conversationId(id), n, ...page });
  }

  /** A page of the members, owner and admins first. @throws as `conversations` */
  async members(id: string, page: Omit<ListPart, 'archived'> = {}): Promise<MemberPage> {
    return this.#query<MemberPage>({ type: 'members', conversation: conversationId(id), ...page });
  }

  /** Who has read up to index `n`. @throws as `conversations` */
  async receipts(id: string, n: number): Promise<Receipts> {
    return this.#query<Receipts>({ type: 'receipts', conversation: conversationId(id), n });
  }

  /** This user's own account. @throws as `conversation` */
  async account(): Promise<OwnAccount> {
    return this.#query<OwnAccount>({ type: 'account' });
  }

  /** What everybody may see of up to 100 users; who has no account is left out. @throws as `conversation`, RookeryError BAD_REQUEST */
  async profiles(users: readonly string[]): Promise<readonly PublicProfile[]> {
    return (await this.#query<Profiles>({ type: 'profiles', users: users.map(userId) })).profiles;
  }

  /** This user's devices, in the order in which they came in first. @throws as `conversation` */
  async devices(): Promise<readonly ListedDevice[]> {
    return (await this.#query<DeviceList>({ type: 'devices' })).devices;
  }

  /** Who of up to 100 users is online, as far as this user may see it. @throws as `profiles` */
  async presence(users: readonly string[]): Promise<readonly SeenUser[]> {
    return (await this.#query<PresencePage>({ type: 'presence', users: users.map(userId) })).presence;
  }

  /**
   * From now on `presence` tells of these users, up to 256, and of nobody else; also after each reconnect, and not after a restart.
   * A passing refusal is tried again. Resolves with their presence once the server has taken the set; where a later call has replaced
   * it before, with that of the later one.
   * @throws as `conversation`, RookeryError BAD_REQUEST for more than 256
   */
  async watch(users: readonly string[]): Promise<readonly SeenUser[]> {
    const watched = watchable(users.map(userId));
    return (await this.#answer<PresencePage>('watch', (ticket) => ({ type: 'watch', ticket, users: watched })))
      .presence;
  }

  async #query<Result extends QueryResult>(query: Query): Promise<Result> {
    return this.#answer<Result>(queryText(query), (ticket) => ({ type: 'query', ticket, query }));
  }

  async #answer<Result extends QueryResult>(asked: string, asking: (ticket: number) => Input): Promise<Result> {
    const result = await new Promise<QueryResult | Error>((resolve) => {
      const ticket = this.#nextTicket++;
      this.#questions.set(ticket, resolve);
      this.#runtime.input(asking(ticket));
    });
    if (result instanceof Error) throw toldError(result, asked);
    // The gateway answers a query with its own kind of result.
    return result as Result;
  }

  /** Resolves when everything sent so far has been acked or refused, or the client has stopped. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.#flushed.push(resolve);
      this.#resolveFlushed();
    });
  }

  /**
   * Ends the client and closes the storage. On a live connection what is on its way is waited for, `drainWithinMs` at most,
   * and so is the entry that is being handled. What is not acked by then stays in the storage and goes out at the next
   * start; its promise rejects with CLIENT_CLOSED.
   */
  close({ drainWithinMs = DRAIN_WITHIN_MS }: { readonly drainWithinMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#close(drainWithinMs));
  }

  async #close(drainWithinMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainWithinMs);
    });
    if (this.#machine.phase === 'online') await Promise.race([this.flushed(), deadline]);
    await Promise.race([this.#runtime.endHandling(), deadline]);
    clearTimeout(timer);
    await this.#runtime.end();
  }

  /** By the server's clock, where it is known: an id that seems a day old is refused, and many a device's clock is wrong. */
  #newId(): string {
    return uuidv7(this.#machine.serverTimeMs(performance.now()) ?? Date.now());
  }

  #command(command: Command): Sending {
    return this.command(command);
  }

  #request(request: Request, clientMsgId: ClientMsgId): Sending {
    const ticket = this.#nextTicket++;
    const durable = new Promise<Durable>((resolve, reject) => {
      this.#sendings.set(ticket, (outcome) =>
        outcome.error ? reject(toldError(outcome.error, requestText(request))) : resolve({ clientMsgId, ...outcome }),
      );
    });
    // Who only looks at the entries need not look at this.
    durable.catch(() => undefined);
    this.#runtime.input({ type: 'request', ticket, clientMsgId, request });
    return { clientMsgId, durable };
  }

  #handOver(conversation: ConversationId, entry: Entry): void | Promise<void> {
    const { type, id: clientMsgId } = entry;
    if (type === 'rejected') this.#emit('rejected', conversation, { clientMsgId, code: entry.code });
    if (type === 'duplicate') this.#emit('duplicate', conversation, { clientMsgId, original: entry.original });
    return oneAfterTheOther(this.#handlers.entry, (handler) => handler(conversation, entry));
  }

  #perform(effect: Parameters<ConstructorParameters<typeof Runtime>[1]['perform']>[0]): void {
    switch (effect.type) {
      case 'settle':
        this.#sendings.get(effect.ticket)?.(effect.outcome);
        this.#sendings.delete(effect.ticket);
        return;
      case 'refused': {
        const { conversation, clientMsgId, error } = effect;
        return this.#emit('rejected', conversation, { clientMsgId, code: error.code });
      }
      case 'answer':
        this.#questions.get(effect.ticket)?.(effect.result);
        this.#questions.delete(effect.ticket);
        return;
      case 'status':
        this.#status = effect.status;
        return this.#emit('status', effect.status);
      case 'told':
        return this.#told(effect.frame);
      case 'resync':
        return this.#emit('resync', effect.reason);
      case 'synced':
        return this.#emit('synced', effect.synced);
      case 'gap': {
        const { conversation, after, found, lost } = effect;
        return this.#emit('gap', conversation, { after, found, lost });
      }
    }
  }

  #told(frame: Extract<Effect, { type: 'told' }>['frame']): void {
    if (frame.t === 'typing') {
      const { conversation, user, forMs } = frame;
      return this.#emit('typing', conversation, { user, forMs });
    }
    if (frame.t === 'presence') return this.#emit('presence', frame.presence);
    this.#emit('account', frame.account);
  }

  #resolveFlushed(): void {
    if (this.#flushed.length === 0) return;
    if (this.#machine.outboxSize > 0 && this.#machine.phase !== 'stopped') return;
    for (const resolve of this.#flushed.splice(0)) resolve();
  }

  /** One that throws must not keep the next effect from being performed: it is the global handler's matter. */
  #emit<Name extends Exclude<keyof ClientEvents, 'entry' | 'changed'>>(
    name: Name,
    ...values: Parameters<ClientEvents[Name]>
  ): void {
    for (const handler of this.#handlers[name]) {
      try {
        (handler as (...values: Parameters<ClientEvents[Name]>) => void)(...values);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/**
 * A client with its stored state loaded, not yet connected: set the handlers, then `start()`.
 * @throws RookeryError BAD_ID for a device that is no id, BAD_REQUEST for a URL that is none of a WebSocket, a token or kind that is none,
 *   or a name that is too long, BAD_NAME for one that cannot be shown; what the storage throws
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  const device = deviceId(options.device);
  if (!URL.canParse(options.url) || !/^wss?:$/.test(new URL(options.url).protocol)) {
    throw new RookeryError('BAD_REQUEST', '`url` must begin with ws:// or wss://');
  }
  if (typeof options.token !== 'string' && typeof options.token !== 'function') {
    throw new RookeryError('BAD_REQUEST', '`token` must be a token, or a function that gives one');
  }
  const { deviceKind: kind, deviceName: name } = options;
  if (kind !== undefined && !DEVICE_KINDS.includes(kind)) {
    throw new RookeryError('BAD_REQUEST', `\`deviceKind\` must be one of ${DEVICE_KINDS.join(', ')}`);
  }
  if (name !== undefined && name.length > MAX_DEVICE_NAME_CHARS) {
    throw new RookeryError('BAD_REQUEST', `\`deviceName\` must have at most ${MAX_DEVICE_NAME_CHARS} characters`);
  }
  if (name !== undefined) fitName(name, 'deviceName');
  if (typeof WebSocket === 'undefined')
    throw new Error('there is no WebSocket here: Rookery’s client needs Node 22 or later, or a browser');
  const { agent, sync, storage = new MemoryStorage(), deliveredReceipts: tellsDelivered = true } = options;
  const resume = sync === 'recent' ? 'latest' : (options.resume ?? 'everything');
  const onGap = sync === 'recent' ? 'changes' : 'replay';
  const stored: StoredState = await storage.load();
  const about = { ...(agent !== undefined && { agent }), ...(kind && { kind }), ...(name !== undefined && { name }) };
  const machine = new Machine({ device, resume, onGap, tellsDelivered, ...about }, stored);
  return new Client(options, machine, storage);
}

/** A promise only where a handler gave one. */
function oneAfterTheOther<Handler>(
  handlers: Iterable<Handler>,
  call: (handler: Handler) => void | Promise<void>,
): void | Promise<void> {
  let handling: void | Promise<void> | undefined;
  for (const handler of handlers) handling = handling ? handling.then(() => call(handler)) : call(handler);
  return handling;
}

function required<Id>(id: Id | undefined, what: string): Id {
  if (id === undefined) throw new RookeryError('BAD_ID', `${what} must be 1 to 128 bytes of UTF-8`);
  return id;
}
const userId = (text: string): UserId => required(parseUserId(text), 'a user id');
const deviceId = (text: string): DeviceId => required(parseDeviceId(text), 'a device id');
const groupId = (text: string): ConversationId => required(parseGroupId(text), "a group's id");
const conversationId = (text: string): ConversationId => required(parseConversationId(text), 'a conversation id');
function addressOf(target: Target): Address {
  // Who writes JavaScript may well give a name alone.
  if (typeof target !== 'object') throw new RookeryError('BAD_ID', 'a target is { to: … } or { conversation: … }');
  return 'to' in target ? { to: userId(target.to) } : { conversation: conversationId(target.conversation) };
}

/** 128 random bits, in hexadecimal. */
const randomInvite = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
