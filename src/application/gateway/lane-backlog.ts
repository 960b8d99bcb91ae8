/**
 * Back-pressure from the inboxes to the senders. Storing an event costs less than fanning it out, so that senders could for
 * ever be acked faster than anybody is delivered to. What is stored and not yet in the inboxes is a lane's backlog; beyond
 * a bound the gateway refuses, so that whoever is acked is also delivered to within seconds.
 *
 * A gateway sees both ends by itself: its acks tell how far the log is, the checkpoints in the inbox streams it tails how far
 * the lane is. A gateway whose own tail is behind refuses as well. The bound counts events, not time: while no worker runs,
 * the log goes on taking in what it can hold back.
 */
import type { ConversationEvent } from '../../domain/conversation.ts';
import type { ConversationId } from '../../domain/ids.ts';
import type {
  Appended,
  AppendOptions,
  BlockEvent,
  ConversationLog,
  LogReader,
  UserLog,
} from '../../ports/conversation-log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { convStreamOf, type Topology } from '../../protocol/subjects.ts';

/** A lane that refuses goes on refusing until its backlog is down to this share of the bound: so a burst is refused as a whole. */
const ADMIT_AGAIN_SHARE = 0.5;
/** Over so long the lane's rate is measured. */
const RATE_OVER_MS = 1_000;
/** While a lane refuses nothing is acked that tells how far the log is: it is asked, so often. */
const LOOK_EVERY_MS = 1_000;
const MIN_RETRY_AFTER_MS = 20;
const MAX_RETRY_AFTER_MS = 5_000;

interface LaneState {
  /** Position of the newest event known to be in the log. */
  newest: number;
  /** By INBOX stream, the end of the newest checkpoint seen; undefined before the first. */
  readonly confirmed: (number | undefined)[];
  /** Stands for a checkpoint that was not seen yet. */
  baseline: number | undefined;
  isRefusing: boolean;
  lookedAt: number;
  /** Events a second that the lane confirmed lately. */
  rate: number;
  ratedAt: number;
  ratedFrom: number;
}

export interface LaneBacklogOptions {
  readonly topology: Topology;
  /** Events of a lane that stand in the log and not yet in every INBOX stream. */
  readonly maxEvents: number;
  /** One per CONV stream, in their order. */
  readonly logs: readonly Pick<LogReader, 'lastPos'>[];
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonicMs: () => number;
}

export class LaneBacklog {
  readonly #options: LaneBacklogOptions;
  readonly #lanes: readonly LaneState[];

  constructor(options: LaneBacklogOptions) {
    this.#options = options;
    const { convStreams, inboxStreams } = options.topology;
    this.#lanes = Array.from({ length: convStreams }, () => ({
      ...{ newest: 0, baseline: undefined, isRefusing: false },
      confirmed: Array.from({ length: inboxStreams }, () => undefined),
      ...{ lookedAt: Number.NEGATIVE_INFINITY, rate: 0, ratedAt: options.monotonicMs(), ratedFrom: 0 },
    }));
  }

  /** For metrics: of the lane that is furthest behind. */
  get events(): number {
    return Math.max(...this.#lanes.map(backlogOf));
  }

  /** Hot path. A duplicate tells of an old position. */
  appended(lane: number, { pos, duplicate }: Appended): void {
    const state = this.#lanes[lane] as LaneState;
    state.baseline ??= pos - 1;
    // Not the greatest: a log that lost its end gives its positions anew.
    if (!duplicate) state.newest = pos;
  }

  /** A checkpoint of a lane was read: all up to `to` is in this INBOX stream. */
  confirmed(inboxStream: number, lane: number, to: number): void {
    const state = this.#lanes[lane];
    if (!state || inboxStream >= state.confirmed.length) return;
    // A stream made anew begins from 0: its past is not what senders wait for.
    state.confirmed[inboxStream] = Math.max(state.confirmed[inboxStream] ?? 0, to);
    const now = this.#options.monotonicMs();
    if (now - state.ratedAt < RATE_OVER_MS) return;
    const end = confirmedOf(state);
    state.rate = Math.max(0, ((end - state.ratedFrom) * 1_000) / (now - state.ratedAt));
    state.ratedAt = now;
    state.ratedFrom = end;
  }

  /** Hot path. Why nothing more is taken for this lane now; undefined where it is. */
  refusal(lane: number): RookeryError | undefined {
    const state = this.#lanes[lane] as LaneState;
    const backlog = backlogOf(state);
    const admitAt = this.#options.maxEvents * (state.isRefusing ? ADMIT_AGAIN_SHARE : 1);
    state.isRefusing = backlog >= admitAt;
    if (!state.isRefusing) return undefined;
    this.#look(lane, state);
    const excess = backlog - this.#options.maxEvents * ADMIT_AGAIN_SHARE;
    const waitMs = state.rate > 0 ? Math.ceil((excess / state.rate) * 1_000) : MAX_RETRY_AFTER_MS;
    const retryAfterMs = Math.max(MIN_RETRY_AFTER_MS, Math.min(waitMs, MAX_RETRY_AFTER_MS));
    return new RookeryError('OVERLOADED', 'too much waits to be delivered', { retryAfterMs });
  }

  #look(lane: number, state: LaneState): void {
    const now = this.#options.monotonicMs();
    if (now - state.lookedAt < LOOK_EVERY_MS) return;
    state.lookedAt = now;
    const asked = this.#options.logs[lane]?.lastPos() ?? Promise.resolve(state.newest);
    asked.then(
      (newest) => (state.newest = newest),
      // Asked again with the next refusal.
      () => undefined,
    );
  }
}

/** The log as senders get it: what would only lengthen a queue is refused before it is appended. */
export class BackpressuredLog implements ConversationLog, UserLog {
  readonly #log: ConversationLog & UserLog;
  readonly #backlog: LaneBacklog;
  readonly #topology: Topology;

  constructor(log: ConversationLog & UserLog, backlog: LaneBacklog, topology: Topology) {
    this.#log = log;
    this.#backlog = backlog;
    this.#topology = topology;
  }

  append(conversation: ConversationId, event: ConversationEvent, options?: AppendOptions): Promise<Appended> {
    const lane = convStreamOf(conversation, this.#topology);
    const refusal = this.#backlog.refusal(lane);
    if (refusal) return Promise.reject(refusal);
    return this.#log.append(conversation, event, options).then((appended) => {
      this.#backlog.appended(lane, appended);
      return appended;
    });
  }

  lastStatePos(conversation: ConversationId): Promise<number> {
    return this.#log.lastStatePos(conversation);
  }

  appendBlock(event: BlockEvent): Promise<Appended> {
    return this.#log.appendBlock(event);
  }
}

const confirmedOf = ({ confirmed, baseline, newest }: LaneState): number =>
  confirmed.reduce<number>((least, to) => Math.min(least, to ?? baseline ?? newest), Number.POSITIVE_INFINITY);

const backlogOf = (state: LaneState): number => Math.max(0, state.newest - confirmedOf(state));
