/**
 * Rookery's client for browsers and Node (22 and later): the machine of machine.ts with a WebSocket, timers and a storage
 * around it.
 *
 * ```ts
 * const client = await createClient({ url: 'ws://127.0.0.1:7700/v1/ws', token: () => fetchToken(), device: 'laptop' });
 * client.on('entry', async (conversation, entry) => show(conversation, entry));
 * await client.sendText({ to: 'bob' }, 'hello').durable;
 * ```
 */
import type { MessageContent, Role } from '../domain/conversation.ts';
import {
  type ClientMsgId,
  type ConversationId,
  parseConversationId,
  parseDeviceId,
  parseGroupId,
  parseUserId,
  type UserId,
} from '../domain/ids.ts';
import { type Codec, jsonCodec, msgpackCodec } from '../protocol/codec.ts';
import { asRookeryError, RookeryError } from '../protocol/error-codes.ts';
import type { Command, ConversationView, Entry, ResyncReason, ServerFrame } from '../protocol/frames.ts';
import { type Effect, type Input, Machine, type Outcome, type Status, type TimerName } from './machine.ts';
import type { Address, Request } from './outbox.ts';
import { MemoryStorage, type Storage } from './storage.ts';
import { uuidv7 } from './uuidv7.ts';

export interface ClientOptions {
  /** `ws://host:port/v1/ws` or `wss://…` */
  readonly url: string;
  /** A JWT, or who fetches one: it is asked before each connection. */
  readonly token: string | (() => string | Promise<string>);
  /** Names this installation among the user's devices: 1 to 128 bytes of UTF-8, the same at every start. */
  readonly device: string;
  /** Where outbox and cursor are kept. Default: in memory, so a restart begins at `resume`. */
  readonly storage?: Storage;
  readonly codec?: 'msgpack' | 'json';
  /** Where a device without a cursor begins. Default: `everything`. */
  readonly resume?: 'latest' | 'everything';
  /** Name and version of the app, for the operator's logs. */
  readonly agent?: string;
}

export interface ClientEvents {
  /** One inbox entry, in order, once. The next comes when the promise has resolved; only then the cursor moves on. */
  entry(conversation: ConversationId, entry: Entry): void | Promise<void>;
  status(status: Status): void;
  /** The cursor meant nothing any more; what is not known yet comes from the log. */
  resync(reason: ResyncReason): void;
  /** An index was missing; the inbox is asked again. */
  gap(conversation: ConversationId, after: number, found: number): void;
  /** The storage or a handler failed: the client has stopped, nothing was confirmed that was not handled. */
  failed(error: unknown): void;
}

/** Something on its way: known by its id at once, durable later. */
export interface Sending {
  readonly clientMsgId: ClientMsgId;
  /**
   * Resolves when the log has it. Rejects with RookeryError: the code of the refusal, or OVERLOADED where the outbox is
   * full. It does not reject because there is no connection: then it waits.
   */
  readonly durable: Promise<{ readonly conversation?: ConversationId; readonly pos: number; readonly at?: number }>;
}

type Target = { readonly to: string } | { readonly conversation: string };
type Settle = (outcome: Outcome) => void;

