/** Reads that go on where they were interrupted: a server restarts, a leader hands over, a connection is lost. */
import { setTimeout } from 'node:timers/promises';
import { asRookeryError } from '../../../protocol/error-codes.ts';

/** So often without any progress, and it is given up. */
const MAX_ATTEMPTS = 8;
/** Between two of these, but the first: a server that was stopped is back within seconds. */
const PAUSE_MS = 1_000;

/**
 * @param position how far it has come
 * @param readOn reads on from there to the end
 * @throws RookeryError LOG_UNAVAILABLE where there is no progress, and what else `readOn` throws
 */
export async function* resumed<T>(position: () => number, readOn: () => AsyncIterable<T>): AsyncGenerator<T> {
  for (let attempts = 1; ; ) {
    const before = position();
    try {
      yield* readOn();
      return;
    } catch (thrown) {
      attempts = position() > before ? 1 : attempts + 1;
      if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE' || attempts > MAX_ATTEMPTS) throw thrown;
      if (attempts > 1) await setTimeout(PAUSE_MS);
    }
  }
}
