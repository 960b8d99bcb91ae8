/** A read model folded anew from the log's start, as fast as it can be read: for a rebuild, and to compare the one in use with. */
import { isUnreadable, type LogEvent, type LogReader, type LogRecord } from '../../ports/conversation-log.ts';
import type { ReadModel } from '../../ports/read-model.ts';
import { acceptReadable } from '../../projections/fan-out.ts';
import { readModelChanges } from '../../projections/read-model.ts';
import { Interruptions } from '../pause.ts';
import { bodyBytesOf } from './windows.ts';

/** Nobody asks the file while it is built: larger transactions than a worker's. */
const WINDOW_EVENTS = 20_000;
/** Their bodies; the last may be over it. */
const WINDOW_BYTES = 8 * 1_024 * 1_024;

export interface Progress {
  readonly position: number;
  readonly end: number;
}

/** Records of the log put into a file that nobody asks, a window at a time. */
export class BuildingWindows {
  readonly #model: ReadModel;
  #window: LogRecord[] = [];
  #bytes = 0;

  constructor(model: ReadModel) {
    this.#model = model;
  }

  /** @throws RookeryError STATE_FILE_UNUSABLE */
  add(records: readonly LogRecord[]): void {
    for (const record of records) {
      this.#window.push(record);
      this.#bytes += bodyBytesOf(record);
    }
    if (this.#window.length >= WINDOW_EVENTS || this.#bytes >= WINDOW_BYTES) this.flush();
  }

  /** What was added is in the file from then on. @throws RookeryError STATE_FILE_UNUSABLE */
  flush(): void {
    const last = this.#window.at(-1);
    if (!last) return;
    const events = this.#window.filter((record): record is LogEvent => !isUnreadable(record));
    const { changes, accepted } = acceptReadable(this.#model, events);
    this.#model.write(changes, readModelChanges(accepted), last.pos, events.at(-1));
    this.#window = [];
    this.#bytes = 0;
  }
}

/**
 * Reads on from the model's own position up to `end`, or until `stop` aborts.
 * @throws RookeryError LOG_UNAVAILABLE, STATE_FILE_UNUSABLE
 */
export async function foldLog(
  reader: LogReader,
  model: ReadModel,
  end: number,
  onProgress: (progress: Progress) => void,
  stop?: AbortSignal,
): Promise<void> {
  await readUpTo(
    end,
    () => model.position,
    async () => {
      const windows = new BuildingWindows(model);
      for await (const records of reader.readParts(model.position + 1, end)) {
        if (stop?.aborted) return;
        const before = model.position;
        windows.add(records);
        if (model.position > before) onProgress({ position: model.position, end });
      }
      windows.flush();
      onProgress({ position: model.position, end });
    },
  );
}

/**
 * Begins again where a read was interrupted.
 * @param position how far it has come; @param readOn reads from there to the end
 * @throws RookeryError LOG_UNAVAILABLE when there is no progress, and what else `readOn` throws
 */
export async function readUpTo(end: number, position: () => number, readOn: () => Promise<void>): Promise<void> {
  const interruptions = new Interruptions();
  while (position() < end) {
    const before = position();
    try {
      await readOn();
      return;
    } catch (thrown) {
      await interruptions.after(thrown, position() > before);
    }
  }
}
