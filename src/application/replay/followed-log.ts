/**
 * A log read by somebody who may be slower than it grows: a terminal, a pipe into a program that thinks. What waits for the
 * reader is bounded; beyond the bound the log is left alone, and followed anew behind what the reader has taken.
 */
import type { LogFollower, LogReader, LogRecord } from '../../ports/conversation-log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { Interruptions } from '../pause.ts';

/** Records that wait for the reader; beyond it the log is followed no further until they are taken. */
const MAX_WAITING_RECORDS = 20_000;

/**
 * Every record from `from` on, as it comes, until `stop`.
 * @throws RookeryError LOG_UNAVAILABLE when the log is another one or has lost its end, STREAM_MISSING
 */
export async function* followLog(
  follower: LogFollower,
  from: number,
  stop: AbortSignal,
): AsyncGenerator<readonly LogRecord[]> {
  for (let next = from; !stop.aborted; ) {
    for await (const records of followOnce(follower, next, stop)) {
      next = (records.at(-1)?.pos ?? next - 1) + 1;
      yield records;
    }
  }
}

/** Until `stop`, or until more waited than may. */
async function* followOnce(follower: LogFollower, from: number, stop: AbortSignal) {
  const waiting: (readonly LogRecord[])[] = [];
  let count = 0;
  let isFull = false;
  let lost: string | undefined;
  let wake: () => void = () => undefined;
  const onRecords = (records: readonly LogRecord[]): void => {
    if (isFull) return;
    waiting.push(records);
    count += records.length;
    isFull = count > MAX_WAITING_RECORDS;
    wake();
  };
  const onLost = (reason: string): void => {
    lost = reason;
    wake();
  };
  const onStop = (): void => wake();
  stop.addEventListener('abort', onStop);
  const following = await follower.follow(from, onRecords, onLost);
  try {
    while (!stop.aborted) {
      const records = waiting.shift();
      if (records) {
        yield records;
        count -= records.length;
      } else if (lost !== undefined) throw new RookeryError('LOG_UNAVAILABLE', `the log cannot be followed: ${lost}`);
      else if (isFull) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stop.removeEventListener('abort', onStop);
    await following.stop();
  }
}

/**
 * As `LogReader.read`, but a server that restarts or a connection that is lost does not end it.
 * @throws RookeryError LOG_UNAVAILABLE when it does not come back
 */
export async function* readOn(
  reader: Pick<LogReader, 'read'>,
  from: number,
  to: number,
  stop?: AbortSignal,
): AsyncGenerator<LogRecord> {
  let next = from;
  const interruptions = new Interruptions();
  for (;;) {
    const before = next;
    try {
      for await (const record of reader.read(next, to)) {
        if (stop?.aborted) return;
        next = record.pos + 1;
        yield record;
      }
      return;
    } catch (thrown) {
      await interruptions.after(thrown, next > before, stop);
    }
  }
}
