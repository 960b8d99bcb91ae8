/** A part of an INBOX stream, once, in order: for who looks into it from outside, as the command line does. */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Msg } from '@nats-io/nats-core';
import type { InboxMessage } from '../../../ports/inbox-reader.ts';
import { inboxStreamName } from '../../../protocol/subjects.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type PulledSpanParts, readSpan } from '../messages/pulled-span.ts';
import { resumed } from '../messages/resumed.ts';
import { infoOf } from '../streams/stream-info.ts';
import { toInboxMessage } from './inbox-reader.ts';

/** A stream that drops its oldest keeps itself about this full; one that is emptier was emptied by somebody. */
const FULL_SHARE = 0.9;
/** What is nearly this old may be gone by the time it is looked at. */
const OLD_SHARE = 0.98;

/** What is kept of it, and how much it may keep. */
export interface InboxBounds {
  /** The oldest sequence still kept; last + 1 when nothing is. */
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** Infinity for none. */
  readonly maxBytes: number;
  /** Infinity for none. */
  readonly maxAgeMs: number;
}

/** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
export async function inboxBounds(jsm: JetStreamManager, inboxStream: number): Promise<InboxBounds> {
  const { state, config } = await infoOf(jsm, inboxStreamName(inboxStream));
  return {
    first: Math.max(1, state.first_seq),
    last: state.last_seq,
    bytes: state.bytes,
    maxBytes: config.max_bytes > 0 ? config.max_bytes : Number.POSITIVE_INFINITY,
    maxAgeMs: config.max_age > 0 ? config.max_age / 1e6 : Number.POSITIVE_INFINITY,
  };
}

/** Whether a stream may have dropped what came of an event of that time: milliseconds since 1970. */
export function dropping({ first, bytes, maxBytes, maxAgeMs }: InboxBounds): (at: number) => boolean {
  const isFull = bytes >= maxBytes * FULL_SHARE;
  return (at) => first > 1 && (isFull || at < Date.now() - maxAgeMs * OLD_SHARE);
}

/** As `readInboxSpan`, but a server that restarts or a connection that is lost does not end it. */
export async function* readInboxOn(
  parts: PulledSpanParts,
  inboxStream: number,
  from: number,
  to: number,
  stop: AbortSignal,
  subjects?: readonly string[],
): AsyncGenerator<InboxMessage> {
  let next = from;
  const messages = resumed(
    () => next,
    () => readInboxSpan(parts, inboxStream, next, to, subjects),
  );
  for await (const message of messages) {
    if (stop.aborted) return;
    next = message.seq + 1;
    yield message;
  }
}

/**
 * Messages from `from` to `to`, both included, as far as they are there; their data is the reader's own. Something must be there
 * at `to` or behind it.
 * @param subjects undefined: whatever their subjects
 * @throws RookeryError STREAM_MISSING; LOG_UNAVAILABLE when it was interrupted
 */
export async function* readInboxSpan(
  parts: PulledSpanParts,
  inboxStream: number,
  from: number,
  to: number,
  subjects?: readonly string[],
): AsyncGenerator<InboxMessage & { readonly at: number }> {
  yield* readSpan(parts, { stream: inboxStreamName(inboxStream), from, to, subjects }, ownMessage);
}

const ownMessage = ({ subject, data }: Msg, { streamSeq, atMs }: Delivery): InboxMessage & { readonly at: number } => ({
  ...toInboxMessage(subject, streamSeq, new Uint8Array(data)),
  at: atMs,
});
