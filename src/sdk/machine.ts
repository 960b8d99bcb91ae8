/**
 * The client as a state machine: inputs in, effects out. It knows no socket, no storage, no clock and no chance: the time
 * and a random number come with each input. SPEC.md has its states, its transitions and its invariants, each with its test.
 *
 * This file is the connection; what goes out is in outbox.ts, what comes in is in inbox.ts.
 */
// long because: the transition table of SPEC.md reads as one
import type { DeviceKind } from '../domain/devices.ts';
import type { ClientMsgId, ConversationId, DeviceId, UserId } from '../domain/ids.ts';
import { afterClose } from '../protocol/close-codes.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import type {
  CursorFrame,
  Entry,
  ErrorFrame,
  OnGap,
  QueryResult,
  ResultFrame,
  ResyncFrame,
  SeenUser,
  ServerFrame,
  WelcomeFrame,
} from '../protocol/frames.ts';
import { BehindTold } from './behind.ts';
import { ClientError } from './client-error.ts';
import { Commits } from './commits.ts';
import { Deliveries } from './deliveries.ts';
import { Inbox } from './inbox.ts';
import type { Effect, Input, Moment, Outcome, PassedCursor, TimerName } from './inputs-and-effects.ts';
import * as limits from './limits.ts';
import { Outbox, type Unanswered } from './outbox.ts';
import { Watching } from './presence.ts';
import { Queries } from './queries.ts';
import type { Address } from './requests.ts';
import type { StoredCursor, StoredState } from './storage.ts';
import { Sync, type SyncPage } from './sync.ts';
import { TypingTold } from './typing.ts';
import { closedText } from './words.ts';

export interface MachineOptions {
  readonly device: DeviceId;
  /** Where a device that has no cursor begins. */
  readonly resume: 'latest' | 'everything';
  /** How a device is brought up that has nothing, or cannot go on from its cursor. */
  readonly onGap?: OnGap;
  /** For the operator's logs. */
  readonly agent?: string;
  /** For the user's list of devices. */
  readonly kind?: DeviceKind;
  readonly name?: string;
  /** Whether the others are told what this device has stored of theirs. */
  readonly tellsDelivered?: boolean;
}

export type Phase = 'idle' | 'offline' | 'authenticating' | 'connecting' | 'greeting' | 'online' | 'stopped';

export class Machine {
  readonly #options: MachineOptions;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #commits: Commits;
  readonly #queries = new Queries();
  readonly #watching = new Watching();
  readonly #sync: Sync;
  readonly #typing = new TypingTold();
  readonly #deliveries: Deliveries;
  #deliveredTimerIsSet = false;
  #phase: Phase = 'idle';
  #stopReason = '';
  #user: UserId | undefined;
  #nextId = 1;
  #helloId = 0;
  #token: string | undefined;
  #refusedToken: string | undefined;
  /** The close code by which it was. */
  #refusedBy: number | undefined;
  /** Connections lost or not made, in a row. */
  #attempts = 0;
  #liveSinceMs: number | undefined;
  #maxInFlight = limits.MAX_PIPELINED;
  #heartbeatMs = limits.DEFAULT_HEARTBEAT_MS;
  /** The server's time at zero of our monotonic clock; undefined before the first welcome. */
  #serverStartedMs: number | undefined;
  #heardAtMs = 0;
  #heardSincePing = false;
  #unhandledEntries = 0;
  #unhandledBytes = 0;
  #appIsBehind = false;
  readonly #behind = new BehindTold();

  constructor(options: MachineOptions, stored: StoredState) {
    this.#options = options;
    this.#outbox = new Outbox(stored.outbox);
    this.#inbox = new Inbox(stored, options.resume);
    this.#commits = new Commits(this.#inbox);
    this.#sync = new Sync(stored.cursor?.sync);
    this.#deliveries = new Deliveries(this.#tellsDelivered ? stored.marks : []);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Known from the first welcome on. */
  get user(): UserId | undefined {
    return this.#user;
  }

  /** Whether something is yet to be told of what has changed. */
  get isSyncing(): boolean {
    return this.#sync.pending !== undefined;
  }

  get #tellsDelivered(): boolean {
    return this.#options.tellsDelivered ?? true;
  }

