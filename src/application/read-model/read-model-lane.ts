/**
 * One lane's read model, kept close behind its log: follow → fold → rows, fold and position in one transaction. There is no ack
 * to give and nobody to agree with: each worker has its own file and its own position in it, so a second worker is a replica.
 */
import {
  isUnreadable,
  type LogEvent,
  type LogFollower,
  type LogReader,
  type LogRecord,
} from '../../ports/conversation-log.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Log } from '../../ports/log.ts';
import { type ReadModel, witnessOf } from '../../ports/read-model.ts';
import { acceptReadable } from '../../projections/fan-out.ts';
import { readModelChanges } from '../../projections/read-model.ts';
import { asRookeryError } from '../../protocol/error-codes.ts';
import { pause } from '../pause.ts';
import { Windows } from './windows.ts';

/** A rebuilt file that lacks more than these is answered from once it has them. */
const MAX_STALE_EVENTS = 1_000;
/** After trouble with the log it is followed anew after this pause. */
const RETRY_MS = 500;

/** The steps between which a process may die; a test makes it die at each. */
export type ReadModelStep = 'opened' | 'folded' | 'written';

export interface ReadModelLaneParts {
  readonly lane: number;
  readonly follower: LogFollower;
  readonly reader: LogReader;
  readonly model: ReadModel;
  readonly failpoints: Failpoints<ReadModelStep>;
  readonly log: Log;
  /**
   * Told when all that stood in the log at the start is in the file: from then on it may answer; and when it has to begin
   * again from nothing.
   */
  readonly onCurrent: (isCurrent: boolean) => void;
}

export class ReadModelLane {
  readonly #parts: ReadModelLaneParts;
  readonly #stop = new AbortController();
  /** The log's end when it was opened; undefined once that was reached. */
  #awaitedEnd: number | undefined = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #isRebuiltWaiting = false;
  /** Ends the following under way. */
  #interrupt: (() => void) | undefined;

  constructor(parts: ReadModelLaneParts) {
    this.#parts = parts;
  }

  /** Resolves after `drain`; rejects with what following the log anew does not cure. */
  start(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  /**
   * A file was built beside the one in use, or the one in use was taken away: what stands there then takes its place between two windows,
   * and the log is followed from its end.
   */
  takeRebuilt(): void {
    this.#isRebuiltWaiting = true;
    this.#interrupt?.();
  }

  async drain(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { lane, log } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (this.#isRebuiltWaiting) this.#swap();
        await this.#verifyPosition();
        const reason = await this.#follow(signal);
        if (reason) log.warn({ what: 'log lost', lane, reason });
      } catch (thrown) {
        const { code, message } = asRookeryError(thrown);
        if (code !== 'LOG_UNAVAILABLE') throw thrown;
        log.warn({ what: 'log not followed', lane, reason: message });
        await pause(RETRY_MS, signal);
      }
    }
  }

  /**
   * A log that lost its end in a power failure gives those positions anew, and then the file tells of what never was: so the
   * newest event in the file must be the one that stands at its place in the log.
   */
  async #verifyPosition(): Promise<void> {
    const { lane, reader, model, failpoints, log } = this.#parts;
    const lastPos = await reader.lastPos(model.position);
    const { witness } = model;
    const record = witness && witness.pos <= lastPos ? await reader.at(witness.pos) : undefined;
    const isSameLog = !witness || (record && !isUnreadable(record) && witnessOf(record).event === witness.event);
    if (model.position > lastPos || !isSameLog) {
      log.warn({ what: 'read model of another log', lane, position: model.position, lastPos });
      model.discard();
      if (this.#awaitedEnd === undefined) this.#parts.onCurrent(false);
      this.#awaitedEnd = lastPos;
    }
    if (this.#awaitedEnd !== undefined) this.#awaitedEnd = lastPos;
    this.#noteProgress();
    failpoints.hit('opened');
    log.info({ what: 'log followed', lane, position: model.position, lastPos });
  }

  /** Answers go on: what the new file lacks of the log is what was written while it was put in place; unless that is much. */
  #swap(): void {
    const { lane, model, log } = this.#parts;
    this.#isRebuiltWaiting = false;
    const before = model.position;
    model.takeRebuilt();
    const isStale = before - model.position > MAX_STALE_EVENTS || model.position === 0;
    if (this.#awaitedEnd === undefined && isStale && before > 0) {
      this.#awaitedEnd = Number.POSITIVE_INFINITY;
      this.#parts.onCurrent(false);
    }
    log.info({ what: 'other read model in use', lane, position: model.position });
  }

  /** Until `stop` or a rebuilt file (undefined), or until the log is lost (the reason). @throws what writing threw */
  async #follow(stop: AbortSignal): Promise<string | undefined> {
    const { follower, model } = this.#parts;
    const end = Promise.withResolvers<string | undefined>();
    // A rejection may come before anybody waits for it.
    end.promise.catch(() => undefined);
    const windows = new Windows((records) => this.#write(records), end.reject);
    const onRecords = (records: readonly LogRecord[]): void => {
      if (!stop.aborted && !this.#isRebuiltWaiting) windows.add(records);
    };
    const following = await follower.follow(model.position + 1, onRecords, (reason) => end.resolve(reason));
    const onStop = (): void => end.resolve(undefined);
    stop.addEventListener('abort', onStop);
    this.#interrupt = onStop;
    if (stop.aborted || this.#isRebuiltWaiting) onStop();
    try {
      return await end.promise;
    } finally {
      windows.close();
      this.#interrupt = undefined;
      stop.removeEventListener('abort', onStop);
      await following.stop();
    }
  }

  #write(records: readonly LogRecord[]): void {
    const { lane, model, failpoints, log } = this.#parts;
    const events = records.filter((record): record is LogEvent => !isUnreadable(record));
    const { changes, accepted, unreadable } = acceptReadable(model, events);
    failpoints.hit('folded');
    model.write(changes, readModelChanges(accepted), records.at(-1)?.pos ?? model.position, events.at(-1));
    failpoints.hit('written');
    // The fan-out worker, which folds the same, keeps them as dead letters.
    for (const { pos, reason } of [...records.filter(isUnreadable), ...unreadable]) {
      log.warn({ what: 'event left out', lane, pos, reason });
    }
    this.#noteProgress();
  }

  #noteProgress(): void {
    if (this.#awaitedEnd === undefined || this.#parts.model.position < this.#awaitedEnd) return;
    this.#awaitedEnd = undefined;
    this.#parts.onCurrent(true);
  }
}
