/** Places in a CONV stream by the times of its events: where it stood at a time. */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Msg } from '@nats-io/nats-core';
import { convStreamName } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type PulledSpanParts, pulls } from '../messages/pulled-span.ts';
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
 * When the event at `pos` happened, or the next one that is there: milliseconds since 1970; undefined behind the end.
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function happenedTime(
  jsm: JetStreamManager,
  stream: string,
  pos: number,
): Promise<{ readonly pos: number; readonly at: number } | undefined> {
  const found = await messageFrom(jsm, stream, pos);
  return found ? { pos: found.seq, at: happenedAtMsIn(found.header, found.time.getTime()) } : undefined;
}

/**
 * Since when the message at `pos`, or the next one that is there, has stood in the stream: milliseconds since 1970. Not when it
 * happened: an event that was imported waits since its import.
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function waitingSince(jsm: JetStreamManager, stream: string, pos: number): Promise<number | undefined> {
  return (await messageFrom(jsm, stream, pos))?.time.getTime();
}

const messageFrom = (jsm: JetStreamManager, stream: string, pos: number) =>
  answered(stream, jsm.direct.getMessage(stream, { next_by_subj: '>', seq: pos }));

/**
 * Up to where nothing had happened later than `at`: the position before the first event that had; 0 or the one before the first kept where
 * that is the first. The stream's own times only grow, so what it had stored by then is found with some twenty questions. What it stored later
 * may still have happened before, where it was imported: from there on times are read one by one, up to the first that is later.
 * A log whose leader changed may have a clock that goes back a little: then it is one of the places where that time was.
 * @param at milliseconds since 1970
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function lastPosAt(parts: PulledSpanParts, stream: string, at: number): Promise<number> {
  const { jsm } = parts;
  const { state } = await answered(stream, jsm.streams.info(stream));
  let [low, high] = [Math.max(1, state.first_seq), state.last_seq + 1];
  // The first position stored later than `at` lies in low … high.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await messageFrom(jsm, stream, middle);
    if (!found || found.time.getTime() > at) high = middle;
    else low = found.seq + 1;
  }
  const next = await happenedTime(jsm, stream, low);
  if (!next || next.at > at) return low - 1;
  return (await firstLater(parts, stream, { from: low, to: state.last_seq, at })) - 1;
}

/** Headers alone are read: some hundred thousand a second. */
async function firstLater(
  parts: PulledSpanParts,
  stream: string,
  { from, to, at }: { readonly from: number; readonly to: number; readonly at: number },
): Promise<number> {
  let later: number | undefined;
  const take = (message: Msg, { streamSeq, atMs }: Delivery): void => {
    if (later === undefined && happenedAtMsIn(message.headers, atMs) > at) later = streamSeq;
  };
  for await (const _ of pulls(parts, { stream, from, to, headersOnly: true }, take)) if (later !== undefined) break;
  return later ?? to + 1;
}
