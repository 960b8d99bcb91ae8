/**
 * One lane, from its log to the inboxes: take → fold → emit → confirmed → rows and position → ack. Read it top to bottom.
 *
 * Two things make it exactly once. What an INBOX stream holds of a term is a prefix of what was sent, and a new term reads
 * back where that prefix ends (ports/inbox-writer.ts). And the fold is a pure function of the log, so that going on in the
 * middle of a window gives the records that were missing. The state file may be behind, never ahead.
 */
import type { ConversationId } from '../../domain/ids.ts';
import { isUnreadable, type LogEvent, type LogRecord } from '../../ports/conversation-log.ts';
import type { FoldedView, Intended, Stored, Verdict, ViewServer } from '../../ports/conversation-views.ts';
import type { DeadLetters } from '../../ports/dead-letters.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { FanOutState } from '../../ports/fan-out-state.ts';
import type { InboxWriter, ResumePoint, Span } from '../../ports/inbox-writer.ts';
import type { LaneSource, TakeBound } from '../../ports/lane-source.ts';
import type { Log } from '../../ports/log.ts';
import { type FoldedWindow, foldReadable } from '../../projections/fan-out.ts';
import { planFor } from '../../projections/fan-out-plan.ts';
import { type Cutter, cutterFor } from '../../projections/window-cutter.ts';
import { asRookeryError } from '../../protocol/error-codes.ts';
import { convStreamName, type Topology } from '../../protocol/subjects.ts';
import { pause } from '../pause.ts';
import { LastRefusals } from './last-refusals.ts';

/** A window is what is there, up to these bounds; it waits for nothing to fill it. */
const MAX_WINDOW_EVENTS = 512;
const MAX_WINDOW_BYTES = 1_024 * 1_024;
/** Rows are committed, and events acked, at most this often: at once where it was longer ago, else together with what comes meanwhile. */
const COMMIT_EVERY_MS = 25;
/** How long one look for new events lasts before the lane looks after its term. */
const IDLE_WAIT_MS = 250;
/** After trouble a new term is begun after this pause, doubled each time up to the second. */
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;

/** The steps between which a process may die; a test makes it die at each. */
export type FanOutStep =
  | 'termBegun'
  | 'sourceOpened'
  | 'folded'
  | 'halfEmitted'
  | 'confirmed'
  | 'deadLettered'
  | 'committed'
  | 'acked';

export interface LaneParts {
  readonly lane: number;
  readonly topology: Topology;
  readonly source: LaneSource;
  /** One per INBOX stream, in their order. */
  readonly writers: readonly InboxWriter[];
  readonly state: FanOutState;
  readonly deadLetters: DeadLetters;
  readonly views: ViewServer;
  readonly failpoints: Failpoints<FanOutStep>;
  readonly monotonicMs: () => number;
  readonly log: Log;
}

