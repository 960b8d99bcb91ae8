/**
 * The thread in which a read model is built: it decodes, folds and writes what the main thread has read, all but the words, which it hands
 * back to be indexed there. So each has about half of the work, and a machine with two cores uses both. It says of each portion when it
 * has taken it, and of trouble once, with its code.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { LaneFilePlace } from '../adapters/sqlite/lane-file.ts';
import { SqliteReadModel } from '../adapters/sqlite/read-model.ts';
import { BuildingWindows } from '../application/read-model/rebuild.ts';
import { asRookeryError, type ErrorCode } from '../protocol/error-codes.ts';
import { LogUnpacker, type PackedPortion } from './packed-log.ts';
import { type PackedWords, WordsPacker } from './packed-words.ts';

/**
 * What the thread is told. `flush`: all that came before is in the file when it is answered, and its words were handed back; `close`: it
 * takes over the words, from a closed file, and ends.
 */
export type BuildingOrder = { readonly portion: PackedPortion } | 'flush' | { readonly close: string };

/** What it tells: position of the newest event in the file, after each order; words, before the answer to the order; or why it cannot go on. */
export type BuildingReport =
  | { readonly position: number }
  | { readonly words: PackedWords }
  | { readonly failed: { readonly code: ErrorCode; readonly message: string } };

const port = parentPort;
if (!port) throw new Error('building-thread.ts is a thread of its own');
const report = (told: BuildingReport, transfer: ArrayBuffer[] = []): void => port.postMessage(told, transfer);

function failing(work: () => void): void {
  try {
    work();
  } catch (thrown) {
    const { code, message } = asRookeryError(thrown);
    report({ failed: { code, message } });
    port?.close();
  }
}

failing(() => {
  const words = new WordsPacker((portion) => report({ words: portion }, [portion.buffer]));
  const model = new SqliteReadModel(workerData as LaneFilePlace, words);
  const windows = new BuildingWindows(model);
  const unpacker = new LogUnpacker();
  const obey = (order: BuildingOrder): void => {
    if (order === 'flush') windows.flush();
    else if ('portion' in order) windows.add(unpacker.records(order.portion));
    else {
      model.takeWords(order.close);
      model.close();
    }
    words.flush();
    report({ position: model.position });
    if (order !== 'flush' && 'close' in order) port.close();
  };
  port.on('message', (order: BuildingOrder) => failing(() => obey(order)));
});
