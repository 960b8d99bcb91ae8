/** A read-model worker's files from outside the worker: what they are, whether they are right, and built anew while it runs. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { askStanding } from '../adapters/jetstream/between-processes/standing.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { infoOf } from '../adapters/jetstream/streams/stream-info.ts';
import { holderOf, lockFolder } from '../adapters/sqlite/folder-lock.ts';
import type { LaneFilePlace } from '../adapters/sqlite/lane-file.ts';
import { ReadModelSnapshot, type RowDifference, type TableDigest } from '../adapters/sqlite/read-model-digests.ts';
import {
  buildingFolder,
  publishRebuilt,
  removeDatabase,
  takeRebuilt,
  whenTaken,
} from '../adapters/sqlite/rebuilt-file.ts';
import { refuseOther } from '../adapters/sqlite/usable.ts';
import { asRookeryError, RookeryError } from '../protocol/error-codes.ts';
import { convStreamName } from '../protocol/subjects.ts';
import type { ReadModelWorkerConfig } from './configuration/read-model-worker.ts';
import { ReadModelBuilder } from './read-model-builder.ts';

export interface LaneParts {
  readonly config: Pick<ReadModelWorkerConfig, 'stateDir'>;
  readonly nats: Nats;
  readonly lane: number;
  /** In a status: read every row. */
  readonly withDigest: boolean;
  readonly onProgress: (position: number, end: number) => void;
  /** Aborted: nothing more is built, and nothing put in its place. */
  readonly stop?: AbortSignal;
  /** Called when what was built counts, whatever comes: an abort is too late from then on. */
  readonly onPublished?: () => void;
  /** Called once when the worker that has the folder does not take what was built as soon as it should. */
  readonly onWaiting?: () => void;
}

const MAX_OPENINGS = 3;

const lanePath = (stateDir: string, lane: number): string => join(stateDir, `lane-${lane}.sqlite`);

/** By which the worker of a folder of this machine is known to others. */
export const workerOf = (stateDir: string): string => `${hostname()}:${resolve(stateDir)}`;

/** Whether the worker of a folder of this machine works on its files: `silent` is one that is there and does not answer. */
export async function workOn({ nc }: Pick<Nats, 'nc'>, stateDir: string): Promise<'works' | 'silent' | 'none'> {
  const id = workerOf(stateDir);
  if ((await askStanding(nc)).some((told) => told.id === id)) return 'works';
  return holderOf(stateDir) === undefined ? 'none' : 'silent';
}

/** @throws when the stream is not there, or cannot be asked */
export async function lanePlace(stateDir: string, { jsm }: Pick<Nats, 'jsm'>, lane: number): Promise<LaneFilePlace> {
  const stream = convStreamName(lane);
  const { created } = await infoOf(jsm, stream);
  return { path: lanePath(stateDir, lane), log: `${stream} ${String(created)}` };
}

export async function statusOf({ config, nats, lane, withDigest }: LaneParts) {
  const snapshot = opened(await lanePlace(config.stateDir, nats, lane));
  const path = lanePath(config.stateDir, lane);
  try {
    const { position, schema } = snapshot;
    // Tables without a version of their own stand there as nothing behind a dot.
    const version = schema.replace(/\.+$/, '');
    const lag = (await readerOf(nats, lane).lastPos()) - position;
    const bytes = ['', '-wal'].reduce((sum, suffix) => sum + (sizeOf(path + suffix) ?? 0), 0);
    const digest = withDigest ? digestOf(snapshot.digests()) : undefined;
    return { lane, position, lag, bytes, version, ...(digest !== undefined && { digest }) };
  } finally {
    snapshot.close();
  }
}

/** Beside a worker that goes on writing: what it holds is compared as it was at the start. @returns undefined when `stop` aborted */
export async function verify({ config, nats, lane, onProgress, stop }: LaneParts) {
  const place = await lanePlace(config.stateDir, nats, lane);
  const { log } = place;
  // Before: what comes while it is read is nothing that its worker lacks.
  const end = await readerOf(nats, lane).lastPos();
  const inUse = opened(place);
  const folder = buildingFolder(config.stateDir);
  mkdirSync(folder, { recursive: true });
  const lock = lockFolder(folder);
  const built = join(folder, `verify-${lane}.sqlite`);
  try {
    removeDatabase(built);
    await building({ path: built, log, isBuilt: true }, stop, async (builder) => {
      await builder.foldUpTo(readerOf(nats, lane), inUse.position, ({ position, end }) => onProgress(position, end));
    });
    if (stop?.aborted) return undefined;
    return { lane, lag: Math.max(0, end - inUse.position), ...compared(inUse, built) };
  } finally {
    inUse.close();
    removeDatabase(built);
    lock.release();
  }
}

interface Comparison {
  readonly position: number;
  readonly same: boolean;
  readonly tables: readonly TableDigest[];
  readonly difference?: RowDifference;
}

