/**
 * The fan-out worker: for each lane, the log in and the inboxes out. The story of a message's second half is
 * application/fan-out/lane.ts; here its parts are put together.
 */
import { join } from 'node:path';
import { JetstreamViewServer } from '../adapters/jetstream/between-processes/conversation-views.ts';
import { JetstreamLeases } from '../adapters/jetstream/between-processes/leases.ts';
import { connectNats, type Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamInboxWriter } from '../adapters/jetstream/inbox/inbox-writer.ts';
import { JetstreamDeadLetters } from '../adapters/jetstream/log/dead-letters.ts';
import { JetstreamLaneSource } from '../adapters/jetstream/log/lane-source.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { DerivedStreams } from '../adapters/jetstream/streams/derived-streams.ts';
import { infoOf } from '../adapters/jetstream/streams/stream-info.ts';
import { SqliteFanOutState } from '../adapters/sqlite/fan-out-state.ts';
import { failAt, noFailpoints } from '../adapters/system/failpoints.ts';
import type { FanOutStep } from '../application/fan-out/lane.ts';
import { LaneRunner } from '../application/fan-out/lane-runner.ts';
import type { Leases } from '../ports/leases.ts';
import type { Log } from '../ports/log.ts';
import { convStreamName } from '../protocol/subjects.ts';
import type { FanOutWorkerConfig } from './configuration/fan-out-worker.ts';

export interface FanOutWorker {
  /** Rejects when a lane ended by what no new term cures. */
  readonly ended: Promise<void>;
  drain(): Promise<void>;
}

export async function startFanOutWorker(config: FanOutWorkerConfig, log: Log): Promise<FanOutWorker> {
  const owner = crypto.randomUUID();
  const nats = await connectNats(config.nats, 'fan-out-worker', `fan-out ${owner}`, log);
  const leases = await JetstreamLeases.open(nats.nc);
  const lanes = await Promise.all(
    Array.from({ length: config.topology.convStreams }, (_, lane) => assemble(config, nats, leases, owner, lane, log)),
  );
  const ended = Promise.race([
    nats.ended,
    Promise.all(lanes.map(({ runner }) => runner.start())).then(() => undefined),
  ]);
  ended.catch((error: unknown) => log.error({ what: 'cannot go on', reason: String(error) }));
  log.info({ what: 'fan-out worker started', owner, lanes: lanes.length });
  const drain = async (): Promise<void> => {
    await Promise.all(lanes.map(({ runner }) => runner.drain()));
    for (const lane of lanes) lane.close();
    await nats.nc.drain();
    log.info({ what: 'fan-out worker drained', owner });
  };
  let draining: Promise<void> | undefined;
  return { ended, drain: () => (draining ??= drain()) };
}

async function assemble(
  { topology, stateDir, failpoint }: FanOutWorkerConfig,
  { nc, js, jsm, inboxPrefix }: Nats,
  leases: Leases,
  owner: string,
  lane: number,
  log: Log,
) {
  const { created } = await infoOf(jsm, convStreamName(lane));
  const state = new SqliteFanOutState({
    path: join(stateDir, `lane-${lane}.sqlite`),
    log: `${convStreamName(lane)} ${String(created)}`,
  });
  const derived = new DerivedStreams(jsm, topology);
  const failpoints = failpoint
    ? failAt(failpoint.step as FanOutStep, failpoint.times, failpoint.stallMs)
    : noFailpoints;
  const writers = Array.from(
    { length: topology.inboxStreams },
    (_, inboxStream) => new JetstreamInboxWriter({ nc, js, jsm, inboxPrefix, derived, lane, inboxStream, failpoints }),
  );
  const runner = new LaneRunner({
    lane,
    topology,
    owner,
    leases,
    source: new JetstreamLaneSource({ nc, jsm, derived, convStream: lane, inbox: `${inboxPrefix}.pull.${lane}` }),
    reader: new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: lane }),
    writers,
    state,
    deadLetters: new JetstreamDeadLetters(js),
    views: new JetstreamViewServer(nc, log),
    failpoints,
    monotonicMs: () => performance.now(),
    log,
  });
  return {
    runner,
    close() {
      for (const writer of writers) writer.stop();
      state.close();
    },
  };
}