export class Lane {
  readonly #parts: LaneParts;
  #cutter: Cutter = cutterFor([]);
  /** End of the last window that every stream has confirmed. */
  #confirmed = 0;
  /** End of the last window that was applied to the state, committed or not; 0 when nothing was since a rollback. */
  #applied = 0;
  readonly #refusals = new LastRefusals();
  #committedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: LaneParts) {
    this.#parts = parts;
  }

  /**
   * Runs the lane until `stop` aborts: the caller holds the lane's lease. Any trouble with the streams ends the term and
   * begins a new one, so that recovery is nothing but the normal start.
   * @throws RookeryError STATE_FILE_UNUSABLE, STREAM_MISSING: what a new term does not cure
   */
  async run(stop: AbortSignal): Promise<void> {
    const { lane, views, source, log } = this.#parts;
    const viewing = await views.serve(lane, {
      view: (id, intended) => this.#view(id, intended),
      verdict: (id, event) => this.#verdict(id, event),
    });
    let backoffMs = FIRST_BACKOFF_MS;
    try {
      while (!stop.aborted) {
        try {
          await this.#activate();
          await this.#work(stop, () => (backoffMs = FIRST_BACKOFF_MS));
          if (!stop.aborted) log.info({ what: 'term grown old', lane });
        } catch (thrown) {
          const error = asRookeryError(thrown);
          if (error.code !== 'TERM_LOST' && error.code !== 'LOG_UNAVAILABLE') throw thrown;
          log.warn({ what: 'term ended', lane, code: error.code, reason: error.message, backoffMs });
          await pause(backoffMs, stop);
          backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS);
        }
        this.#rollback();
      }
    } finally {
      await viewing.stop();
      await source.close();
    }
  }

  /** A new term in every INBOX stream; then the log again from the state file's position. */
  async #activate(): Promise<void> {
    const { lane, writers, source, state, failpoints, log } = this.#parts;
    const found: ResumePoint[] = [];
    for (const writer of writers) found.push(await writer.begin());
    failpoints.hit('termBegun');
    if (state.hasRebuilt) state.takeRebuilt();
    this.#rollback();
    const lastPos = await source.lastPos(Math.max(state.position, ...found.map(({ window }) => window.to)));
    // What a stream held and evicted was confirmed: the state file went no further than that.
    const points = found.map((point) => (point.evicted ? wholeUpTo(state.position) : point));
    const stored = Math.min(...points.map(({ window, records }) => (isWhole(records) ? window.to : window.from - 1)));
    if (state.position > stored || state.position > lastPos) {
      // A stream was lost or restored from the past: what it misses is in the log, so the fold begins anew.
      log.warn({ what: 'state file ahead of the streams', lane, position: state.position, stored, lastPos });
      state.discard();
    }
    this.#cutter = cutterFor(points.map((point) => notBeyond(point, lastPos)));
    this.#confirmed = state.position;
    await source.open(state.position + 1);
    failpoints.hit('sourceOpened');
    log.info({ what: 'term begun', lane, position: state.position, resume: points.map(({ window }) => window.to) });
  }

  /** Until `stop`, or until the term is so old that its marker would be evicted before long. */
  async #work(stop: AbortSignal, worked: () => void): Promise<void> {
    let isOld = false;
    while (!stop.aborted && !isOld) {
      const records = await this.#take(this.#isCommitted ? IDLE_WAIT_MS : this.#untilCommitMs);
      if (records.length > 0) {
        await this.#process(records);
        worked();
      }
      if (!this.#isCommitted && this.#untilCommitMs > 0) continue;
      this.#commit();
      isOld = await this.#isTermOld();
    }
    this.#commit();
  }

  /** Also when a state file was built beside the one in use: a new term begins with it. */
  async #isTermOld(): Promise<boolean> {
    if (this.#parts.state.hasRebuilt) return true;
    for (const writer of this.#parts.writers) if (await writer.needsNewTerm()) return true;
    return false;
  }

  /** The records of the next window: what is there, or exactly a window that a stream holds in part. */
  async #take(waitMs: number): Promise<readonly LogRecord[]> {
    const { source } = this.#parts;
    const bound: TakeBound = {
      maxRecords: MAX_WINDOW_EVENTS,
      maxBytes: MAX_WINDOW_BYTES,
      limit: (firstPos) => this.#cutter.limit(firstPos).to,
    };
    const records = [...(await source.take(bound, waitMs))];
    const [first] = records;
    if (!first) return records;
    const { to, exact } = this.#cutter.limit(first.pos);
    while (exact && (records.at(-1)?.pos ?? 0) < to) records.push(...(await source.take(bound, IDLE_WAIT_MS)));
    return records;
  }

  async #process(records: readonly LogRecord[]): Promise<void> {
    const { lane, state, failpoints, views } = this.#parts;
    const window: Span = { from: records[0]?.pos ?? 0, to: records.at(-1)?.pos ?? 0 };
    const events = records.filter((record): record is LogEvent => !isUnreadable(record));
    const folded = foldReadable(state, events);
    state.apply(folded.changes, window.to);
    this.#applied = window.to;
    this.#refusals.keep(folded.refused);
    failpoints.hit('folded');
    // Before the checkpoint: a standby that follows it takes the window as done, letters and all.
    const unreadable = [...records.filter(isUnreadable), ...folded.unreadable];
    for (const letter of unreadable) await this.#parts.deadLetters.put('fan-out', convStreamName(lane), letter);
    if (unreadable.length > 0) failpoints.hit('deadLettered');
    await this.#emit(folded, window);
    failpoints.hit('confirmed');
    this.#confirmed = window.to;
    for (const id of folded.rosterChanges) views.announceChange(id);
  }

  async #emit({ runs }: FoldedWindow, window: Span): Promise<void> {
    const { lane, topology, writers } = this.#parts;
    await settled(
      writers.map((writer, k) => {
        const stored = this.#cutter.stored(k, window);
        if (isWhole(stored)) return Promise.resolve();
        return writer.write(window, planFor(runs, lane, k, topology), stored);
      }),
    );
  }

  get #isCommitted(): boolean {
    return this.#confirmed <= this.#parts.state.position;
  }

  get #untilCommitMs(): number {
    return Math.max(0, this.#committedAt + COMMIT_EVERY_MS - this.#parts.monotonicMs());
  }

  #commit(): void {
    const { state, source, failpoints, monotonicMs } = this.#parts;
    if (this.#isCommitted) return;
    this.#committedAt = monotonicMs();
    state.commit(this.#confirmed);
    failpoints.hit('committed');
    source.ack(this.#confirmed);
    failpoints.hit('acked');
  }

  #rollback(): void {
    this.#parts.state.rollback();
    this.#applied = 0;
  }

  #view(id: ConversationId, intended?: Intended): FoldedView {
    const { state } = this.#parts;
    // Time 0: whatever the file still knows counts, expired or not.
    const seen = intended && state.seen(id, intended.by, intended.id, 0);
    return seen ? { ...state.folded(id), seenAt: seen.pos } : state.folded(id);
  }

  /** Of what is applied: the fold says the same of it for ever, also where the inboxes do not have it yet. */
  #verdict(id: ConversationId, event: Stored): Verdict | undefined {
    const { state } = this.#parts;
    if (event.pos > Math.max(state.position, this.#applied)) return undefined;
    const code = this.#refusals.codeOf(id, event);
    if (code) return { type: 'refused', code };
    const seen = state.seen(id, event.by, event.id, 0);
    if (!seen) return { type: 'forgotten' };
    return seen.pos === event.pos ? { type: 'accepted' } : { type: 'duplicate', original: seen.pos };
  }
}

const isWhole = (records: number): boolean => records === Number.POSITIVE_INFINITY;

/**
 * A log that lost its end in a power failure (the `default` profile may) gives its positions anew: what the inbox holds
 * beyond the log's end must not hide what will stand there.
 */
const notBeyond = ({ window, records }: ResumePoint, lastPos: number): ResumePoint =>
  window.to <= lastPos ? { window, records } : wholeUpTo(lastPos);

const wholeUpTo = (pos: number): ResumePoint => ({ window: { from: pos, to: pos }, records: Number.POSITIVE_INFINITY });

/** All have ended, well or not, before the first error is thrown: none goes on writing behind the caller's back. */
async function settled(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
