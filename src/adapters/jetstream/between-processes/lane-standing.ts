/** Where a lane's fan-out stands, as the server knows it: what was acked, and up to where each INBOX stream is complete. */
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { decodeOrigin } from '../../../protocol/inbox-record.ts';
import { checkpointSubject, convStreamName, inboxStreamName, type Topology } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { FAN_OUT_DURABLE } from '../log/lane-source.ts';
import { waitingSince } from '../log/log-places.ts';

export interface FanOutStanding {
  readonly lane: number;
  /** Position up to which all events are acked: in the inboxes, and in the worker's state file. */
  readonly acked: number;
  /** Events behind it. */
  readonly lag: number;
  /** For how long the oldest of these has been in the log; 0 where there is none. */
  readonly lagMs: number;
  readonly redelivered: number;
  /** By INBOX stream: the end of the newest window that is complete there; undefined where the stream is missing. */
  readonly checkpoints: readonly (number | undefined)[];
  /** Id of the worker that holds the lane's lease, if any. */
  readonly holder: string | undefined;
}

/** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
export async function fanOutStanding(
  jsm: JetStreamManager,
  lane: number,
  { inboxStreams }: Topology,
  now: number,
): Promise<FanOutStanding> {
  const stream = convStreamName(lane);
  const { state } = await answered(stream, jsm.streams.info(stream));
  const consumer = await unlessMissing(jsm.consumers.info(stream, FAN_OUT_DURABLE), JetStreamApiCodes.ConsumerNotFound);
  const acked = consumer?.ack_floor.stream_seq ?? 0;
  const oldest = acked < state.last_seq ? await waitingSince(jsm, stream, acked + 1) : undefined;
  const checkpoints: (number | undefined)[] = [];
  for (let k = 0; k < inboxStreams; k++) checkpoints.push(await checkpointed(jsm, lane, k));
  return {
    ...{ lane, acked, checkpoints },
    lag: state.last_seq - acked,
    lagMs: oldest === undefined ? 0 : Math.max(0, now - oldest),
    redelivered: consumer?.num_redelivered ?? 0,
    holder: await laneHolder(jsm, lane),
  };
}

/** Id of the worker that holds a lane's lease, if any. */
export async function laneHolder(jsm: JetStreamManager, lane: number): Promise<string | undefined> {
  const lease = await unlessMissing(
    jsm.streams.getMessage('KV_leases', { last_by_subj: `$KV.leases.fan-out.${lane}` }),
    JetStreamApiCodes.StreamNotFound,
  );
  return lease && lease.data.length > 0 ? new TextDecoder().decode(lease.data) : undefined;
}

/** Up to where an INBOX stream holds all of a lane; 0 for nothing, undefined where there is no such stream. */
export async function checkpointed(
  jsm: JetStreamManager,
  lane: number,
  inboxStream: number,
): Promise<number | undefined> {
  const query = { last_by_subj: checkpointSubject(lane, inboxStream) };
  const asked = jsm.streams.getMessage(inboxStreamName(inboxStream), query);
  const found = await unlessMissing(asked, JetStreamApiCodes.StreamNotFound);
  return found === undefined ? undefined : found === null ? 0 : decodeOrigin(found.data).to;
}

async function unlessMissing<T>(asked: Promise<T>, code: number): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === code) return undefined;
    return answered('JetStream', Promise.reject(error));
  }
}
