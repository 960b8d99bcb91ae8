/** A read model folded anew from the log's start, as fast as it can be read: for a rebuild, and to compare the one in use with. */
import { isUnreadable, type LogEvent, type LogReader, type LogRecord } from '../../ports/conversation-log.ts';
import type { ReadModel } from '../../ports/read-model.ts';
import { acceptReadable } from '../../projections/fan-out.ts';
import { readModelChanges } from '../../projections/read-model.ts';
import { asRookeryError } from '../../protocol/error-codes.ts';

/** Nobody asks the file while it is built: larger transactions than a worker's. */
const WINDOW_EVENTS = 20_000;
/** A read that was interrupted goes on behind what was read; so often without any progress it is given up. */
const MAX_ATTEMPTS = 5;

export interface Progress {
  readonly position: number;
  readonly end: number;
}

/**
 * Reads on from the model's own position up to `end`.
 * @throws RookeryError LOG_UNAVAILABLE, STATE_FILE_UNUSABLE
 */
export async function foldLog(
  reader: LogReader,
  model: ReadModel,
  end: number,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  let attempts = 0;
  while (model.position < end) {
    const before = model.position;
    try {
      await foldOnce(reader, model, end, onProgress);
      return;
    } catch (thrown) {
      attempts = model.position > before ? 1 : attempts + 1;
      if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE' || attempts === MAX_ATTEMPTS) throw thrown;
    }
  }
}

async function foldOnce(reader: LogReader, model: ReadModel, end: number, onProgress: (progress: Progress) => void) {
  let window: LogRecord[] = [];
  const write = (): void => {
    const events = window.filter((record): record is LogEvent => !isUnreadable(record));
    const { changes, accepted } = acceptReadable(model, events);
    model.write(changes, readModelChanges(accepted), window.at(-1)?.pos ?? model.position, events.at(-1));
    window = [];
    onProgress({ position: model.position, end });
  };
  for await (const records of reader.readParts(model.position + 1, end)) {
    window.push(...records);
    if (window.length >= WINDOW_EVENTS) write();
  }
  if (window.length > 0) write();
}
