/** What is derived from the log built anew while it serves: inbox streams by their workers, state files beside those in use. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import { checkpointed } from '../adapters/jetstream/between-processes/lane-standing.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { DerivedStreams } from '../adapters/jetstream/streams/derived-streams.ts';
import { SqliteFanOutState } from '../adapters/sqlite/fan-out-state.ts';
import { lockFolder } from '../adapters/sqlite/folder-lock.ts';
import { buildingFolder, publishRebuilt, removeDatabase, whenTaken } from '../adapters/sqlite/rebuilt-file.ts';
import { refuseOther } from '../adapters/sqlite/usable.ts';
import { readOn } from '../application/replay/followed-log.ts';
import { isUnreadable, type LogEvent } from '../ports/conversation-log.ts';
import { foldReadable } from '../projections/fan-out.ts';
import { inboxStreamName, type Topology } from '../protocol/subjects.ts';
import { lanePlace } from './read-model-files.ts';

const WINDOW_EVENTS = 5_000;
const POLL_MS = 100;
/** A worker that runs has made the stream anew by then. */
const MADE_WITHIN_MS = 6_000;
/** A stream that did not grow for so long has no worker any more. */
const STUCK_AFTER_MS = 30_000;

export interface RebuildingParts {
  readonly nats: Nats;
  readonly topology: Topology;
  readonly stop: AbortSignal;
  readonly onProgress: (position: number, end: number) => void;
  /** Called when a file that was built counts, whatever comes: an abort is too late from then on. */
  readonly onPublished?: () => void;
  /** As of `LaneParts`. */
  readonly onWaiting?: () => void;
}

export interface RebuiltInbox {
  readonly inboxStream: string;
  /** By lane: up to which position the stream is complete. */
  readonly checkpoints: readonly number[];
  /** Whether all that stood in the log at the start is in it now; false where no worker runs, or on Ctrl-C. */
  readonly isComplete: boolean;
}

/**
 * Deletes the stream; the lanes' workers, whose terms end with it, make it anew and write it from the log's beginning, and
 * gateways send their devices back to the log for what they have not seen. From the deletion on nothing of it hangs on this process.
 * @throws RookeryError LOG_UNAVAILABLE
 */
export async function rebuildInbox(
  { nats, topology, stop, onProgress }: RebuildingParts,
  k: number,
): Promise<RebuiltInbox> {
  const { nc, jsm, inboxPrefix } = nats;
  const ends: number[] = [];
  for (let lane = 0; lane < topology.convStreams; lane++) {
    ends.push(await new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: lane }).lastPos());
  }
  await jsm.streams.delete(inboxStreamName(k)).catch(() => false);
  const isMade = await made(jsm, k, stop);
  // Gateways need it also where no worker runs.
  if (!isMade) await new DerivedStreams(jsm, topology).createInbox(k, 0);
  const end = ends.reduce((sum, last) => sum + last, 0);
  let movedAt = performance.now();
  for (let sum = -1; ; ) {
    const checkpoints: number[] = [];
    for (let lane = 0; lane < ends.length; lane++) checkpoints.push((await checkpointed(jsm, lane, k)) ?? 0);
    const written = checkpoints.reduce((total, to, lane) => total + Math.min(to, ends[lane] ?? 0), 0);
    onProgress(written, end);
    if (written > sum) movedAt = performance.now();
    sum = written;
    const isComplete = written >= end;
    const isStuck = !isMade || performance.now() - movedAt > STUCK_AFTER_MS;
    if (isComplete || isStuck || stop.aborted) return { inboxStream: inboxStreamName(k), checkpoints, isComplete };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A worker looks after its term once a second, finds the stream gone, and makes it anew. */
async function made(jsm: JetStreamManager, k: number, stop: AbortSignal): Promise<boolean> {
  for (const startedMs = performance.now(); performance.now() - startedMs < MADE_WITHIN_MS && !stop.aborted; ) {
    const isThere = await jsm.streams.info(inboxStreamName(k)).then(
      () => true,
      () => false,
    );
    if (isThere) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

export interface RebuiltState {
  readonly lane: number;
  readonly position: number;
  readonly seconds: number;
  /** Whether a worker has taken it; else it does so when it starts. */
  readonly inUse: boolean;
}

/**
 * A fan-out worker's state file folded anew up to what all inbox streams have confirmed. The worker takes it with a new term, which begins
 * at once.
 * @throws RookeryError ALREADY_RUNNING, LOG_UNAVAILABLE, STATE_FILE_UNUSABLE; undefined when `stop` aborted: nothing has changed
 */
export async function rebuildFanOutState(
  { nats, topology, stop, onProgress, onPublished, onWaiting }: RebuildingParts,
  stateDir: string,
  lane: number,
): Promise<RebuiltState | undefined> {
  const { path, log } = await lanePlace(stateDir, nats, lane);
  refuseOther(path, { log, kind: 'fan-out state' });
  const folder = buildingFolder(stateDir);
  mkdirSync(folder, { recursive: true });
  const lock = lockFolder(folder);
  const startedMs = performance.now();
  try {
    const built = join(folder, `lane-${lane}.sqlite`);
    removeDatabase(built);
    const end = await confirmedPosition({ nats, topology }, lane);
    const state = new SqliteFanOutState({ path: built, log, isBuilt: true });
    try {
      await foldInto(state, nats, lane, end, stop, onProgress);
    } finally {
      state.close();
    }
    if (stop.aborted) {
      removeDatabase(built);
      return undefined;
    }
    const seconds = (performance.now() - startedMs) / 1_000;
    publishRebuilt(built, path);
    onPublished?.();
    return { lane, position: end, seconds, inUse: existsSync(path) && (await whenTaken(path, onWaiting)) };
  } finally {
    lock.release();
  }
}

/** Up to where every inbox stream is complete, and the log still goes. */
export async function confirmedPosition({ nats, topology }: Pick<RebuildingParts, 'nats' | 'topology'>, lane: number) {
  const { nc, jsm, inboxPrefix } = nats;
  let end = await new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: lane }).lastPos();
  for (let k = 0; k < topology.inboxStreams; k++) end = Math.min(end, (await checkpointed(jsm, lane, k)) ?? 0);
  return end;
}

export async function foldInto(
  state: SqliteFanOutState,
  { nc, jsm, inboxPrefix }: Nats,
  lane: number,
  end: number,
  stop: AbortSignal,
  onProgress: (position: number, end: number) => void,
): Promise<void> {
  let window: LogEvent[] = [];
  let read = 0;
  const fold = (): void => {
    state.apply(foldReadable(state, window).changes, read);
    state.commit(read);
    window = [];
    onProgress(read, end);
  };
  for await (const record of readOn(new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: lane }), 1, end, stop)) {
    if (!isUnreadable(record)) window.push(record);
    read = record.pos;
    if (window.length === WINDOW_EVENTS) fold();
  }
  if (!stop.aborted && read > state.position) fold();
}
