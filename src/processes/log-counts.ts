/**
 * The whole log up to a moment through the folds, and what came of it. Reading is one thread's work, decoding and folding another's: each
 * takes about as long as the other.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { logBounds } from '../adapters/jetstream/log/log-places.ts';
import { readLogSpan } from '../adapters/jetstream/log/log-span.ts';
import { makeTemporaryFolder } from '../adapters/sqlite/temporary-folder.ts';
import { FoldCounts } from '../application/replay/fold-counts.ts';
import { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
import type { Topology } from '../protocol/subjects.ts';
import type { CountThreadData, FromCount, ToCount } from './log-count-thread.ts';
import { LogPacker, type PackedPortion } from './packed-log.ts';

/** Portions that wait to be folded; at the bound nothing more is read. */
const MAX_WAITING_PORTIONS = 4;
/** What a portion is decoded into lives for as long as that portion: with room for it, it is gone before it is ever copied. */
const YOUNG_GENERATION_MB = 64;

export interface LogCountsParts {
  readonly nats: Nats;
  readonly topology: Topology;
  readonly stop: AbortSignal;
  readonly onProgress: (position: number, end: number) => void;
}

/** @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING, STATE_FILE_UNUSABLE */
export async function countLog(parts: LogCountsParts, to: (convStream: number) => number): Promise<FoldCounts> {
  const counts = new FoldCounts();
  for (let convStream = 0; convStream < parts.topology.convStreams && !parts.stop.aborted; convStream++) {
    const { first } = await logBounds(parts.nats.jsm, convStream);
    const counted = await countStream(parts, { convStream, from: first, to: to(convStream) });
    if (counted) counts.add(counted);
  }
  return counts;
}

/** Undefined where it was stopped. */
async function countStream(
  { nats, stop, onProgress }: LogCountsParts,
  span: { readonly convStream: number; readonly from: number; readonly to: number },
): Promise<Omit<FoldCounts, 'add'> | undefined> {
  if (span.from > span.to) return undefined;
  const folder = makeTemporaryFolder('replay');
  const thread = new FoldingThread(folder.path, (pos) => onProgress(pos, span.to));
  try {
    const packer = new LogPacker();
    for await (const _ of readLogSpan(nats, span, (...message) => packer.add(...message))) {
      const portion = packer.take();
      if (portion) await thread.fold(portion);
      if (stop.aborted) return undefined;
    }
    return await thread.counted();
  } finally {
    await thread.end();
    folder.remove();
  }
}

class FoldingThread {
  readonly #worker: Worker;
  readonly #onFolded: (pos: number) => void;
  #waiting = 0;
  #counted: Omit<FoldCounts, 'add'> | undefined;
  #failed: unknown;
  #wake: () => void = () => undefined;

  constructor(folder: string, onFolded: (pos: number) => void) {
    this.#onFolded = onFolded;
    const workerData: CountThreadData = { folder };
    // As this file: TypeScript in a checkout, JavaScript where it was built.
    this.#worker = new Worker(new URL(`./log-count-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker.on('message', (message: FromCount) => this.#told(message));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new RookeryError('INTERNAL', 'the folding thread ended')));
  }

  /** Resolves when there is room for more. @throws what the fold threw */
  async fold(portion: PackedPortion): Promise<void> {
    this.#waiting += 1;
    this.#worker.postMessage(portion satisfies ToCount, [portion.bytes.buffer]);
    await this.#until(() => this.#waiting < MAX_WAITING_PORTIONS);
  }

  /** What came of all that was folded. @throws as `fold` */
  async counted(): Promise<Omit<FoldCounts, 'add'>> {
    this.#worker.postMessage(undefined satisfies ToCount);
    await this.#until(() => this.#counted !== undefined);
    return this.#counted as Omit<FoldCounts, 'add'>;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #told(message: FromCount): void {
    if (message.type === 'failed') return this.#fail(new RookeryError(message.code as ErrorCode, message.message));
    if (message.type === 'counted') this.#counted = message;
    else {
      this.#waiting -= 1;
      this.#onFolded(message.pos);
    }
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failed ??= error;
    this.#wake();
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.#failed) throw this.#failed;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
