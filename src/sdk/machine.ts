/**
 * The client as a state machine: inputs in, effects out. It knows no socket, no clock and no chance: times and random
 * numbers come with the input. SPEC.md has its states, its transitions and its invariants, each with its test.
 *
 * long because: the transition table reads as one.
 */
import type { ClientMsgId, ConversationId, DeviceId, UserId } from '../domain/ids.ts';
import { afterClose } from '../protocol/close-codes.ts';
import { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
import type {
  ClientFrame,
  ConversationView,
  Cursor,
  Entry,
  ErrorFrame,
  Query,
  ResyncReason,
  ServerFrame,
} from '../protocol/frames.ts';
import { laneOf, numberOfKey, type OutboxEntry, outboxKey, type Request } from './outbox.ts';
import type { Mark, StoredState } from './storage.ts';

/** Requests unanswered at a time; the server's own bound may be lower. */
export const MAX_PIPELINED = 64;
/** Entries of the outbox; one more is refused with OUTBOX_FULL. */
export const MAX_OUTBOX = 10_000;
/** Entries handed to the app and not yet handled; beyond it the socket is let go until the app has caught up. */
export const MAX_UNHANDLED = 20_000;
/** Pauses between attempts to connect: full jitter below a bound that doubles. */
export const FIRST_BACKOFF_MS = 200;
export const MAX_BACKOFF_MS = 20_000;
/** Without an opened socket or a welcome within this time the attempt has failed. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** What a retryable refusal without a time is given. */
export const DEFAULT_RETRY_MS = 500;
/** A cursor is confirmed to the server at most this often. */
export const CONFIRM_EVERY_MS = 250;
const DEFAULT_HEARTBEAT_MS = 30_000;

export type Status =
  | { readonly phase: 'offline'; readonly reason: string; readonly retryInMs: number }
  | { readonly phase: 'connecting' }
  | { readonly phase: 'catching up' }
  | { readonly phase: 'live' }
  | { readonly phase: 'stopped'; readonly reason: string };

export type Outcome =
  | { readonly conversation?: ConversationId; readonly pos: number; readonly at?: number; readonly error?: undefined }
  | { readonly error: RookeryError };

export type TimerName = 'reconnect' | 'connect' | 'heartbeat' | 'retry' | 'confirm';

export type Input =
  | { readonly type: 'start' }
  | { readonly type: 'request'; readonly clientMsgId: ClientMsgId; readonly request: Request }
  | { readonly type: 'query'; readonly key: number; readonly query: Query }
  /** A token for the hello, or undefined where the app has none. */
  | { readonly type: 'token'; readonly token: string | undefined }
  | { readonly type: 'opened' }
  | { readonly type: 'frame'; readonly frame: ServerFrame }
  | { readonly type: 'closed'; readonly code: number; readonly reason: string }
  | { readonly type: 'timer'; readonly name: TimerName }
  /** The app has handled so many entries. */
  | { readonly type: 'handled'; readonly entries: number }
  /** A cursor and its marks are stored. */
  | { readonly type: 'committed'; readonly cursor: Cursor }
  | { readonly type: 'stop' };

export type Effect =
  | { readonly type: 'fetch token' }
  | { readonly type: 'open' }
  | { readonly type: 'close' }
  | { readonly type: 'write'; readonly frame: ClientFrame }
  | { readonly type: 'set timer'; readonly name: TimerName; readonly ms: number }
  | { readonly type: 'clear timer'; readonly name: TimerName }
  | { readonly type: 'store entry'; readonly entry: OutboxEntry }
  | { readonly type: 'drop entry'; readonly key: string }
  | { readonly type: 'settle'; readonly clientMsgId: ClientMsgId; readonly outcome: Outcome }
  | { readonly type: 'answer'; readonly key: number; readonly result: ConversationView | RookeryError }
  /** To be handled in order, each before the next; `commit` only after all before it. */
  | { readonly type: 'deliver'; readonly conversation: ConversationId; readonly entries: readonly Entry[] }
  | { readonly type: 'commit'; readonly cursor: Cursor; readonly marks: readonly (readonly [ConversationId, Mark])[] }
  | { readonly type: 'status'; readonly status: Status }
  | { readonly type: 'resync'; readonly reason: ResyncReason }
  | { readonly type: 'gap'; readonly conversation: ConversationId; readonly after: number; readonly found: number };

export interface MachineOptions {
  readonly device: DeviceId;
  /** Where a device that has no cursor begins. */
  readonly resume: 'latest' | 'everything';
  readonly agent?: string;
}

type Phase = 'idle' | 'offline' | 'authenticating' | 'connecting' | 'greeting' | 'online' | 'stopped';

interface Unanswered {
  readonly entry: OutboxEntry;
  readonly lane: string;
  /** The request's id on this connection; undefined while it is not under way. */
  id: number | undefined;
  /** Refused for a passing reason: not before the retry timer. */
  held: boolean;
}

export class Machine {
  readonly #options: MachineOptions;
  readonly #outbox = new Map<string, Unanswered>();
  readonly #byId = new Map<number, Unanswered>();
  readonly #queries = new Map<number, { readonly key: number; readonly query: Query }>();
  readonly #waitingQueries: { readonly key: number; readonly query: Query }[] = [];
  readonly #marks = new Map<ConversationId, Mark>();
  /** Marks moved since the last cursor frame. */
  #moved = new Map<ConversationId, Mark>();
  #phase: Phase = 'idle';
  #user: UserId | undefined;
  #cursor: Cursor | undefined;
  #nextKey = 1;
  #nextId = 1;
  #token: string | undefined;
  #refusedToken: string | undefined;
  #attempts = 0;
  #pipelined = MAX_PIPELINED;
  #heartbeatMs = DEFAULT_HEARTBEAT_MS;
  #silent = false;
  #live = false;
  #unhandled = 0;
  #appIsBehind = false;
  #confirming: number | undefined;
  #resumeEverything = false;

  constructor(options: MachineOptions, { outbox, cursor, marks }: StoredState) {
    this.#options = options;
    this.#cursor = cursor;
    for (const [conversation, mark] of marks) this.#marks.set(conversation, mark);
    for (const entry of [...outbox].sort((a, b) => (a.key < b.key ? -1 : 1))) {
      this.#outbox.set(entry.key, { entry, lane: laneOf(entry.request), id: undefined, held: false });
      this.#nextKey = numberOfKey(entry.key) + 1;
    }
  }

  get phase(): Phase {
    return this.#phase;
  }

  get outboxSize(): number {
    return this.#outbox.size;
  }

  /** @param random in [0, 1), for jitter */
  handle(input: Input, random: number): Effect[] {
    switch (input.type) {
      case 'start':
        return this.#phase === 'idle' ? this.#authenticate() : [];
      case 'request':
        return this.#request(input.clientMsgId, input.request);
      case 'query':
        this.#waitingQueries.push(input);
        return this.#send();
      case 'token':
        return this.#authenticated(input.token);
      case 'opened':
        return this.#greet();
      case 'frame':
        return this.#phase === 'greeting' || this.#phase === 'online' ? this.#frame(input.frame, random) : [];
      case 'closed':
        return this.#closed(input.code, input.reason, random);
      case 'timer':
        return this.#timer(input.name, random);
      case 'handled':
        return this.#handled(input.entries);
      case 'committed':
        return this.#committed(input.cursor);
      case 'stop':
        return this.#stop('closed by the app');
    }
  }

  // ---- connecting ----

  #authenticate(): Effect[] {
    this.#phase = 'authenticating';
    return [{ type: 'status', status: { phase: 'connecting' } }, { type: 'fetch token' }];
  }

  #authenticated(token: string | undefined): Effect[] {
    if (this.#phase !== 'authenticating') return [];
    if (token === undefined || token === this.#refusedToken) return this.#stop('no valid token');
    this.#token = token;
    this.#phase = 'connecting';
    return [{ type: 'set timer', name: 'connect', ms: CONNECT_TIMEOUT_MS }, { type: 'open' }];
  }

  #greet(): Effect[] {
    if (this.#phase !== 'connecting') return [];
    this.#phase = 'greeting';
    const { device, resume, agent } = this.#options;
    const from = this.#resumeEverything ? 'everything' : (this.#cursor ?? resume);
    const hello = { t: 'hello', id: this.#nextId++, token: this.#token as string, device, resume: from } as const;
    return [{ type: 'write', frame: agent === undefined ? hello : { ...hello, agent } }];
  }

  #closed(code: number, reason: string, random: number): Effect[] {
    if (this.#phase === 'stopped' || this.#phase === 'idle' || this.#phase === 'offline') return [];
    const after = afterClose(code);
    const effects = this.#forgetConnection();
    if (after === 'stop') return [...effects, ...this.#stop(`${code} ${reason}`)];
    if (after === 'reauthenticate') this.#refusedToken = this.#token;
    this.#phase = 'offline';
    if (this.#appIsBehind) return [...effects, offline('the app is behind', 0)];
    // A token that has expired is replaced at once; all else waits.
    const bound = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(this.#attempts, 16));
    const ms = after === 'reauthenticate' && this.#attempts === 0 ? 0 : Math.ceil(random * bound);
    this.#attempts += 1;
    return [...effects, offline(`${code} ${reason}`.trim(), ms), { type: 'set timer', name: 'reconnect', ms }];
  }

  /** What was under way on the connection is not any more; it goes out again on the next. */
  #forgetConnection(): Effect[] {
    for (const unanswered of this.#outbox.values()) unanswered.id = undefined;
    for (const unanswered of this.#outbox.values()) unanswered.held = false;
    this.#byId.clear();
    this.#waitingQueries.unshift(...this.#queries.values());
    this.#queries.clear();
    this.#live = false;
    this.#confirming = undefined;
    const names: TimerName[] = ['connect', 'heartbeat', 'retry', 'confirm'];
    return names.map((name) => ({ type: 'clear timer', name }));
  }

  #stop(reason: string): Effect[] {
    if (this.#phase === 'stopped') return [];
    const effects = this.#forgetConnection();
    this.#phase = 'stopped';
    const error = new RookeryError('SHUTTING_DOWN', `the client has stopped: ${reason}`);
    for (const { key } of this.#waitingQueries.splice(0)) effects.push({ type: 'answer', key, result: error });
    return [
      ...effects,
      { type: 'clear timer', name: 'reconnect' },
      { type: 'close' },
      { type: 'status', status: { phase: 'stopped', reason } },
    ];
  }

  // ---- sending ----

  #request(clientMsgId: ClientMsgId, request: Request): Effect[] {
    if (this.#outbox.size >= MAX_OUTBOX) {
      const error = new RookeryError('OVERLOADED', 'the outbox is full', { retryAfterMs: DEFAULT_RETRY_MS });
      return [{ type: 'settle', clientMsgId, outcome: { error } }];
    }
    const entry: OutboxEntry = { key: outboxKey(this.#nextKey++), clientMsgId, request };
    this.#outbox.set(entry.key, { entry, lane: laneOf(request), id: undefined, held: false });
    return [{ type: 'store entry', entry }, ...this.#send()];
  }

  /** Writes what may go out: in order, never past one of the same lane that is held, never beyond the pipeline's bound. */
  #send(): Effect[] {
    if (this.#phase !== 'online') return [];
    const effects: Effect[] = [];
    for (const waiting of this.#waitingQueries.splice(0)) {
      const id = this.#nextId++;
      this.#queries.set(id, waiting);
      effects.push({ type: 'write', frame: { t: 'query', id, query: waiting.query } });
    }
    const heldLanes = new Set<string>();
    for (const unanswered of this.#outbox.values()) {
      if (this.#byId.size >= this.#pipelined) break;
      if (unanswered.held) heldLanes.add(unanswered.lane);
      if (unanswered.id !== undefined || heldLanes.has(unanswered.lane)) continue;
      unanswered.id = this.#nextId++;
      this.#byId.set(unanswered.id, unanswered);
      effects.push({ type: 'write', frame: frameOf(unanswered.entry, unanswered.id) });
    }
    return effects;
  }

  #settled(id: number, outcome: Outcome): Effect[] {
    const unanswered = this.#byId.get(id);
    if (!unanswered) return [];
    const { key, clientMsgId } = unanswered.entry;
    this.#byId.delete(id);
    this.#outbox.delete(key);
    return [{ type: 'drop entry', key }, { type: 'settle', clientMsgId, outcome }, ...this.#send()];
  }

  #refused({ id, code, message, retryAfterMs }: ErrorFrame, random: number): Effect[] {
    if (id === undefined) return [];
    const error = new RookeryError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
    const query = this.#queries.get(id);
    if (query) {
      this.#queries.delete(id);
      return [{ type: 'answer', key: query.key, result: error }];
    }
    const unanswered = this.#byId.get(id);
    if (!unanswered) return [];
    if (!error.retryable) return this.#settled(id, { error });
    this.#byId.delete(id);
    unanswered.id = undefined;
    unanswered.held = true;
    const ms = Math.ceil((retryAfterMs ?? DEFAULT_RETRY_MS) * (1 + random));
    return [{ type: 'set timer', name: 'retry', ms }, ...this.#send()];
  }

  // ---- receiving ----

  #frame(frame: ServerFrame, random: number): Effect[] {
    this.#silent = false;
    switch (frame.t) {
      case 'welcome':
        return this.#welcomed(frame.user, frame.limits.maxInFlight, frame.limits.heartbeatMs);
      case 'sent':
        return this.#settled(frame.id, { conversation: frame.conversation, pos: frame.pos, at: frame.at });
      case 'done':
        return this.#settled(frame.id, { pos: frame.pos });
      case 'result': {
        const query = this.#queries.get(frame.id);
        this.#queries.delete(frame.id);
        return query ? [{ type: 'answer', key: query.key, result: frame.result }] : [];
      }
      case 'error':
        return this.#refused(frame, random);
      case 'deliver':
        return this.#delivered(frame.conversation, frame.entries);
      case 'cursor':
        return this.#cursorMoved({ epoch: frame.epoch, seq: frame.seq });
      case 'resync':
        return [{ type: 'resync', reason: frame.reason }];
      default:
        // A pong, or a frame of a newer server.
        return [];
    }
  }

  #welcomed(user: UserId, maxInFlight: number, heartbeatMs: number): Effect[] {
    this.#phase = 'online';
    this.#user = user;
    this.#attempts = 0;
    this.#refusedToken = undefined;
    this.#pipelined = Math.max(1, Math.min(MAX_PIPELINED, maxInFlight));
    this.#heartbeatMs = heartbeatMs;
    return [
      { type: 'clear timer', name: 'connect' },
      { type: 'set timer', name: 'heartbeat', ms: heartbeatMs },
      { type: 'status', status: { phase: 'catching up' } },
      ...this.#send(),
    ];
  }

  #delivered(conversation: ConversationId, all: readonly Entry[]): Effect[] {
    const entries: Entry[] = [];
    let mark = this.#marks.get(conversation) ?? { pos: 0, n: 0 };
    for (const entry of all) {
      if (entry.pos <= mark.pos) continue;
      const n = 'n' in entry ? entry.n : undefined;
      if (n !== undefined && n > mark.n + 1 && mark.n > 0 && !this.#joins(entry)) {
        // What lies between is missing: nothing beyond it is handed over; the inbox is asked again from its beginning.
        this.#move(conversation, mark);
        this.#resumeEverything = true;
        return [
          ...this.#handOver(conversation, entries),
          { type: 'gap', conversation, after: mark.n, found: n },
          { type: 'close' },
        ];
      }
      mark = { pos: entry.pos, n: Math.max(n ?? 0, mark.n) };
      entries.push(entry);
    }
    this.#move(conversation, mark);
    return this.#handOver(conversation, entries);
  }

  /** Whether with this entry the user comes (again): between leaving and joining the index goes on without them. */
  #joins(entry: Entry): boolean {
    if (entry.type !== 'membersAdded' && entry.type !== 'groupCreated') return false;
    return this.#user === undefined || entry.members.includes(this.#user) || entry.by === this.#user;
  }

  #move(conversation: ConversationId, mark: Mark): void {
    if (mark.pos === 0) return;
    this.#marks.set(conversation, mark);
    this.#moved.set(conversation, mark);
  }

  #handOver(conversation: ConversationId, entries: readonly Entry[]): Effect[] {
    if (entries.length === 0) return [];
    this.#unhandled += entries.length;
    const deliver: Effect = { type: 'deliver', conversation, entries };
    if (this.#unhandled <= MAX_UNHANDLED || this.#appIsBehind) return [deliver];
    this.#appIsBehind = true;
    return [deliver, { type: 'close' }];
  }

  #cursorMoved(cursor: Cursor): Effect[] {
    const marks = [...this.#moved];
    this.#moved = new Map();
    this.#cursor = cursor;
    this.#resumeEverything = false;
    const commit: Effect = { type: 'commit', cursor, marks };
    if (this.#live) return [commit];
    this.#live = true;
    return [commit, { type: 'status', status: { phase: 'live' } }];
  }

  #handled(entries: number): Effect[] {
    this.#unhandled -= entries;
    if (!this.#appIsBehind || this.#unhandled > 0) return [];
    this.#appIsBehind = false;
    return this.#phase === 'offline' ? this.#authenticate() : [];
  }

  #committed({ seq }: Cursor): Effect[] {
    if (this.#phase !== 'online') return [];
    const isFirst = this.#confirming === undefined;
    this.#confirming = seq;
    return isFirst ? [{ type: 'set timer', name: 'confirm', ms: CONFIRM_EVERY_MS }] : [];
  }

  // ---- time ----

  #timer(name: TimerName, random: number): Effect[] {
    switch (name) {
      case 'reconnect':
        return this.#phase === 'offline' ? this.#authenticate() : [];
      case 'connect':
        if (this.#phase !== 'connecting' && this.#phase !== 'greeting') return [];
        return [{ type: 'close' }, ...this.#closed(1006, 'no answer', random)];
      case 'heartbeat':
        if (this.#phase !== 'online') return [];
        // A ping was sent at the last beat, and nothing came since: the connection is half-open.
        if (this.#silent) return [{ type: 'close' }, ...this.#closed(1006, 'the connection is silent', random)];
        this.#silent = true;
        return [
          { type: 'write', frame: { t: 'ping' } },
          { type: 'set timer', name: 'heartbeat', ms: this.#heartbeatMs },
        ];
      case 'retry':
        for (const unanswered of this.#outbox.values()) unanswered.held = false;
        return this.#send();
      case 'confirm': {
        const seq = this.#confirming;
        this.#confirming = undefined;
        return seq === undefined || this.#phase !== 'online' ? [] : [{ type: 'write', frame: { t: 'confirm', seq } }];
      }
    }
  }
}

const offline = (reason: string, retryInMs: number): Effect => ({
  type: 'status',
  status: { phase: 'offline', reason, retryInMs },
});

function frameOf({ clientMsgId, request }: OutboxEntry, id: number): ClientFrame {
  if (request.t === 'command') return { t: 'command', id, clientMsgId, command: request.command };
  return { t: 'send', id, ...request.address, clientMsgId, ...request.content };
}

export type { ErrorCode };
