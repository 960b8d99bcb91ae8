/**
 * The appender: events into CONV and USER, acked when JetStream has stored them.
 *
 * All go over one connection, in the order of the calls. When an answer is missing, everything unanswered of that stream
 * is sent again in its first order, with the same Msg-Ids: what was stored answers as a duplicate, what was not is stored
 * now. So a sender's order holds across lost connections and restarts of the server.
 *
 * With replicas that is not enough: a leader that hands over drops in silence what it had not yet proposed, and its successor
 * stores what comes next. There one event of a sender in a conversation is on its way at a time, and the next follows its answer.
 * What it does not cover: a server with the only replica that refuses one message for a passing reason and takes the next one of
 * the same sender (docs/GUARANTEES.md).
 */
import { headers, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/nats-core';
import { type ConversationEvent, partOf } from '../../../domain/conversation.ts';
import { type ConversationId, directConversationId, type UserId } from '../../../domain/ids.ts';
import type { Appended, AppendOptions, BlockEvent, ConversationLog, UserLog } from '../../../ports/conversation-log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { encodeBlockEvent, encodeLogEvent } from '../../../protocol/log-event.ts';
import {
  conversationSubject,
  convStreamName,
  convStreamOf,
  messageIdOf,
  type Topology,
  userSubject,
} from '../../../protocol/subjects.ts';
import { answered, isWrongLastSequence } from '../answered.ts';
import { isPassing, parseAck } from './publish-ack.ts';

export interface AppenderLimits {
  /** Unanswered appends in all; beyond: OVERLOADED. */
  readonly maxAppends: number;
  /** Their bytes in all; from there on: OVERLOADED. So the last one taken may be over it. */
  readonly maxAppendBytes: number;
  /** After it an append is given up with LOG_UNAVAILABLE, and what was appended behind it to the same stream. */
  readonly appendDeadlineMs: number;
}

export interface UserRecord {
  /** Last token of the subject. */
  readonly kind: string;
  readonly messageId: string;
  readonly data: Uint8Array;
  /** Optimistic lock: position of the newest of its subject, 0 for none. */
  readonly expectedPos?: number;
}

/** How often unanswered appends are looked after, and how long an answer may take before the oldest is sent again. */
const SWEEP_EVERY_MS = 100;
const ANSWER_WITHIN_MS = 1_000;
const MAX_ANSWER_WITHIN_MS = 4_000;
/** How long the log may take to tell its newest state event, or how many replicas it has. */
const READ_WITHIN_MS = 2_000;
/** `err_code` of the server. */
const NO_MESSAGE_FOUND = 10_037;
/** An append that waits for so long says that the log does not store now: the gateway is not ready. */
const STUCK_AFTER_MS = 5_000;
/** What an overloaded client is told to wait at least and at most. */
const MIN_RETRY_AFTER_MS = 20;
const MAX_RETRY_AFTER_MS = 5_000;

interface Pending {
  /** Whose order is kept: one sender in one conversation. */
  readonly line: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
  readonly since: number;
  sentAt: number;
  sendings: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: RookeryError) => void;
}

/**
 * What is unanswered in one stream, in the order of sending. JetStream stores what it takes in that order; what it refuses for
 * the moment, or never hears of, must not be overtaken. So after a refusal, a silence or a new connection the oldest is sent
 * alone, and the rest behind its answer.
 */
interface Queue {
  readonly name: string;
  /** Undefined for USER: few events, none of them behind another. */
  readonly stream: string | undefined;
  readonly pending: Map<number, Pending>;
  /** Of each line with one on its way, those behind it. */
  readonly waiting: Map<string, Pending[]>;
  /** Whether the stream has one replica, so that all of a line may be on its way at once. */
  isPipelined: boolean;
  /** When something was last sent again, or answered: silence is counted from here. */
  movedAt: number;
  patienceMs: number;
  newestAnswered: number;
  /** Number of the oldest while it is sent alone. */
  probing: number | undefined;
  /** JetStream has refused one for the moment: no leader, no room. */
  wasRefused: boolean;
}

