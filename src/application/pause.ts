import { asRookeryError } from '../protocol/error-codes.ts';

/** Resolves after `ms`, or as soon as `stop` is aborted. */
export function pause(ms: number, stop?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop?.addEventListener('abort', done);
    if (stop?.aborted) done();
  });
}

export interface Patience {
  /** So often it is asked. */
  readonly attempts: number;
  readonly pauseMs: number;
  readonly stop: AbortSignal;
}

/** Asks again after a pause where nobody answers. @throws what `ask` does; LOG_UNAVAILABLE only when it was asked so often, or was stopped */
export async function patiently<T>(ask: () => Promise<T>, { attempts, pauseMs, stop }: Patience): Promise<T> {
  for (let asked = 1; ; asked++) {
    try {
      return await ask();
    } catch (thrown) {
      if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE' || asked >= attempts || stop.aborted) throw thrown;
      await pause(pauseMs, stop);
    }
  }
}

/** @returns undefined as soon as it is stopped */
export async function unlessStopped<T>(stop: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  const stopped = Promise.withResolvers<undefined>();
  const onStop = (): void => stopped.resolve(undefined);
  stop.addEventListener('abort', onStop);
  if (stop.aborted) onStop();
  try {
    return await Promise.race([work, stopped.promise]);
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}

/** So often a read is begun without any progress, and it is given up. */
const MAX_ATTEMPTS = 6;
/** Between two of these, but the first: a server that was stopped is back within seconds. */
const BETWEEN_ATTEMPTS_MS = 1_000;

/** Those of a read that goes on behind what was read. */
export class Interruptions {
  #attempts = 0;

  /** Resolves when it may go on. @throws `thrown` where that was none, or one of so many without any progress */
  async after(thrown: unknown, hasProgressed: boolean, stop?: AbortSignal): Promise<void> {
    this.#attempts = hasProgressed ? 1 : this.#attempts + 1;
    if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE' || this.#attempts === MAX_ATTEMPTS) throw thrown;
    if (this.#attempts > 1) await pause(BETWEEN_ATTEMPTS_MS, stop);
  }
}
