/**
 * What this build makes of the production log, beside what stands there: nothing is written but files of a temporary folder. Run with
 * the build that is to come, it tells before it serves whom its folds would judge or show otherwise.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { SqliteFanOutState } from '../adapters/sqlite/fan-out-state.ts';
import type { LaneFilePlace } from '../adapters/sqlite/lane-file.ts';
import { SqliteReadModel } from '../adapters/sqlite/read-model.ts';
import { FileSnapshot, type RowPair } from '../adapters/sqlite/table-differences.ts';
import { makeTemporaryFolder } from '../adapters/sqlite/temporary-folder.ts';
import { refuseOther } from '../adapters/sqlite/usable.ts';
import { foldLog } from '../application/read-model/rebuild.ts';
import { type Difference, differencesIn } from '../application/replay/entry-differences.ts';
import { decodeRoster } from '../protocol/conversation-codec.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { verifyInbox } from './inbox-verification.ts';
import { lanePlace } from './read-model-files.ts';
import { foldInto, type RebuildingParts } from './rebuilding.ts';

export type RowDifference = RowPair & { readonly about: 'read-model' | 'fan-out-state'; readonly lane: number };

export interface ShadowVerdict {
  /** Position up to which both were compared. */
  readonly position: number;
  readonly differences: number;
}

/** Decisions and inboxes. @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
export async function shadowInbox(
  { nats, topology, stop, onProgress }: RebuildingParts,
  lane: number,
  k: number,
  onDifference: (difference: Difference) => void,
): Promise<ShadowVerdict> {
  let differences = 0;
  const { checkedTo } = await verifyInbox(
    {
      ...{ nats, topology, lane, inboxStream: k, stop, onProgress },
      onFinding: () => undefined,
      onWindow: (window) => {
        for (const difference of differencesIn(window)) {
          differences += 1;
          onDifference(difference);
        }
      },
    },
    false,
  );
  return { position: checkedTo, differences };
}

/**
 * A worker's file, as it was at the start, against one that this build folds up to the same position.
 * @throws RookeryError NOT_FOUND without a file, STATE_FILE_UNUSABLE as `refuseOther`, LOG_UNAVAILABLE
 */
export async function shadowFile(
  about: RowDifference['about'],
  { nats, stop, onProgress }: RebuildingParts,
  stateDir: string,
  lane: number,
  onDifference: (difference: RowDifference) => void,
): Promise<ShadowVerdict> {
  const { path, log } = await lanePlace(stateDir, nats, lane);
  if (!existsSync(path)) throw new RookeryError('NOT_FOUND', `there is no file of a worker at ${path}`);
  refuseOther(path, { log, kind: about === 'read-model' ? 'read model' : 'fan-out state' });
  const inUse = new FileSnapshot(path);
  const folder = makeTemporaryFolder('shadow');
  try {
    const place: LaneFilePlace = { path: join(folder.path, 'anew.sqlite'), log: 'shadow', isBuilt: true };
    await build(about, place, nats, lane, inUse.position, stop, onProgress);
    const anew = new FileSnapshot(place.path);
    let differences = 0;
    for (const table of stop.aborted ? [] : inUse.tables()) {
      for (const pair of inUse.differences(anew, table, shown)) {
        differences += 1;
        onDifference({ about, lane, ...pair });
      }
    }
    anew.close();
    return { position: inUse.position, differences };
  } finally {
    inUse.close();
    folder.remove();
  }
}

async function build(
  about: RowDifference['about'],
  place: LaneFilePlace,
  nats: Nats,
  lane: number,
  end: number,
  stop: AbortSignal,
  onProgress: (position: number, end: number) => void,
): Promise<void> {
  if (about === 'fan-out-state') {
    const state = new SqliteFanOutState(place);
    await foldInto(state, nats, lane, end, stop, onProgress).finally(() => state.close());
    return;
  }
  const { nc, jsm, inboxPrefix } = nats;
  const model = new SqliteReadModel(place);
  const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: lane });
  await foldLog(reader, model, end, ({ position }) => onProgress(position, end), stop).finally(() => model.close());
}

/** A roster as people read it; of one that is damaged the bytes. */
function shown(column: string, value: unknown): unknown {
  if (column !== 'roster' || !Buffer.isBuffer(value)) return value;
  try {
    const { members, joined, muted, requests, invites, blockers, ...rest } = decodeRoster(value);
    const lists = { members: [...members], joined: [...joined], muted: [...muted], requests: [...requests] };
    return { ...rest, ...lists, invites: [...invites], blockers: [...blockers] };
  } catch {
    return value;
  }
}
