/**
 * The other thread of an import: first it checks blocks of the file beside the one that reads it, then it reads back and digests what was
 * written, over a connection of its own.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { NatsAccess } from '../adapters/jetstream/connect.ts';
import type { ChecksBeside } from '../application/archive/check-archive.ts';
import type { Before, RecordRules } from '../application/archive/record-checks.ts';
import type { ArchiveBlock, ReadBack, StreamSummary } from '../ports/archive.ts';
import { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
import type { FromImporting, ImportingThreadData, ToImporting } from './importing-thread.ts';

/** What is read of a pull lives for as long as that: with room for it, it is gone before it is ever copied. */
const YOUNG_GENERATION_MB = 32;
/** Blocks the thread has, of 1 MiB: what it works on, and the next one. Whoever has more checks it. */
const MAX_BLOCKS = 2;

type Settled<T> = ReturnType<typeof Promise.withResolvers<T>>;

export class ImportingThread implements ChecksBeside {
  readonly #worker: Worker;
  readonly #onRead: (stream: string, seq: number) => void;
  readonly #summaries: Settled<readonly StreamSummary[]> = Promise.withResolvers();
  /** In the order of asking, which is that of the answers. */
  readonly #checks: Settled<number>[] = [];
  #isReady = false;
  #isWritten = false;

  /** @param onRead told how far it was read back, once all is written */
  constructor(nats: NatsAccess, rules: RecordRules, onRead: (stream: string, seq: number) => void) {
    this.#onRead = onRead;
    const data: ImportingThreadData = { nats, rules };
    // As this file: TypeScript in a checkout, JavaScript where it was built.
    this.#worker = new Worker(new URL(`./importing-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker.on('message', (message: FromImporting) => this.#told(message));
    this.#worker.on('error', (cause) => this.#failed(cause));
    this.#worker.on('exit', () => this.#failed(new RookeryError('INTERNAL', 'the other thread of the import ended')));
    // Whoever asks for them hears of it.
    this.#summaries.promise.catch(() => undefined);
  }

  check(stream: string, { bytes }: ArchiveBlock, before: Before): Promise<number> | undefined {
    if (!this.#isReady || this.#checks.length >= MAX_BLOCKS) return undefined;
    const check: Settled<number> = Promise.withResolvers();
    this.#checks.push(check);
    // Handed over, not copied; a small one may share its memory with others.
    const isAlone = bytes.length > Buffer.poolSize;
    this.#tell({ type: 'check', stream, bytes, before }, isAlone ? [bytes.buffer as ArrayBuffer] : []);
    return check.promise;
  }

  /** @param ends of each stream the position up to which it is read */
  readBack(ends: readonly (readonly [name: string, end: number])[]): ReadBack {
    this.#tell({ type: 'readBack', ends });
    return {
      whole: (stream) => this.#tell({ type: 'whole', stream }),
      written: () => {
        this.#isWritten = true;
        this.#tell({ type: 'written' });
        return this.#summaries.promise;
      },
      stop: () => this.stop(),
    };
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #tell(message: ToImporting, transferred: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transferred);
  }

  #told(message: FromImporting): void {
    switch (message.type) {
      case 'ready':
        this.#isReady = true;
        return;
      case 'checked':
        return this.#checks.shift()?.resolve(message.unreadable);
      case 'refused':
        return this.#checks.shift()?.reject(errorOf(message));
      case 'read':
        if (this.#isWritten) this.#onRead(message.stream, message.seq);
        return;
      case 'digested':
        return this.#summaries.resolve(message.summaries);
      case 'failed':
        return this.#summaries.reject(errorOf(message));
    }
  }

  #failed(cause: unknown): void {
    for (const check of this.#checks.splice(0)) check.reject(cause);
    this.#summaries.reject(cause);
  }
}

const errorOf = ({ code, message }: { readonly code: string; readonly message: string }): RookeryError =>
  new RookeryError(code as ErrorCode, message);
