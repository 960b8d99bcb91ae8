/** Places in a CONV stream by the times of its events: where it stood at a time. */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Msg } from '@nats-io/nats-core';
import { convStreamName } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type PulledSpan, type PulledSpanParts, pulls } from '../messages/pulled-span.ts';
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
 * The last position that was stored by `at`; 0 or the one before the first kept where there is none. The stream's own times only grow, so
 * some twenty questions find it; where its leader changed its clock may go back a little: then it is one of the places where that time was.
 * @param at milliseconds since 1970
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
async function lastStoredAt(jsm: JetStreamManager, stream: string, at: number): Promise<number> {
  const { state } = await answered(stream, jsm.streams.info(stream));
  let [low, high] = [Math.max(1, state.first_seq), state.last_seq + 1];
  // The first position stored later than `at` lies in low … high.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await messageFrom(jsm, stream, middle);
    if (!found || found.time.getTime() > at) high = middle;
    else low = found.seq + 1;
  }
  return low - 1;
}

/**
 * Up to where nothing had happened later than `at`: the position before the first event that had; 0 or the one before the first kept where
 * that is the first. What was stored later than `at` may still have happened before, where it was imported: from there on times are read one
 * by one, up to the first that is later.
 * @param at milliseconds since 1970
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function lastPosAt(parts: PulledSpanParts, stream: string, at: number): Promise<number> {
  const { jsm } = parts;
  const stored = await lastStoredAt(jsm, stream, at);
  const next = await happenedTime(jsm, stream, stored + 1);
  if (!next || next.at > at) return stored;
  const { state } = await answered(stream, jsm.streams.info(stream));
  const span = { stream, from: stored + 1, to: state.last_seq };
  return ((await firstOf(parts, span, (other) => other > at)) ?? state.last_seq + 1) - 1;
}

/** What is imported may be so much later than the clock that stores it (application/foreign/report.ts). */
const MAX_CLOCK_SKEW_MS = 5 * 60_000;

/**
 * The first position at which something may stand that happened at `at` or later: what happened then was stored then or later, but for what
 * was imported by another clock. Of those minutes before the times are read.
 * @param at milliseconds since 1970
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function firstPosFrom(parts: PulledSpanParts, stream: string, at: number): Promise<number> {
  const from = (await lastStoredAt(parts.jsm, stream, at - MAX_CLOCK_SKEW_MS)) + 1;
  const to = await lastStoredAt(parts.jsm, stream, at - 1);
  return (await firstOf(parts, { stream, from, to }, (other) => other >= at)) ?? to + 1;
}

/**
 * Whether an event that stands behind `pos` had happened by `at`: it was merged into the log. Reads the times of what stands there.
 * @param at milliseconds since 1970
 * @param subjects only what matches one of these
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function hasEarlierBehind(
  parts: PulledSpanParts,
  stream: string,
  { pos, at, subjects, stop }: EarlierBehind,
): Promise<boolean> {
  const { state } = await answered(stream, parts.jsm.streams.info(stream));
  const span = { stream, from: pos + 1, to: state.last_seq, subjects };
  return (await firstOf(parts, span, (other) => other <= at, stop)) !== undefined;
}

export interface EarlierBehind {
  readonly pos: number;
  readonly at: number;
  readonly subjects?: readonly string[] | undefined;
  readonly stop: AbortSignal;
}

/** The first event whose time is such a one. Headers alone are read: some hundred thousand a second. */
async function firstOf(
  parts: PulledSpanParts,
  span: PulledSpan,
  isWanted: (at: number) => boolean,
  stop?: AbortSignal,
): Promise<number | undefined> {
  let found: number | undefined;
  const take = (message: Msg, { streamSeq, atMs }: Delivery): void => {
    if (found === undefined && isWanted(happenedAtMsIn(message.headers, atMs))) found = streamSeq;
  };
  for await (const _ of pulls(parts, { ...span, headersOnly: true }, take))
    if (found !== undefined || stop?.aborted) break;
  return found;
}
