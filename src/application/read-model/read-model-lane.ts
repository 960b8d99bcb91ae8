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
import { foldReadable } from '../../projections/fan-out.ts';
import { readModelChanges } from '../../projections/read-model.ts';
import { asRookeryError } from '../../protocol/error-codes.ts';

/**
 * A window is what is there when the one before it is written, up to these bounds. While it is written nobody is answered: with
 * 1,000 events some 15 ms. At the bound it is written at once; no more is read before.
 */
const MAX_WINDOW_EVENTS = 1_000;
/** While nobody is answered yet: pages that many conversations share are written less often. */
const CATCH_UP_WINDOW_EVENTS = 5_000;
const MAX_WINDOW_BYTES = 4 * 1_024 * 1_024;
/** Under load windows are written at most this often; without load at once. */
const WRITE_EVERY_MS = 20;
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

  constructor(parts: ReadModelLaneParts) {
    this.#parts = parts;
  }

  /** Resolves after `drain`; rejects with what following the log anew does not cure. */
  start(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
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
    const lastPos = await reader.lastPos();
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

  /** Until `stop` (undefined), or until the log is lost (the reason). @throws what writing threw */
  async #follow(stop: AbortSignal): Promise<string | undefined> {
    const { follower, model } = this.#parts;
    const end = Promise.withResolvers<string | undefined>();
    // A rejection may come before anybody waits for it.
    end.promise.catch(() => undefined);
    const window = new Window((records) => this.#write(records), end.reject);
    const onRecords = (records: readonly LogRecord[]): void => {
      const maxEvents = this.#awaitedEnd === undefined ? MAX_WINDOW_EVENTS : CATCH_UP_WINDOW_EVENTS;
      for (const record of records) window.add(record, maxEvents);
      window.writeSoon();
    };
    const following = await follower.follow(model.position + 1, onRecords, (reason) => end.resolve(reason));
    const onStop = (): void => end.resolve(undefined);
    stop.addEventListener('abort', onStop);
    if (stop.aborted) onStop();
    try {
      return await end.promise;
    } finally {
      stop.removeEventListener('abort', onStop);
      window.close();
      await following.stop();
    }
  }

  #write(records: readonly LogRecord[]): void {
    if (records.length === 0) return;
    const { lane, model, failpoints, log } = this.#parts;
    const events = records.filter((record): record is LogEvent => !isUnreadable(record));
    const { changes, accepted, unreadable } = foldReadable(model, events);
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

/** Gathers records until they are worth a transaction, or old enough. */
class Window {
  readonly #write: (records: readonly LogRecord[]) => void;
  readonly #failed: (error: unknown) => void;
  #records: LogRecord[] = [];
  #bytes = 0;
  #writtenAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(write: (records: readonly LogRecord[]) => void, failed: (error: unknown) => void) {
    this.#write = write;
    this.#failed = failed;
  }

  add(record: LogRecord, maxEvents: number): void {
    if (this.#isClosed) return;
    this.#records.push(record);
    this.#bytes += isUnreadable(record) ? record.data.length : 'body' in record.event ? record.event.body.length : 0;
    if (this.#records.length >= maxEvents || this.#bytes >= MAX_WINDOW_BYTES) this.#flush();
  }

  /** Now, or when the last one is `WRITE_EVERY_MS` past. */
  writeSoon(): void {
    if (this.#records.length === 0 || this.#timer) return;
    const waitMs = this.#writtenAt + WRITE_EVERY_MS - performance.now();
    if (waitMs <= 0) this.#flush();
    else this.#timer = setTimeout(() => this.#flush(), waitMs);
  }

  /** What was gathered and not written is dropped: it is read again from the position that was. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed) return;
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    try {
      this.#write(records);
    } catch (error) {
      this.close();
      this.#failed(error);
    }
    this.#writtenAt = performance.now();
  }
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done);
    if (stop.aborted) done();
  });
}