function compared(inUse: ReadModelSnapshot, built: string): Comparison {
  const anew = new ReadModelSnapshot(built);
  try {
    const [tables, others] = [inUse.digests(), anew.digests()];
    const wrong = tables.find(({ digest }, i) => digest !== others[i]?.digest);
    const difference = wrong && inUse.firstDifference(anew, wrong.table);
    return { position: inUse.position, same: !wrong, tables, ...(difference && { difference }) };
  } finally {
    anew.close();
  }
}

/**
 * Builds beside the file in use, up to the log's end, and puts it in its place: by itself where no worker runs, else the worker
 * does, between two windows. Killed at any moment it leaves the one file or the other.
 * @returns undefined when `stop` aborted before: nothing has changed
 * @throws RookeryError ALREADY_RUNNING when another rebuild is under way · STATE_FILE_UNUSABLE as `refuseOther`
 */
export async function rebuild({ config, nats, lane, onProgress, stop, onPublished, onWaiting }: LaneParts) {
  const { stateDir } = config;
  const { path, log } = await lanePlace(stateDir, nats, lane);
  refuseOther(path, { log, kind: 'read model' });
  const folder = buildingFolder(stateDir);
  mkdirSync(folder, { recursive: true });
  const lock = lockFolder(folder);
  const startedMs = performance.now();
  try {
    const built = join(folder, `lane-${lane}.sqlite`);
    removeDatabase(built);
    await building({ path: built, log, isBuilt: true }, stop, async (builder) => {
      const reader = readerOf(nats, lane);
      // What came while it was built is little, and what comes while that is read is next to nothing.
      for (const _ of ['the past', 'what came meanwhile']) {
        await builder.foldUpTo(reader, await reader.lastPos(), ({ position, end }) => onProgress(position, end));
      }
    });
    if (stop?.aborted) {
      removeDatabase(built);
      return undefined;
    }
    const seconds = Math.round(performance.now() - startedMs) / 1_000;
    const { position } = sized(built);
    publishRebuilt(built, path);
    onPublished?.();
    return { lane, position, seconds, ...(await taken(stateDir, path, onWaiting)) };
  } finally {
    lock.release();
  }
}

/** Closed when this resolves, and good for something unless `stop` aborted. */
async function building(
  place: LaneFilePlace,
  stop: AbortSignal | undefined,
  work: (builder: ReadModelBuilder) => Promise<void>,
): Promise<void> {
  if (stop?.aborted) return;
  const builder = new ReadModelBuilder(place);
  const abandon = (): void => builder.abandon();
  stop?.addEventListener('abort', abandon);
  try {
    await work(builder).finally(() => builder.close());
  } finally {
    stop?.removeEventListener('abort', abandon);
  }
}

function sized(built: string): { readonly position: number } {
  const snapshot = new ReadModelSnapshot(built);
  try {
    return { position: snapshot.position };
  } finally {
    snapshot.close();
  }
}

interface Taken {
  /** By a worker, now. */
  readonly inUse: boolean;
  /** Process that has the folder and has not taken the file yet: it does not answer. */
  readonly holder?: number;
}

/** Where nobody has the folder, the rebuilt file is put in its place for the worker that will. */
async function taken(stateDir: string, path: string, onWaiting?: () => void): Promise<Taken> {
  try {
    const lock = lockFolder(stateDir);
    takeRebuilt(path);
    lock.release();
    return { inUse: false };
  } catch (thrown) {
    if (asRookeryError(thrown).code !== 'ALREADY_RUNNING') throw thrown;
  }
  const inUse = await whenTaken(path, onWaiting);
  const holder = inUse ? undefined : holderOf(stateDir);
  return { inUse, ...(holder !== undefined && { holder }) };
}

/** @throws RookeryError NOT_FOUND, STATE_FILE_UNUSABLE as `refuseOther` */
function opened({ path, log }: LaneFilePlace): ReadModelSnapshot {
  if (!existsSync(path)) throw new RookeryError('NOT_FOUND', `there is no read model at ${path}`);
  refuseOther(path, { log, kind: 'read model' });
  return snapshotOf(path);
}

/** Where a worker puts a rebuilt file in its place just then, SQLite finds another one than it has opened, and says so: once more. */
function snapshotOf(path: string): ReadModelSnapshot {
  for (let tries = 1; ; tries++) {
    try {
      return new ReadModelSnapshot(path);
    } catch (thrown) {
      if (tries === MAX_OPENINGS || !String((thrown as { code?: unknown }).code).startsWith('SQLITE_READONLY'))
        throw thrown;
    }
  }
}

const readerOf = ({ nc, jsm, inboxPrefix }: Nats, convStream: number): JetstreamLogReader =>
  new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream });

const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;

/** Of all tables together. */
const digestOf = (tables: readonly TableDigest[]): string =>
  createHash('sha256')
    .update(tables.map(({ table, digest }) => `${table} ${digest}`).join('\n'))
    .digest('hex');
