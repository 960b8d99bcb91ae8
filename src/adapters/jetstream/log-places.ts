/** Places in a CONV stream by the log's own clock: where it stood at a time. */
import type { JetStreamManager } from '@nats-io/jetstream';
import { convStreamName } from '../../protocol/subjects.ts';
import { answered } from './answered.ts';
import { happenedAtMsIn } from './original-time.ts';

export interface LogBounds {
  /** The oldest position still kept; last + 1 when nothing is. */
  readonly first: number;
  /** The newest position ever given; 0 for none. */
  readonly last: number;
}

/** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
export async function logBounds(jsm: JetStreamManager, convStream: number): Promise<LogBounds> {
  const stream = convStreamName(convStream);
  const { state } = await answered(stream, jsm.streams.info(stream));
  return { first: Math.max(1, state.first_seq), last: state.last_seq };
}

/**
 * When the stream stored the event at `pos`, or the next one that is there: milliseconds since 1970; undefined behind the end.
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function storedTime(
  jsm: JetStreamManager,
  stream: string,
  pos: number,
): Promise<{ readonly pos: number; readonly at: number } | undefined> {
  const found = await answered(stream, jsm.direct.getMessage(stream, { next_by_subj: '>', seq: pos }));
  return found ? { pos: found.seq, at: happenedAtMsIn(found.header, found.time.getTime()) } : undefined;
}

/**
 * The newest position stored at `at` or before; the one before the first where all is newer. Some twenty questions to the server.
 * A log whose leader changed may have a clock that goes back a little: then it is one of the places where that time was.
 * @param at milliseconds since 1970
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function lastPosAt(jsm: JetStreamManager, stream: string, at: number): Promise<number> {
  const { state } = await answered(stream, jsm.streams.info(stream));
  let [low, high] = [Math.max(1, state.first_seq), state.last_seq + 1];
  // The first position stored later than `at` lies in low … high.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await storedTime(jsm, stream, middle);
    if (!found || found.at > at) high = middle;
    else low = found.pos + 1;
  }
  return low - 1;
}
