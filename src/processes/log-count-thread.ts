/** The thread that folds: portions of a log come in, how far it is goes out, and at the end what was counted. */
import { parentPort, workerData } from 'node:worker_threads';
import { ReplayState } from '../adapters/sqlite/replay-state.ts';
import { FoldCounts, foldCounted } from '../application/replay/fold-counts.ts';
import { asRookeryError } from '../protocol/error-codes.ts';
import { LogUnpacker, type PackedPortion } from './packed-log.ts';

export interface CountThreadData {
  /** Empty, for this thread alone. */
  readonly folder: string;
}

/** `undefined`: that was all. */
export type ToCount = PackedPortion | undefined;

export type FromCount =
  | { readonly type: 'folded'; readonly pos: number }
  | ({ readonly type: 'counted' } & Omit<FoldCounts, 'add'>)
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

const port = parentPort;
const state = new ReplayState((workerData as CountThreadData).folder);
const unpacker = new LogUnpacker();
const counts = new FoldCounts();

const tell = (message: FromCount): void => port?.postMessage(message);

function take(portion: ToCount): void {
  if (!portion) {
    state.close();
    tell({ type: 'counted', ...counts });
    port?.close();
    return;
  }
  const records = unpacker.records(portion);
  foldCounted(state, records, counts);
  tell({ type: 'folded', pos: records.at(-1)?.pos ?? 0 });
}

port?.on('message', (portion: ToCount) => {
  try {
    take(portion);
  } catch (thrown) {
    const { code, message } = asRookeryError(thrown);
    tell({ type: 'failed', code, message: thrown instanceof Error ? thrown.message : message });
    port.close();
  }
});
