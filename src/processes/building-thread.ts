/**
 * The thread in which a read model is built: it decodes, folds and writes what the main thread has read. So reading costs it nothing,
 * and a machine with two cores uses both. It says of each portion when it has taken it, and of trouble once, with its code.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { LaneFilePlace } from '../adapters/sqlite/lane-file.ts';
import { SqliteReadModel } from '../adapters/sqlite/read-model.ts';
import { BuildingWindows } from '../application/read-model/rebuild.ts';
import { asRookeryError, type ErrorCode } from '../protocol/error-codes.ts';
import { LogUnpacker, type PackedPortion } from './packed-log.ts';

/** What the thread is told. `flush`: all that came before is in the file when it is answered; `close`: it ends. */
export type BuildingOrder = { readonly portion: PackedPortion } | 'flush' | 'close';

/** What it tells: position of the newest event in the file, after each portion and flush; or why it cannot go on. */
export type BuildingReport =
  | { readonly position: number }
  | { readonly failed: { readonly code: ErrorCode; readonly message: string } };

const port = parentPort;
if (!port) throw new Error('building-thread.ts is a thread of its own');
const report = (told: BuildingReport): void => port.postMessage(told);

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
  const model = new SqliteReadModel(workerData as LaneFilePlace);
  const windows = new BuildingWindows(model);
  const unpacker = new LogUnpacker();
  const obey = (order: BuildingOrder): void => {
    if (order === 'close') {
      model.close();
      port.close();
      return;
    }
    if (order === 'flush') windows.flush();
    else windows.add(unpacker.records(order.portion));
    report({ position: model.position });
  };
  port.on('message', (order: BuildingOrder) => failing(() => obey(order)));
});
