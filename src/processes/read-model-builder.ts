/**
 * A read model built from the log in two threads: here it is read and its words are indexed, in the other (building-thread.ts) it is
 * folded and written.
 */
import { Worker } from 'node:worker_threads';
import type { StoredEvent } from '../adapters/jetstream/log/log-reader.ts';
import type { LaneFilePlace } from '../adapters/sqlite/lane-file.ts';
import { WordsFile } from '../adapters/sqlite/text-index.ts';
import { type Progress, readUpTo } from '../application/read-model/rebuild.ts';
import { asRookeryError, RookeryError } from '../protocol/error-codes.ts';
import type { BuildingOrder, BuildingReport } from './building-thread.ts';
import { LogPacker } from './packed-log.ts';
import { type PackedWords, unpackWords } from './packed-words.ts';

/** Read and not yet folded; beyond either nothing more is read. */
const MAX_PORTIONS_AHEAD = 64;
export const MAX_BYTES_AHEAD = 8 * 1_024 * 1_024;

/** From the sources, or from what was built of them. */
const THREAD = new URL(`building-thread${import.meta.filename.slice(-3)}`, import.meta.url);

export interface StoredLogReader {
  /** From `from` to `to`, both included, in order. @throws RookeryError LOG_UNAVAILABLE */
  readStored(from: number, to: number): AsyncIterable<readonly StoredEvent[]>;
}

export class ReadModelBuilder {
  readonly #thread: Worker;
  readonly #ended: Promise<void>;
  readonly #packer = new LogPacker();
  readonly #wordsPath: string;
  #words: WordsFile | undefined;
  /** Bytes of what was sent and not yet answered, in its order; of a flush 0. */
  readonly #unanswered: number[] = [];
  #bytesAhead = 0;
  /** Position of the newest event that was sent, and that is in the file. */
  #sent = 0;
  #written = 0;
  #failure: RookeryError | undefined;
  #isClosing = false;
  #isAbandoned = false;
  #onReport: (() => void) | undefined;

  constructor(place: LaneFilePlace) {
    this.#wordsPath = `${place.path}-words`;
    this.#thread = new Worker(THREAD, { workerData: place });
    this.#thread.on('message', (report: BuildingReport) => this.#heard(report));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    this.#thread.on('error', (error) => this.#fail(new RookeryError('STATE_FILE_UNUSABLE', String(error))));
    this.#thread.on('exit', () => {
      if (!this.#isClosing || this.#unanswered.length > 0)
        this.#fail(new RookeryError('STATE_FILE_UNUSABLE', `nobody builds ${place.path} any more`));
      resolve();
    });
  }

  /**
   * What lies between what was read before and `end`; all of it is in the file then, unless it was abandoned.
   * @throws RookeryError LOG_UNAVAILABLE, STATE_FILE_UNUSABLE
   */
  async foldUpTo(reader: StoredLogReader, end: number, onProgress: (progress: Progress) => void): Promise<void> {
    if (this.#isAbandoned) return;
    await this.#fold(reader, end, onProgress).catch((thrown: unknown) => {
      if (!this.#isAbandoned) throw thrown;
    });
  }

  async #fold(reader: StoredLogReader, end: number, onProgress: (progress: Progress) => void): Promise<void> {
    await readUpTo(
      end,
      () => this.#sent,
      async () => {
        for await (const events of reader.readStored(this.#sent + 1, end)) {
          while (this.#unanswered.length >= MAX_PORTIONS_AHEAD || this.#bytesAhead >= MAX_BYTES_AHEAD)
            await this.#report();
          for (const { pos, at, subject, data } of events) this.#packer.add(pos, at, subject, data);
          this.#sent = events.at(-1)?.pos ?? this.#sent;
          const portion = this.#packer.take();
          if (portion) this.#send({ portion }, portion.bytes.buffer.byteLength, [portion.bytes.buffer]);
          onProgress({ position: this.#written, end });
        }
      },
    );
    this.#send('flush', 0);
    while (this.#unanswered.length > 0) await this.#report();
    onProgress({ position: this.#written, end });
  }

  /** Neither thread does any more of it: `foldUpTo` and `close` resolve as soon as they can, and the file is good for nothing. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#fail(new RookeryError('STATE_FILE_UNUSABLE', `${this.#wordsPath} was abandoned`));
    // `close` waits for its end.
    void this.#thread.terminate();
  }

  /** The file is closed then: whole, unless something has failed before, or it was abandoned. @throws RookeryError STATE_FILE_UNUSABLE */
  async close(): Promise<void> {
    try {
      if (this.#failure) await this.#thread.terminate();
      else await this.#finish();
    } catch (thrown) {
      if (!this.#isAbandoned) throw thrown;
    } finally {
      await this.#ended;
      this.#words?.remove();
    }
  }

  async #finish(): Promise<void> {
    this.#wordsFile().close();
    this.#isClosing = true;
    this.#send({ close: this.#wordsPath }, 0);
    while (this.#unanswered.length > 0) await this.#report();
  }

  #send(order: BuildingOrder, bytes: number, transfer: ArrayBuffer[] = []): void {
    if (this.#failure) throw this.#failure;
    this.#unanswered.push(bytes);
    this.#bytesAhead += bytes;
    this.#thread.postMessage(order, transfer);
  }

  #heard(report: BuildingReport): void {
    if ('failed' in report) {
      this.#fail(new RookeryError(report.failed.code, report.failed.message));
      return;
    }
    if ('words' in report) {
      this.#index(report.words);
      return;
    }
    this.#written = report.position;
    this.#bytesAhead -= this.#unanswered.shift() ?? 0;
    this.#onReport?.();
  }

  /** They came before the answer to what they are of: no more of them wait than portions do. */
  #index(words: PackedWords): void {
    if (this.#failure) return;
    try {
      this.#wordsFile().write((index) => unpackWords(words, index));
    } catch (thrown) {
      this.#fail(asRookeryError(thrown));
    }
  }

  #wordsFile(): WordsFile {
    this.#words ??= new WordsFile(this.#wordsPath);
    return this.#words;
  }

  #fail(failure: RookeryError): void {
    this.#failure ??= failure;
    this.#onReport?.();
  }

  /** Resolves with the next report. @throws what the thread has failed with */
  async #report(): Promise<void> {
    if (!this.#failure) await new Promise<void>((resolve) => (this.#onReport = resolve));
    if (this.#failure) throw this.#failure;
  }
}