  get outboxSize(): number {
    return this.#outbox.size;
  }

  get waiting(): readonly ClientMsgId[] {
    return this.#outbox.all().map(({ entry }) => entry.clientMsgId);
  }

  handle(input: Input, moment: Moment): Effect[] {
    switch (input.type) {
      case 'start':
        return this.#phase === 'idle' ? this.#authenticate() : [];
      case 'request':
        return this.#request(input, moment);
      case 'query':
        return this.#query(input, moment);
      case 'watch':
        return this.#watch(input, moment);
      case 'typing':
        return this.#type(input.address, moment);
      case 'token':
        return this.#authenticated(input.token);
      case 'opened':
        return this.#greet();
      case 'frame':
        return this.#frame(input.frame, moment);
      case 'closed':
        return this.#closed(input.code, input.reason, moment);
      case 'timer':
        return this.#timer(input.name, moment);
      case 'handled':
        return this.#handled(input.conversation, input.entries, moment);
      case 'passed':
        return this.#passed(input.cursor, moment);
      case 'announced':
        return this.#announced(input.page, moment);
      case 'committed':
        return this.#committed(input.cursor, moment);
      case 'stop':
        return this.#stop(input.reason);
    }
  }

  // ---- connecting ----

  #authenticate(): Effect[] {
    this.#phase = 'authenticating';
    return [{ type: 'status', status: { phase: 'connecting' } }, { type: 'fetch token' }];
  }

  #authenticated(token: string | undefined): Effect[] {
    if (this.#phase !== 'authenticating') return [];
    if (token === undefined) return this.#stop('there is no token');
    if (token === this.#refusedToken)
      return this.#stop('the token was refused, and there is no other', this.#refusedBy);
    this.#token = token;
    this.#phase = 'connecting';
    return [{ type: 'set timer', name: 'connect', ms: limits.CONNECT_TIMEOUT_MS }, { type: 'open' }];
  }

  #greet(): Effect[] {
    if (this.#phase !== 'connecting') return [];
    this.#phase = 'greeting';
    this.#helloId = this.#nextId++;
    const { device, agent, kind, name, onGap } = this.#options;
    const token = this.#token as string;
    const about = { ...(agent !== undefined && { agent }), ...(kind && { kind }), ...(name !== undefined && { name }) };
    const hello = { t: 'hello', id: this.#helloId, token, device, resume: this.#inbox.resume, ...about } as const;
    // What is not told yet must be told, whatever this run wants.
    const asks = onGap === 'changes' || this.#sync.pending !== undefined;
    return [{ type: 'write', frame: { ...hello, ...(asks && { onGap: 'changes' as const }) } }];
  }

  /** Milliseconds since 1970 by the server's clock, as far as one was met. @param nowMs by the clock of the moments */
  serverTimeMs(nowMs: number): number | undefined {
    return this.#serverStartedMs === undefined ? undefined : this.#serverStartedMs + nowMs;
  }

  #welcomed({ user, serverTime, limits: { maxInFlight, heartbeatMs } }: WelcomeFrame, moment: Moment): Effect[] {
    this.#phase = 'online';
    this.#serverStartedMs = serverTime - moment.nowMs;
    this.#user = user;
    this.#refusedToken = undefined;
    this.#maxInFlight = Math.max(1, Math.min(limits.MAX_PIPELINED, maxInFlight));
    this.#heartbeatMs = heartbeatMs;
    return [
      { type: 'clear timer', name: 'connect' },
      { type: 'set timer', name: 'heartbeat', ms: heartbeatMs },
      ...this.#behind.begins(this.#unhandledEntries, this.#sync.left, moment.nowMs),
      ...this.#send(moment),
    ];
  }

  /** The hello was refused. A refused token is told by the close code that follows. */
  #notWelcomed({ code, message }: ErrorFrame, moment: Moment): Effect[] {
    const error = new RookeryError(code, message);
    if (error.status === 401) return [];
    return error.retryable ? this.#disconnect(code, moment) : this.#stop(`${code}: ${message}`);
  }

  /** Gives the connection up from our side. */
  #disconnect(reason: string, moment: Moment): Effect[] {
    return [{ type: 'close' }, ...this.#closed(1006, reason, moment)];
  }

  #closed(code: number, reason: string, { nowMs, random }: Moment): Effect[] {
    if (this.#phase === 'stopped' || this.#phase === 'idle' || this.#phase === 'offline') return [];
    const wasStable = this.#liveSinceMs !== undefined && nowMs - this.#liveSinceMs >= limits.STABLE_AFTER_MS;
    if (wasStable) this.#attempts = 0;
    const effects = code === 1009 ? this.#frameTooLong() : [];
    effects.push(...this.#forgetConnection());
    const after = afterClose(code);
    if (after === 'stop') return [...effects, ...this.#stop(closedText(code, reason), code)];
    if (after === 'reauthenticate') {
      this.#refusedToken = this.#token;
      this.#refusedBy = code;
    }
    this.#phase = 'offline';
    if (this.#appIsBehind) return [...effects, offline('the app is behind', 0)];
    const bound = Math.min(limits.MAX_BACKOFF_MS, limits.FIRST_BACKOFF_MS * 2 ** Math.min(this.#attempts, 16));
    // A token that has expired in use is replaced at once; all else waits.
    const ms = after === 'reauthenticate' && this.#attempts === 0 ? 0 : Math.ceil(random * bound);
    this.#attempts += 1;
    // Given up from our side, it says why by itself.
    const why = code === 1006 && reason !== '' ? reason : closedText(code, reason);
    return [...effects, offline(why, ms), { type: 'set timer', name: 'reconnect', ms }];
  }

  #frameTooLong(): Effect[] {
    const culprit = this.#outbox.tooLong();
    if (!culprit) return [];
    return this.#settle(culprit, { error: new RookeryError('FRAME_TOO_LARGE', 'too long for the server') });
  }

  /** What was under way on the connection is not any more; it goes out again on the next. */
  #forgetConnection(): Effect[] {
    this.#outbox.disconnected();
    this.#queries.disconnected();
    this.#watching.disconnected();
    this.#sync.disconnected();
    this.#deliveries.disconnected();
    this.#commits.beginsAnew();
    this.#liveSinceMs = undefined;
    const names: TimerName[] = ['connect', 'heartbeat', 'pong', 'retry', 'sync', 'watch'];
    return names.map((name) => ({ type: 'clear timer', name }));
  }

  #stop(reason: string, closeCode?: number): Effect[] {
    if (this.#phase === 'stopped') return [];
    const effects = this.#forgetConnection();
    this.#phase = 'stopped';
    this.#stopReason = reason;
    if (this.#inbox.hasProgress) effects.push({ type: 'commit', ...this.#inbox.takeProgress() });
    effects.push(
      { type: 'clear timer', name: 'reconnect' },
      { type: 'clear timer', name: 'commit' },
      { type: 'clear timer', name: 'delivered' },
      { type: 'close' },
    );
    effects.push({ type: 'status', status: { phase: 'stopped', reason, ...(closeCode && { closeCode }) } });
    const error = this.#hasStopped();
    for (const ticket of [...this.#queries.end(), ...this.#watching.end()])
      effects.push({ type: 'answer', ticket, result: error });
    // They stay in the storage: the promises end, the messages do not.
    for (const { ticket } of this.#outbox.all()) {
      if (ticket !== undefined) effects.push({ type: 'settle', ticket, outcome: { error } });
    }
    return effects;
  }

  #hasStopped(): ClientError {
    return new ClientError('CLIENT_CLOSED', `the client has stopped: ${this.#stopReason}`);
  }

  // ---- sending ----

  #request({ ticket, clientMsgId, request }: Extract<Input, { type: 'request' }>, moment: Moment): Effect[] {
    if (this.#phase === 'stopped') return [{ type: 'settle', ticket, outcome: { error: this.#hasStopped() } }];
    const entry = this.#outbox.add(ticket, clientMsgId, request);
    if (!entry) {
      const error = new ClientError('OUTBOX_FULL', 'too much waits to be sent');
      return [{ type: 'settle', ticket, outcome: { error } }];
    }
    if (request.t === 'command' && request.command.type === 'markRead') {
      this.#deliveries.read(request.command);
      this.#inbox.deliveredTold(request.command);
    }
    return [{ type: 'store entry', entry }, ...this.#send(moment)];
  }

  #query({ ticket, query }: Extract<Input, { type: 'query' }>, moment: Moment): Effect[] {
    if (this.#phase === 'stopped') return [{ type: 'answer', ticket, result: this.#hasStopped() }];
    if (this.#queries.add({ ticket, query })) return this.#send(moment);
    return [{ type: 'answer', ticket, result: new ClientError('OUTBOX_FULL', 'too many queries wait') }];
  }

  #watch({ ticket, users }: Extract<Input, { type: 'watch' }>, moment: Moment): Effect[] {
    if (this.#phase === 'stopped') return [{ type: 'answer', ticket, result: this.#hasStopped() }];
    if (this.#watching.replace(ticket, users)) return this.#send(moment);
    return [{ type: 'answer', ticket, result: new ClientError('OUTBOX_FULL', 'too many calls of `watch` wait') }];
  }

  /** Of no use later: without a connection it is dropped. */
  #type(address: Address, { nowMs }: Moment): Effect[] {
    if (this.#phase !== 'online') return [];
    return this.#typing.next(address, this.#user as UserId, nowMs).map((frame) => ({ type: 'write', frame }));
  }

  #send({ nowMs }: Moment): Effect[] {
    if (this.#phase !== 'online') return [];
    const newId = (): number => this.#nextId++;
    const pages = this.#sync.next(this.#room, newId);
    const watch = this.#watching.next(this.#room, newId);
    const questions = this.#queries.next(this.#room, newId, this.#sync.reached);
    const requests = this.#outbox.next(this.#user as UserId, this.#room, nowMs, newId);
    const written = [...pages, ...watch, ...questions, ...requests].map((frame): Effect => ({ type: 'write', frame }));
    return this.#deliveries.hasWork ? [...written, ...this.#tellDelivered(nowMs)] : written;
  }

  get #room(): number {
    const parts = [this.#outbox, this.#queries, this.#sync, this.#deliveries, this.#watching];
    return parts.reduce((room, { underWay }) => room - underWay, this.#maxInFlight);
  }

  #tellDelivered(nowMs: number): Effect[] {
    if (this.#phase !== 'online') return [];
    const frames = this.#deliveries.next(this.#room, nowMs, () => this.#nextId++);
    const effects = frames.map((frame): Effect => ({ type: 'write', frame }));
    const atMs = this.#deliveredTimerIsSet ? undefined : this.#deliveries.nextAtMs(nowMs);
    if (atMs === undefined) return effects;
    this.#deliveredTimerIsSet = true;
    return [...effects, { type: 'set timer', name: 'delivered', ms: Math.ceil(atMs - nowMs) }];
  }

  #answered(id: number, outcome: Outcome, moment: Moment): Effect[] {
    const delivered = this.#deliveries.answered(id);
    if (delivered) {
      this.#inbox.deliveredTold(delivered);
      return [...this.#commits.ifDue(moment.nowMs), ...this.#send(moment)];
    }
    const unanswered = this.#outbox.answered(id);
    return unanswered ? [...this.#settle(unanswered, outcome), ...this.#send(moment)] : [];
  }

  #settle({ entry, ticket, lane }: Unanswered, outcome: Outcome): Effect[] {
    const { key, clientMsgId } = entry;
    const drop: Effect = { type: 'drop entry', key };
    if (ticket !== undefined) return [drop, { type: 'settle', ticket, outcome }];
    if (!outcome.error || !lane) return [drop];
    // Left by an earlier run: no call waits for it, and yet somebody must hear of it.
    return [drop, { type: 'refused', conversation: lane, clientMsgId, error: outcome.error }];
  }

  #refused({ id, code, message, retryAfterMs }: ErrorFrame, moment: Moment): Effect[] {
    if (id === undefined) return [];
    const error = new RookeryError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
    if (this.#sync.isAnswer(id)) return this.#notTold(error, moment);
    if (this.#watching.isAnswer(id)) return this.#notWatching(error, moment);
    const ticket = this.#queries.answered(id);
    if (ticket !== undefined) return [{ type: 'answer', ticket, result: error }, ...this.#send(moment)];
    if (!error.retryable) return this.#answered(id, { error }, moment);
    if (this.#deliveries.hold(id, retryAfterMs, moment)) return this.#send(moment);
    if (!this.#outbox.hold(id, retryAfterMs, moment)) return [];
    return [...this.#retryLater(moment), ...this.#send(moment)];
  }

  #retryLater({ nowMs }: Moment): Effect[] {
    const atMs = this.#outbox.nextRetryAfter(nowMs);
    return atMs === undefined ? [] : [{ type: 'set timer', name: 'retry', ms: Math.ceil(atMs - nowMs) }];
  }

  // ---- receiving ----

  #frame(frame: ServerFrame, moment: Moment): Effect[] {
    this.#heardAtMs = moment.nowMs;
    this.#heardSincePing = true;
    if (this.#phase === 'greeting') {
      if (frame.t === 'welcome') return this.#welcomed(frame, moment);
      return frame.t === 'error' && frame.id === this.#helloId ? this.#notWelcomed(frame, moment) : [];
    }
    if (this.#phase !== 'online') return [];
    switch (frame.t) {
      case 'sent':
        return this.#answered(frame.id, { conversation: frame.conversation, pos: frame.pos, at: frame.at }, moment);
      case 'done':
        return this.#answered(frame.id, { pos: frame.pos }, moment);
      case 'result':
        return this.#result(frame, moment);
      case 'error':
        return this.#refused(frame, moment);
      case 'deliver':
        return this.#delivered(frame.conversation, frame.entries, moment);
      case 'cursor':
        return this.#reached(frame, moment);
      case 'typing':
      case 'account':
        return [{ type: 'told', frame }];
      case 'presence':
        return seen(this.#watching.told(frame.presence));
      case 'resync':
        return this.#resynced(frame, moment);
      default:
        // A pong, or a frame of a newer server.
        return [];
    }
  }

  #result({ id, result }: ResultFrame, moment: Moment): Effect[] {
    if (this.#sync.isAnswer(id)) {
      const page = this.#sync.answered(result, (one, lastIndex) => this.#inbox.goesOnFrom(one, lastIndex));
      return [{ type: 'announce', page }, ...this.#tellBehind(moment), ...this.#send(moment)];
    }
    if (this.#watching.isAnswer(id)) return this.#watched(result, moment);
    const ticket = this.#queries.answered(id);
    return ticket === undefined ? [] : [{ type: 'answer', ticket, result }, ...this.#send(moment)];
  }

  #watched(result: QueryResult, moment: Moment): Effect[] {
    const { seen: presence, tickets } = this.#watching.answered(result);
    const answers = tickets.map((ticket): Effect => ({ type: 'answer', ticket, result: { presence } }));
    return [...seen(presence), ...answers, ...this.#send(moment)];
  }

  #notWatching(error: RookeryError, moment: Moment): Effect[] {
    if (error.retryable) {
      const ms = this.#watching.hold(error.retryAfterMs, moment);
      return [{ type: 'set timer', name: 'watch', ms }, ...this.#send(moment)];
    }
    const answers = this.#watching.refused().map((ticket): Effect => ({ type: 'answer', ticket, result: error }));
    return [...answers, ...this.#send(moment)];
  }

  #delivered(conversation: ConversationId, entries: readonly Entry[], moment: Moment): Effect[] {
    const me = this.#user as UserId;
    const { fresh, gap, rejected } = this.#inbox.receive(conversation, entries, me);
    const effects: Effect[] = [];
    for (const { id, code } of rejected) {
      const error = new RookeryError(code, 'the log has refused it');
      for (const unanswered of this.#outbox.rejected(conversation, id, me)) {
        effects.push(...this.#settle(unanswered, { error }));
      }
    }
    if (fresh.length > 0) effects.push({ type: 'hand over', conversation, entries: fresh });
    this.#unhandledEntries += fresh.length;
    this.#unhandledBytes += bytesOf(fresh);
    if (gap) effects.push({ type: 'gap', conversation, ...gap });
    if (gap && !gap.lost) return [...effects, ...this.#disconnect('an entry is missing', moment)];
    const isTooMuch =
      this.#unhandledEntries > limits.MAX_UNHANDLED_ENTRIES || this.#unhandledBytes > limits.MAX_UNHANDLED_BYTES;
    if (!isTooMuch) {
      effects.push(...this.#tellBehind(moment));
      return rejected.length > 0 ? [...effects, ...this.#send(moment)] : effects;
    }
    this.#appIsBehind = true;
    return [...effects, ...this.#disconnect('the app is behind', moment)];
  }

  #reached({ epoch, seq, asOf, more }: CursorFrame, { nowMs }: Moment): Effect[] {
    this.#inbox.reached({ epoch, seq });
    const pass: Effect = { type: 'pass', cursor: { epoch, seq, ...(asOf !== undefined && { asOf }) } };
    if (more) return [pass];
    this.#commits.given({ epoch, seq });
    if (this.#liveSinceMs !== undefined) return [pass];
    this.#liveSinceMs = nowMs;
    return this.#isLive ? [pass, { type: 'status', status: { phase: 'live' } }] : [pass];
  }

  get #isLive(): boolean {
    return this.#liveSinceMs !== undefined && !this.#sync.pending;
  }

  #tellBehind({ nowMs }: Moment): Effect[] {
    if (this.#phase !== 'online' || this.#isLive) return [];
    return this.#behind.told(this.#unhandledEntries, this.#sync.left, nowMs);
  }

  // ---- what has changed ----

  #resynced({ reason, by, reached = '' }: ResyncFrame, moment: Moment): Effect[] {
    this.#inbox.resynced();
    this.#deliveries.resynced();
    this.#commits.beginsAnew();
    if (by === 'changes') {
      this.#sync.begin(reached, this.#inbox.asOf, this.#inbox.cursor === undefined);
      this.#inbox.pends(this.#sync.pending);
    }
    return [{ type: 'resync', reason }, ...this.#send(moment)];
  }

  #announced(page: SyncPage, moment: Moment): Effect[] {
    this.#inbox.told(page.moved);
    const synced = this.#sync.handled(page);
    if (synced && page.sync.isFirst) this.#inbox.toldInPart();
    this.#inbox.pends(this.#sync.pending);
    if (this.#phase === 'stopped') return [];
    const effects = [...this.#commits.ifDue(moment.nowMs), ...this.#send(moment)];
    if (!synced) return [...effects, ...this.#tellBehind(moment)];
    effects.push({ type: 'synced', synced });
    if (this.#liveSinceMs !== undefined) effects.push({ type: 'status', status: { phase: 'live' } });
    return effects;
  }

  #notTold(error: RookeryError, moment: Moment): Effect[] {
    const ms = this.#sync.refused(error, moment.random);
    if (ms !== undefined) return [{ type: 'set timer', name: 'sync', ms }, ...this.#send(moment)];
    this.#inbox.restart();
    return this.#disconnect(`what has changed was not told: ${error.code}`, moment);
  }

  #handled(conversation: ConversationId, entries: readonly Entry[], moment: Moment): Effect[] {
    this.#unhandledEntries -= entries.length;
    this.#unhandledBytes -= bytesOf(entries);
    this.#commits.handled(entries.length);
    this.#inbox.handled(conversation, entries, this.#tellsDelivered ? this.#user : undefined);
    if (this.#phase === 'stopped') return [];
    const effects = [...this.#commits.ifDue(moment.nowMs), ...this.#tellBehind(moment)];
    if (!this.#appIsBehind || this.#unhandledEntries > 0) return effects;
    this.#appIsBehind = false;
    return this.#phase === 'offline' ? [...effects, ...this.#authenticate()] : effects;
  }

  #passed(cursor: PassedCursor, { nowMs }: Moment): Effect[] {
    this.#inbox.passed(cursor);
    return this.#phase === 'stopped' ? [] : this.#commits.ifDue(nowMs);
  }

  #committed(stored: StoredCursor | undefined, { nowMs }: Moment): Effect[] {
    const cursor = this.#commits.done(stored);
    if (this.#phase === 'stopped') return [];
    for (const delivered of this.#inbox.stored())
      if (!this.#deliveries.stored(delivered)) this.#inbox.deliveredTold(delivered);
    const effects = [...this.#commits.ifDue(nowMs), ...this.#tellDelivered(nowMs)];
    if (!cursor || this.#phase !== 'online') return effects;
    this.#commits.confirmed(cursor);
    return [{ type: 'write', frame: { t: 'confirm', seq: cursor.seq } }, ...effects];
  }

  // ---- time ----

  #timer(name: TimerName, moment: Moment): Effect[] {
    switch (name) {
      case 'reconnect':
        return this.#phase === 'offline' ? this.#authenticate() : [];
      case 'connect':
        return this.#phase === 'connecting' || this.#phase === 'greeting' ? this.#disconnect('no answer', moment) : [];
      case 'heartbeat':
        return this.#phase === 'online' ? this.#beat(moment) : [];
      case 'pong':
        if (this.#phase !== 'online') return [];
        if (!this.#heardSincePing) return this.#disconnect('the connection is silent', moment);
        return this.#beat(moment);
      case 'retry':
        return [...this.#send(moment), ...this.#retryLater(moment)];
      case 'sync':
        this.#sync.retry();
        return this.#send(moment);
      case 'watch':
        this.#watching.retry();
        return this.#send(moment);
      case 'delivered':
        this.#deliveredTimerIsSet = false;
        return this.#tellDelivered(moment.nowMs);
      case 'commit':
        this.#commits.timerFired();
        return this.#phase === 'stopped' ? [] : this.#commits.ifDue(moment.nowMs);
    }
  }

  /** Silent for a heartbeat: asks whether anybody is there. */
  #beat({ nowMs }: Moment): Effect[] {
    const silentMs = nowMs - this.#heardAtMs;
    if (silentMs < this.#heartbeatMs) {
      return [{ type: 'set timer', name: 'heartbeat', ms: Math.ceil(this.#heartbeatMs - silentMs) }];
    }
    this.#heardSincePing = false;
    return [
      { type: 'write', frame: { t: 'ping' } },
      { type: 'set timer', name: 'pong', ms: limits.PONG_TIMEOUT_MS },
    ];
  }
}

const seen = (presence: readonly SeenUser[]): Effect[] =>
  presence.length === 0 ? [] : [{ type: 'told', frame: { t: 'presence', presence } }];

const offline = (reason: string, retryInMs: number): Effect => ({
  type: 'status',
  status: { phase: 'offline', reason, retryInMs },
});

function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) if (entry.type === 'message') bytes += entry.body.length;
  return bytes;
}
