/** What of a record the streams of the log take, so that it can be asked before any is written. */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { RecordLimits } from '../../../ports/archive.ts';
import { answered } from '../answered.ts';
import { ORIGINAL_TIME, ORIGINAL_TIME_DIGITS } from '../log/original-time.ts';
import { MAX_HOLE } from './record-appender.ts';
import { KEPT_MESSAGE_ID } from './record-reader.ts';

/** "header size exceeds maximum allowed of 64k": its length is kept in 16 bits. */
const MAX_HEADER_BYTES = 65_535;
/** What goes with each record; a position of as many digits as there are. */
const ADDED_BYTES =
  `NATS/1.0\r\n${KEPT_MESSAGE_ID}: \r\nNats-Expected-Last-Sequence: ${Number.MAX_SAFE_INTEGER}\r\n${ORIGINAL_TIME}: \r\n\r\n`
    .length + ORIGINAL_TIME_DIGITS;

/** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
export async function recordLimits(
  nc: NatsConnection,
  jsm: JetStreamManager,
  names: readonly string[],
): Promise<RecordLimits> {
  const infos = await Promise.all(names.map((name) => answered(name, jsm.streams.info(name))));
  const ofStreams = infos.map(({ config }) => config.max_msg_size).filter((bytes) => bytes > 0);
  const bytes = Math.min(nc.info?.max_payload ?? Number.POSITIVE_INFINITY, ...ofStreams);
  return {
    bytes: bytes - ADDED_BYTES,
    headerBytes: MAX_HEADER_BYTES - ADDED_BYTES,
    holePositions: MAX_HOLE,
  };
}
