/** A log that is being written is read back and digested beside it, in a thread and over a connection of its own. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { NatsAccess } from '../adapters/jetstream/connect.ts';
import type { ReadBack, StreamSummary } from '../ports/archive.ts';
import { type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
import type { DigestThreadData, FromDigest, ToDigest } from './log-digest-thread.ts';

/** What is read of a pull lives for as long as that: with room for it, it is gone before it is ever copied. */
const YOUNG_GENERATION_MB = 32;

export class ThreadedReadBack implements ReadBack {
  readonly #worker: Worker;
  readonly #onRead: (stream: string, seq: number) => void;
  readonly #summaries: Promise<readonly StreamSummary[]>;
  #isWritten = false;

  /** @param ends of each stream the position up to which it is read; @param onRead told once all is written */
  constructor(nats: NatsAccess, ends: DigestThreadData['ends'], onRead: (stream: string, seq: number) => void) {
    this.#onRead = onRead;
    const data: DigestThreadData = { nats, ends };
    // As this file: TypeScript in a checkout, JavaScript where it was built.
    this.#worker = new Worker(new URL(`./log-digest-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const { promise, resolve, reject } = Promise.withResolvers<readonly StreamSummary[]>();
    this.#worker.on('message', (message: FromDigest) => {
      if (message.type === 'digested') resolve(message.summaries);
      else if (message.type === 'failed') reject(new RookeryError(message.code as ErrorCode, message.message));
      else if (this.#isWritten) this.#onRead(message.stream, message.seq);
    });
    this.#worker.on('error', reject);
    this.#worker.on('exit', () => reject(new RookeryError('INTERNAL', 'the verifying thread ended')));
    // Whoever asks for them hears of it.
    promise.catch(() => undefined);
    this.#summaries = promise;
  }

  given(stream: string, seq: number): void {
    this.#worker.postMessage({ stream, seq } satisfies ToDigest);
  }

  written(): Promise<readonly StreamSummary[]> {
    this.#isWritten = true;
    this.#worker.postMessage('written' satisfies ToDigest);
    return this.#summaries;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