export class Client {
  readonly #options: ClientOptions;
  readonly #codec: Codec;
  readonly #machine: Machine;
  readonly #storage: Storage;
  readonly #settle = new Map<ClientMsgId, Settle>();
  readonly #answers = new Map<number, (result: ConversationView | RookeryError) => void>();
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  readonly #handlers: { [Name in keyof ClientEvents]: Set<ClientEvents[Name]> } = {
    entry: new Set(),
    status: new Set(),
    resync: new Set(),
    gap: new Set(),
    failed: new Set(),
  };
  #socket: WebSocket | undefined;
  #nextAnswer = 1;
  /** Entries are handled and cursors stored one after the other. */
  #handling: Promise<void> = Promise.resolve();
  /** Outbox changes reach the storage in their order, before the frame they belong to is written. */
  #storing: Promise<void> = Promise.resolve();
  #status: Status = { phase: 'offline', reason: 'not started', retryInMs: 0 };

  constructor(options: ClientOptions, storage: Storage, machine: Machine) {
    this.#options = options;
    this.#codec = options.codec === 'json' ? jsonCodec : msgpackCodec;
    this.#storage = storage;
    this.#machine = machine;
  }

  get status(): Status {
    return this.#status;
  }

  /** Messages and commands not yet acked or refused. */
  get outboxSize(): number {
    return this.#machine.outboxSize;
  }

  on<Name extends keyof ClientEvents>(name: Name, handler: ClientEvents[Name]): () => void {
    this.#handlers[name].add(handler);
    return () => this.#handlers[name].delete(handler);
  }

  /** Connects, and stays so until `close`. Call it after the handlers are set. */
  start(): void {
    this.#handle({ type: 'start' });
  }

  /** @throws RookeryError BAD_ID when the target is no id */
  send(target: Target, content: MessageContent, clientMsgId = uuidv7(Date.now())): Sending {
    return this.#request({ t: 'send', address: addressOf(target), content }, clientMsgId as ClientMsgId);
  }

  sendText(target: Target, text: string): Sending {
    return this.send(target, { contentType: 'text/plain', body: new TextEncoder().encode(text) });
  }

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
  changeRole(group: string, member: string, role: Role): Sending {
    return this.#command({ type: 'changeRole', conversation: groupId(group), member: userId(member), role });
  }
  dissolveGroup(group: string): Sending {
    return this.#command({ type: 'dissolveGroup', conversation: groupId(group) });
  }
  markRead(conversation: string, upTo: number): Sending {
    return this.#command({ type: 'markRead', conversation: conversationId(conversation), upTo });
  }
  block(user: string): Sending {
    return this.#command({ type: 'blockUser', user: userId(user) });
  }
  unblock(user: string): Sending {
    return this.#command({ type: 'unblockUser', user: userId(user) });
  }

  /** Members, name and newest index of a conversation. @throws RookeryError NOT_A_MEMBER, LOG_UNAVAILABLE, … */
  conversation(id: string): Promise<ConversationView> {
    return new Promise((resolve, reject) => {
      const key = this.#nextAnswer++;
      this.#answers.set(key, (result) => (result instanceof RookeryError ? reject(result) : resolve(result)));
      this.#handle({ type: 'query', key, query: { type: 'conversation', conversation: conversationId(id) } });
    });
  }

  /** Resolves when everything sent so far has been acked or refused. */
  async flushed(): Promise<void> {
    while (this.#machine.outboxSize > 0 && this.#machine.phase !== 'stopped') {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Ends the connection; what was not acked stays in the storage for the next start. */
  async close(): Promise<void> {
    this.#handle({ type: 'stop' });
    await this.#handling;
    await this.#storing;
    await this.#storage.close();
  }

  #command(command: Command): Sending {
    return this.#request({ t: 'command', command }, uuidv7(Date.now()) as ClientMsgId);
  }

  #request(request: Request, clientMsgId: ClientMsgId): Sending {
    const durable = new Promise<{ conversation?: ConversationId; pos: number; at?: number }>((resolve, reject) => {
      this.#settle.set(clientMsgId, (outcome) => (outcome.error ? reject(outcome.error) : resolve(outcome)));
    });
    // Who only looks at the entries need not look at this.
    durable.catch(() => undefined);
    this.#handle({ type: 'request', clientMsgId, request });
    return { clientMsgId, durable };
  }

  #handle(input: Input): void {
    for (const effect of this.#machine.handle(input, Math.random())) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'fetch token':
        return this.#fetchToken();
      case 'open':
        return this.#open();
      case 'close':
        this.#socket?.close();
        return;
      case 'write':
        // A message is in the storage before it is on the wire: a crash between the two sends it again, with the same id.
        void this.#storing.then(() => this.#write(effect.frame));
        return;
      case 'set timer':
        clearTimeout(this.#timers.get(effect.name));
        this.#timers.set(
          effect.name,
          setTimeout(() => this.#handle({ type: 'timer', name: effect.name }), effect.ms),
        );
        return;
      case 'clear timer':
        clearTimeout(this.#timers.get(effect.name));
        return;
      case 'store entry':
        this.#store(() => this.#storage.putOutbox(effect.entry));
        return;
      case 'drop entry':
        this.#store(() => this.#storage.deleteOutbox(effect.key));
        return;
      case 'settle':
        this.#settle.get(effect.clientMsgId)?.(effect.outcome);
        this.#settle.delete(effect.clientMsgId);
        return;
      case 'answer':
        this.#answers.get(effect.key)?.(effect.result);
        this.#answers.delete(effect.key);
        return;
      case 'deliver':
        this.#inOrder(() => this.#deliver(effect.conversation, effect.entries));
        return;
      case 'commit':
        this.#inOrder(async () => {
          await this.#storage.commit(effect.cursor, effect.marks);
          this.#handle({ type: 'committed', cursor: effect.cursor });
        });
        return;
      case 'status':
        this.#status = effect.status;
        for (const handler of this.#handlers.status) handler(effect.status);
        return;
      case 'resync':
        for (const handler of this.#handlers.resync) handler(effect.reason);
        return;
      case 'gap':
        for (const handler of this.#handlers.gap) handler(effect.conversation, effect.after, effect.found);
    }
  }

  async #deliver(conversation: ConversationId, entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      for (const handler of this.#handlers.entry) await handler(conversation, entry);
    }
    this.#handle({ type: 'handled', entries: entries.length });
  }

  #inOrder(work: () => Promise<void>): void {
    this.#handling = this.#handling.then(work).catch((error: unknown) => this.#fail(error));
  }

  #store(work: () => Promise<void>): void {
    this.#storing = this.#storing.then(work).catch((error: unknown) => this.#fail(error));
  }

  /** Nothing may be handled, or confirmed, behind a failure. */
  #fail(error: unknown): void {
    this.#handle({ type: 'stop' });
    this.#handling = new Promise(() => undefined);
    for (const handler of this.#handlers.failed) handler(error);
  }

  #fetchToken(): void {
    const { token } = this.#options;
    const fetching = typeof token === 'string' ? Promise.resolve(token) : Promise.resolve().then(token);
    fetching.then(
      (fetched) => this.#handle({ type: 'token', token: fetched }),
      // The provider may be out of reach as well: to be tried again like a lost connection.
      () => this.#handle({ type: 'closed', code: 1006, reason: 'no token' }),
    );
  }

  #open(): void {
    const socket = new WebSocket(this.#options.url, this.#codec.subprotocol);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    const isCurrent = (): boolean => this.#socket === socket;
    socket.onopen = () => isCurrent() && this.#handle({ type: 'opened' });
    socket.onmessage = ({ data }) => isCurrent() && this.#received(data as ArrayBuffer | string);
    socket.onclose = ({ code, reason }) => {
      if (!isCurrent()) return;
      this.#socket = undefined;
      this.#handle({ type: 'closed', code, reason });
    };
  }

  #received(data: ArrayBuffer | string): void {
    let frame: ServerFrame;
    try {
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data);
      frame = this.#codec.decode(bytes) as ServerFrame;
    } catch (error) {
      this.#fail(asRookeryError(error));
      return;
    }
    this.#handle({ type: 'frame', frame });
  }

  #write(frame: object): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    const bytes = this.#codec.encode(frame) as Uint8Array<ArrayBuffer>;
    socket.send(this.#codec.binary ? bytes : new TextDecoder().decode(bytes));
  }
}

/**
 * A client with its stored state loaded, not yet connected: set the handlers, then `start()`.
 * @throws RookeryError BAD_ID for a device that is no id; what the storage throws
 */
export async function createClient(options: ClientOptions): Promise<Client> {
  const device = parseDeviceId(options.device);
  if (!device) throw new RookeryError('BAD_ID', '`device` must be 1 to 128 bytes of UTF-8');
  const storage = options.storage ?? new MemoryStorage();
  const { agent, resume = 'everything' } = options;
  const machine = new Machine({ device, resume, ...(agent !== undefined && { agent }) }, await storage.load());
  return new Client(options, storage, machine);
}

function required<Id>(id: Id | undefined, what: string): Id {
  if (id === undefined) throw new RookeryError('BAD_ID', `${what} must be 1 to 128 bytes of UTF-8`);
  return id;
}
const userId = (text: string): UserId => required(parseUserId(text), 'a user id');
const groupId = (text: string): ConversationId => required(parseGroupId(text), "a group's id");
const conversationId = (text: string): ConversationId => required(parseConversationId(text), 'a conversation id');
const addressOf = (target: Target): Address =>
  'to' in target ? { to: userId(target.to) } : { conversation: conversationId(target.conversation) };
