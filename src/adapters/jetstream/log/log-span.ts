/** A span of a CONV stream for who folds all of it: message by message as it comes, across a server that restarts. */
import type { Msg } from '@nats-io/nats-core';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { convStreamName } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type PulledSpanParts, pulls } from '../messages/pulled-span.ts';
import { resumed } from '../messages/resumed.ts';
import { happenedAtMs } from './original-time.ts';

/** @param data a view into a buffer that is shared: what is kept of it is copied */
export type TakeMessage = (pos: number, at: number, subject: string, data: Uint8Array) => void;

/**
 * Gives `take` what stands from `from` to `to`, both there, once and in order; a turn for every some thousand. While a turn is worked on the
 * next ones are taken, and no more.
 * @throws RookeryError LOG_UNAVAILABLE when it does not come back, or is another log; STREAM_MISSING
 */
export async function* readLogSpan(
  parts: PulledSpanParts,
  { convStream, from, to }: { readonly convStream: number; readonly from: number; readonly to: number },
  take: TakeMessage,
): AsyncGenerator<void> {
  const stream = convStreamName(convStream);
  const { created } = await answered(stream, parts.jsm.streams.info(stream));
  let next = from;
  const onMessage = (message: Msg, { streamSeq, atMs }: Delivery): void => {
    const { data } = message;
    take(streamSeq, happenedAtMs(data, atMs), message.subject, data);
    next = streamSeq + 1;
  };
  yield* resumed(
    () => next,
    async function* () {
      // Of the log it began with, whatever is there now.
      const now = await answered(stream, parts.jsm.streams.info(stream));
      if (now.created !== created) throw new RookeryError('LOG_UNAVAILABLE', `${stream} is another one now`);
      yield* pulls(parts, { stream, from: next, to }, onMessage);
      if (next <= to) throw new RookeryError('LOG_UNAVAILABLE', `${stream} has lost its end: it is at ${next - 1}`);
    },
  );
}
