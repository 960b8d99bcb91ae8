/**
 * The read-model worker: the log in, rows that can be asked out. What it does to a lane's events is
 * application/read-model/read-model-lane.ts; here its parts are put together. A second worker, with a folder of its own, is a
 * replica: neither knows of the other.
 */
import { JetstreamReadModelServer } from '../adapters/jetstream/between-processes/read-models.ts';
import { answerStanding } from '../adapters/jetstream/between-processes/standing.ts';
import { connectNats, type Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamLogFollower } from '../adapters/jetstream/log/log-follower.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { HeldFolder } from '../adapters/sqlite/held-folder.ts';
import { SqliteReadModel } from '../adapters/sqlite/read-model.ts';
import { isRebuilt } from '../adapters/sqlite/rebuilt-file.ts';
import { failAt, noFailpoints } from '../adapters/system/failpoints.ts';
import { ReadModelLane, type ReadModelStep } from '../application/read-model/read-model-lane.ts';
import type { Log } from '../ports/log.ts';
import type { ReadModelWorkerConfig } from './configuration/read-model-worker.ts';
import { lanePlace, workerOf } from './read-model-files.ts';

export interface ReadModelWorker {
  /** Rejects when a lane ended by what following its log anew does not cure. */
  readonly ended: Promise<void>;
  drain(): Promise<void>;
}

/** @throws RookeryError ALREADY_RUNNING when another process has the folder, and what connecting throws */
export async function startReadModelWorker(config: ReadModelWorkerConfig, log: Log): Promise<ReadModelWorker> {
  let lanes: readonly Assembled[] = [];
  const folder = new HeldFolder({
    ...{ folder: config.stateDir, log },
    onRebuilt: () => takeIf(lanes, ({ path }) => isRebuilt(path), 'rebuilt file found'),
    onLook: () => takeIf(lanes, ({ model }) => model.isTakenAway, 'file was taken away'),
  });
  const nats = await connectNats(config.nats, 'read-model-worker', 'read-model', log);
  // Answers go over a connection of their own: what follows the log does not wait behind large ones.
  const asked = await connectNats(config.nats, 'read-model-worker', 'read-model questions', log).catch(
    async (error: unknown) => {
      await nats.nc.close();
      throw error;
    },
  );
  const server = new JetstreamReadModelServer(asked.nc, log);
  lanes = await Promise.all(
    Array.from({ length: config.topology.convStreams }, (_, lane) => assemble(config, nats, server, lane, log)),
  );
  const standing = answerStanding(nats.nc, 'read-model', workerOf(config.stateDir), () =>
    lanes.map(({ model, isCurrent }, lane) => ({ lane, position: model.position, isServing: isCurrent() })),
  );
  const ended = Promise.race([
    nats.ended,
    asked.ended,
    folder.lost,
    Promise.all(lanes.map(({ lane }) => lane.start())).then(() => undefined),
  ]);
  ended.catch((error: unknown) => log.error({ what: 'cannot go on', reason: String(error) }));
  // Of what came since the files were opened nobody was told.
  folder.look();
  log.info({ what: 'read-model worker started', lanes: lanes.length });
  const drain = async (): Promise<void> => {
    standing.stop();
    for (const { stopServing } of lanes) stopServing();
    await asked.nc.drain();
    await Promise.all(lanes.map(({ lane }) => lane.drain()));
    for (const { model } of lanes) model.close();
    await nats.nc.drain();
    folder.release();
    log.info({ what: 'read-model worker drained' });
  };
  let draining: Promise<void> | undefined;
  return { ended, drain: () => (draining ??= drain()) };
}

type Assembled = Awaited<ReturnType<typeof assemble>>;

/** What stands at the place of a lane's file, or is about to, instead of the one that is open. */
function takeIf(lanes: readonly Assembled[], isAnother: (lane: Assembled) => boolean, what: string): void {
  for (const assembled of lanes) {
    if (!isAnother(assembled)) continue;
    assembled.log.info({ what, path: assembled.path });
    assembled.lane.takeRebuilt();
  }
}

async function assemble(
  { stateDir, failpoint }: ReadModelWorkerConfig,
  { nc, js, jsm, inboxPrefix }: Nats,
  server: JetstreamReadModelServer,
  convStream: number,
  log: Log,
) {
  const place = await lanePlace(stateDir, { jsm }, convStream);
  const model = new SqliteReadModel(place);
  // A worker that is behind gives no stale answers: others, or nobody, answer until it has caught up.
  let serving: { stop(): void } | undefined;
  const lane = new ReadModelLane({
    lane: convStream,
    model,
    follower: new JetstreamLogFollower({ nc, js, jsm, convStream, log }),
    reader: new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream }),
    failpoints: failpoint ? failAt(failpoint.step as ReadModelStep, failpoint.times) : noFailpoints,
    log,
    onCurrent(isCurrent) {
      serving?.stop();
      serving = isCurrent ? server.serve(convStream, model) : undefined;
      log.info({ what: isCurrent ? 'lane current' : 'lane begins anew', lane: convStream });
    },
  });
  return {
    lane,
    model,
    log,
    path: place.path,
    isCurrent: () => serving !== undefined,
    stopServing: () => serving?.stop(),
  };
}
