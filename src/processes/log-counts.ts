/** The whole log up to a moment through the folds, and what came of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamLogFollower } from '../adapters/jetstream/log-follower.ts';
import { logBounds } from '../adapters/jetstream/log-places.ts';
import { ReplayState } from '../adapters/sqlite/replay-state.ts';
import { FoldCounts, foldCounted, foldTo } from '../application/replay/fold-counts.ts';
import type { Log } from '../ports/log.ts';
import type { Topology } from '../protocol/subjects.ts';

export interface LogCountsParts {
  readonly nats: Nats;
  readonly topology: Topology;
  readonly log: Log;
  readonly stop: AbortSignal;
  readonly onProgress: (position: number, end: number) => void;
}

/** @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING */
export async function countLog(
  { nats, topology, log, stop, onProgress }: LogCountsParts,
  to: (convStream: number) => number,
): Promise<FoldCounts> {
  const { nc, js, jsm } = nats;
  const counts = new FoldCounts();
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    const folder = mkdtempSync(join(tmpdir(), 'rookery-replay-'));
    const state = new ReplayState(folder);
    try {
      const { first } = await logBounds(jsm, convStream);
      const end = to(convStream);
      const follower = new JetstreamLogFollower({ nc, js, jsm, convStream, log });
      const fold = (records: Parameters<typeof foldCounted>[1]): void => {
        foldCounted(state, records, counts);
        onProgress(records.at(-1)?.pos ?? 0, end);
      };
      await foldTo(follower, first, end, fold, stop);
    } finally {
      state.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return counts;
}
