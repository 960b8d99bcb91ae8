/**
 * A span of a stream, once, in order. Left to itself an ordered consumer that loses its server may stay silent for the better
 * part of a minute; whoever reads a span would rather hear of it and begin again.
 */
import {
  type ConsumerMessages,
  type ConsumerNotification,
  DeliverPolicy,
  type JetStreamClient,
  type JsMsg,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { RookeryError } from '../../protocol/error-codes.ts';
import { answered } from './answered.ts';

/** Read ahead of whoever iterates: with half of it read the next half is asked for, so that the server is never waited for. */
const MAX_READ_AHEAD_MESSAGES = 2_000;
/** Handed over at once. */
const PART_MESSAGES = 250;
/** The server says it is alive this often; twice missed, the read is over. */
const HEARTBEAT_MS = 1_000;

/** After these nats.js would begin anew by itself, or wait for what never comes. */
const TROUBLE: ReadonlySet<ConsumerNotification['type']> = new Set([
  'consumer_deleted',
  'consumer_not_found',
  'heartbeats_missed',
  'ordered_consumer_recreated',
  'stream_not_found',
  'no_responders',
]);

export interface SpanReaderParts {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
}

/**
 * Messages from `from` to `to`, both included, as what `read` makes of them at once; where the stream has dropped or lacks some,
 * those that are there. The last one must be there, or what comes behind it, or the read waits for it.
 * @param subject those of one subject alone, which may have wildcards
 * @throws RookeryError LOG_UNAVAILABLE when it was interrupted: begin again behind the last message
 */
export async function* readSpan<Read>(
  parts: SpanReaderParts,
  stream: string,
  from: number,
  to: number,
  read: (message: JsMsg) => Read,
  subject?: string,
) {
  for await (const records of readSpanParts(parts, stream, from, to, read, subject)) yield* records;
}

/** The same in parts: to wait for each message costs more than to read it. None is empty. */
export async function* readSpanParts<Read>(
  { nc, js }: SpanReaderParts,
  stream: string,
  from: number,
  to: number,
  read: (message: JsMsg) => Read,
  subject?: string,
) {
  if (from > to) return;
  const filter = subject === undefined ? {} : { filter_subjects: subject };
  const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from, ...filter };
  const consumer = await answered(stream, js.consumers.get(stream, start));
  const options = { max_messages: MAX_READ_AHEAD_MESSAGES, idle_heartbeat: HEARTBEAT_MS };
  const messages = await answered(stream, consumer.consume(options));
  // When the connection is lost nats.js no longer counts heartbeats: it waits for what may never come.
  const connection = nc.status() as ReturnType<NatsConnection['status']> & { stop(): void };
  void endOnDisconnect(connection, messages);
  void endOnTrouble(messages);
  let part: Read[] = [];
  let isWhole = false;
  try {
    for await (const message of messages) {
      isWhole = message.seq >= to;
      if (message.seq <= to) part.push(read(message));
      if (isWhole) break;
      if (part.length < PART_MESSAGES) continue;
      yield part;
      part = [];
    }
    if (part.length > 0) yield part;
    if (!isWhole) throw new RookeryError('LOG_UNAVAILABLE', `reading ${stream} was interrupted`);
  } finally {
    connection.stop();
    messages.stop();
    // It goes by itself where nobody can be asked any more.
    void consumer.delete().catch(() => false);
  }
}

async function endOnTrouble(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) if (TROUBLE.has(type)) messages.stop();
}

async function endOnDisconnect(
  connection: ReturnType<NatsConnection['status']>,
  messages: ConsumerMessages,
): Promise<void> {
  for await (const { type } of connection) if (type === 'disconnect') messages.stop();
}