export class JetstreamConversationLog implements ConversationLog, UserLog {
  readonly #nc: NatsConnection;
  readonly #topology: Topology;
  readonly #limits: AppenderLimits;
  readonly #inbox: string;
  readonly #queues: readonly Queue[];
  readonly #sweeper: NodeJS.Timeout;
  #connected = true;
  /** What leaves at the end of this turn of the event loop. */
  #leaving: [Queue, number, Pending][] = [];
  #next = 0;
  #count = 0;
  #bytes = 0;
  #answered = 0;
  #rate = 1_000;
  #ratedAt = performance.now();

  constructor(nc: NatsConnection, inboxPrefix: string, topology: Topology, limits: AppenderLimits) {
    this.#nc = nc;
    this.#topology = topology;
    this.#limits = limits;
    this.#inbox = `${inboxPrefix}.append`;
    // One queue a CONV stream, the last one for USER.
    this.#queues = Array.from({ length: topology.convStreams + 1 }, (_, k) => ({
      name: String(k),
      stream: k < topology.convStreams ? convStreamName(k) : undefined,
      pending: new Map(),
      waiting: new Map(),
      isPipelined: false,
      movedAt: 0,
      patienceMs: ANSWER_WITHIN_MS,
      newestAnswered: 0,
      probing: undefined,
      wasRefused: false,
    }));
    nc.subscribe(`${this.#inbox}.*.*`, {
      callback: (error, message) => {
        if (!error) this.#answer(message);
      },
    });
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS);
    for (const queue of this.#queues) void this.#learnReplicas(queue);
    void this.#followConnection();
  }

  /** Whether what is appended now leaves at once. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Appends not yet answered, for metrics and drain. */
  get inFlight(): number {
    return this.#count;
  }

  append(conversation: ConversationId, event: ConversationEvent, options?: AppendOptions): Promise<Appended> {
    const about = headers();
    about.set('Nats-Msg-Id', messageIdOf(conversation, event.by, event.id));
    if (options?.expectedStatePos !== undefined) {
      about.set('Nats-Expected-Last-Subject-Sequence', String(options.expectedStatePos));
    }
    const queue = this.#queues[convStreamOf(conversation, this.#topology)] as Queue;
    const line = `${event.by} ${conversation}`;
    return this.#append(queue, line, conversationSubject(conversation, partOf(event)), encodeLogEvent(event), about);
  }

  async lastStatePos(conversation: ConversationId): Promise<number> {
    const stream = convStreamName(convStreamOf(conversation, this.#topology));
    const query = JSON.stringify({ last_by_subj: conversationSubject(conversation, 's') });
    // Of the leader: a copy may be behind, and what it lacks is what is asked for.
    const asked = this.#nc.request(`$JS.API.STREAM.MSG.GET.${stream}`, query, { timeout: READ_WITHIN_MS });
    const { message, error } = (await answered(stream, asked)).json<LastMessage>();
    if (message) return message.seq;
    if (error?.err_code === NO_MESSAGE_FOUND) return 0;
    throw new RookeryError('LOG_UNAVAILABLE', `${stream}: ${error?.description}`);
  }

  appendBlock(event: BlockEvent): Promise<Appended> {
    // An id is one command's within the pair's conversation: the same id may block somebody else.
    const messageId = messageIdOf(directConversationId(event.by, event.user), event.by, event.id);
    return this.appendAbout(event.by, { kind: 'block', messageId, data: encodeBlockEvent(event) });
  }

  /** Into the log of people. */
  appendAbout(user: UserId, { kind, messageId, data, expectedPos }: UserRecord): Promise<Appended> {
    const about = headers();
    about.set('Nats-Msg-Id', messageId);
    if (expectedPos !== undefined) about.set('Nats-Expected-Last-Subject-Sequence', String(expectedPos));
    return this.#append(this.#queues.at(-1) as Queue, user, userSubject(user, kind), data, about);
  }

  /** Resolves when nothing is unanswered: each append ends within its deadline. */
  async drain(): Promise<void> {
    while (this.#count > 0) await new Promise((resolve) => setTimeout(resolve, SWEEP_EVERY_MS));
    clearInterval(this.#sweeper);
  }

  #append(queue: Queue, line: string, subject: string, data: Uint8Array, about: MsgHdrs): Promise<Appended> {
    const { maxAppends, maxAppendBytes } = this.#limits;
    // Whatever its size: of two in one turn the second is not taken where the first was not.
    if (this.#count >= maxAppends || this.#bytes >= maxAppendBytes) return Promise.reject(this.#overloaded());
    return new Promise((resolve, reject) => {
      const now = performance.now();
      const sending = { since: now, sentAt: now, sendings: 0 };
      const pending: Pending = { line, subject, data, headers: about, ...sending, resolve, reject };
      this.#count += 1;
      this.#bytes += data.length;
      const before = queue.waiting.get(line);
      // Also where it may be pipelined: one that waits since it might not is not overtaken.
      if (before && !(queue.isPipelined && before.length === 0)) before.push(pending);
      else this.#begin(queue, pending);
    });
  }

  #begin(queue: Queue, pending: Pending): void {
    this.#next += 1;
    if (queue.pending.size === 0) queue.movedAt = performance.now();
    queue.pending.set(this.#next, pending);
    if (!queue.waiting.has(pending.line) && !queue.isPipelined) queue.waiting.set(pending.line, []);
    // While there is no connection nothing is handed to the client library, which would hold it without a bound.
    if (this.#connected && queue.probing === undefined && !queue.wasRefused) this.#send(queue, this.#next, pending);
  }

  /** What all sockets have said in a turn leaves in one write, which costs the server and us more than all else of an append. */
  #send(queue: Queue, number: number, pending: Pending): void {
    if (this.#leaving.push([queue, number, pending]) === 1) setImmediate(() => this.#leave());
  }

  #leave(): void {
    const leaving = this.#leaving.splice(0);
    // Where the connection was lost meanwhile all is sent again on the next.
    for (const sending of this.#connected ? leaving : []) this.#publish(...sending);
  }

  #publish(queue: Queue, number: number, pending: Pending): void {
    if (queue.pending.get(number) !== pending) return;
    const { subject, data, headers: about } = pending;
    pending.sendings += 1;
    pending.sentAt = performance.now();
    try {
      this.#nc.publish(subject, data, { reply: `${this.#inbox}.${queue.name}.${number}`, headers: about });
    } catch (cause) {
      // Larger than this server takes, or a connection that was closed for good: sending again would not help.
      pending.reject(new RookeryError('INTERNAL', 'the event cannot be sent', { cause }));
      // Not in this turn: the next of the line may fare the same.
      queueMicrotask(() => this.#settle(queue, number, pending));
    }
  }

  #answer({ subject, data, headers: status }: Msg): void {
    const numberAt = subject.lastIndexOf('.') + 1;
    const queue = this.#queues[Number(subject.slice(subject.lastIndexOf('.', numberAt - 2) + 1, numberAt - 1))];
    const number = Number(subject.slice(numberAt));
    const pending = queue?.pending.get(number);
    // Answered before, by the ack of an earlier sending.
    if (!queue || !pending) return;
    const ack = parseAck(data);
    if (isPassing(data, status, ack)) {
      queue.wasRefused = true;
      return;
    }
    this.#answered += 1;
    queue.movedAt = performance.now();
    queue.patienceMs = ANSWER_WITHIN_MS;
    queue.newestAnswered = Math.max(queue.newestAnswered, number);
    this.#settle(queue, number, pending);
    if (number === queue.probing) this.#goOn(queue);
    // The error first: a refusal carries `seq` as well, 0.
    if (ack?.error && isWrongLastSequence(ack.error.err_code)) {
      pending.reject(new RookeryError('CONFLICT', 'another change came between'));
    } else if (!ack || ack.error || !ack.seq) {
      pending.reject(
        new RookeryError('INTERNAL', `the log refused the event: ${ack?.error?.description ?? 'unreadable answer'}`),
      );
    } else {
      pending.resolve({ pos: ack.seq, duplicate: ack.duplicate === true && pending.sendings === 1 });
    }
  }

  /** Whether the log has left an append unanswered for so long that others should be asked: no leader, or a full disk. */
  get isStuck(): boolean {
    const now = performance.now();
    return this.#queues.some(({ pending }) => {
      const [oldest] = pending.values();
      return oldest !== undefined && now - oldest.since > STUCK_AFTER_MS;
    });
  }

  /** It is answered, in whatever way: the next of its line may go. */
  #settle(queue: Queue, number: number, pending: Pending): void {
    queue.pending.delete(number);
    this.#forget(pending);
    const next = queue.waiting.get(pending.line)?.shift();
    if (next) this.#begin(queue, next);
    else queue.waiting.delete(pending.line);
  }

  #forget({ data }: Pending): void {
    this.#count -= 1;
    this.#bytes -= data.length;
  }

  #sweep(): void {
    const now = performance.now();
    if (now - this.#ratedAt >= 1_000) {
      this.#rate = Math.max(1, (this.#answered * 1_000) / (now - this.#ratedAt));
      this.#answered = 0;
      this.#ratedAt = now;
    }
    for (const queue of this.#queues) {
      const [[number, oldest] = []] = queue.pending;
      if (number === undefined || oldest === undefined) queue.wasRefused = false;
      else if (now - oldest.since >= this.#limits.appendDeadlineMs) this.#giveUp(queue);
      else if (queue.wasRefused || isSilent(queue, number, oldest, now)) this.#probe(queue, now);
    }
  }

  /**
   * With the oldest all behind it: each was sent again as often as it, and none was answered. Were they kept, they would be
   * stored before the oldest, which its sender is only now told to send again.
   */
  #giveUp(queue: Queue): void {
    queue.probing = undefined;
    queue.wasRefused = false;
    const given = [...queue.pending.values(), ...[...queue.waiting.values()].flat()];
    queue.pending.clear();
    queue.waiting.clear();
    for (const pending of given) {
      this.#forget(pending);
      pending.reject(
        new RookeryError('LOG_UNAVAILABLE', 'no answer from the log; the same id may be sent again', {
          retryAfterMs: MIN_RETRY_AFTER_MS,
        }),
      );
    }
  }

  /** The oldest unanswered one alone, again. */
  #probe(queue: Queue, now: number): void {
    const [[number, oldest] = []] = queue.pending;
    if (!this.#connected || number === undefined || oldest === undefined) return;
    if (!queue.wasRefused) queue.patienceMs = Math.min(2 * queue.patienceMs, MAX_ANSWER_WITHIN_MS);
    queue.wasRefused = false;
    queue.movedAt = now;
    queue.probing = number;
    this.#send(queue, number, oldest);
  }

  /** The oldest is answered: all behind it, in order, whether they were sent before or waited. */
  #goOn(queue: Queue): void {
    queue.probing = undefined;
    // Refused meanwhile is what was sent before: the oldest of now is the next to ask.
    if (queue.wasRefused) return this.#probe(queue, performance.now());
    for (const [number, pending] of queue.pending) this.#send(queue, number, pending);
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (type === 'disconnect') this.#connected = false;
      if (type !== 'reconnect') continue;
      this.#connected = true;
      for (const queue of this.#queues) {
        this.#probe(queue, performance.now());
        void this.#learnReplicas(queue);
      }
    }
  }

  /** Until the stream has said that it has one replica, it is taken to have more. */
  async #learnReplicas(queue: Queue): Promise<void> {
    if (!queue.stream) return;
    try {
      const asked = this.#nc.request(`$JS.API.STREAM.INFO.${queue.stream}`, '', { timeout: READ_WITHIN_MS });
      queue.isPipelined = (await asked).json<StreamInfo>().config?.num_replicas === 1;
    } catch {
      // No answer: what was known of it holds, and the next reconnect asks again.
    }
  }

  #overloaded(): RookeryError {
    const waitMs = Math.ceil((this.#count / this.#rate) * 1_000);
    const retryAfterMs = Math.max(MIN_RETRY_AFTER_MS, Math.min(waitMs, MAX_RETRY_AFTER_MS));
    return new RookeryError('OVERLOADED', 'too much waits to be stored', { retryAfterMs });
  }
}

/** Nothing was answered for a while; or the oldest was not, although one behind it was. */
const isSilent = (
  { movedAt, patienceMs, newestAnswered }: Queue,
  number: number,
  oldest: Pending,
  now: number,
): boolean => now - movedAt > patienceMs || (number < newestAnswered && now - oldest.sentAt > patienceMs);

interface LastMessage {
  readonly message?: { readonly seq: number };
  readonly error?: { readonly err_code: number; readonly description: string };
}

interface StreamInfo {
  readonly config?: { readonly num_replicas?: number };
}
