import type { JsMsg } from '@nats-io/jetstream';

/**
 * What a consumer says of a message in its reply subject:
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>`, since 2.11 possibly with domain
 * and account before the stream and a token behind (nats-server ADR-15).
 */
export interface Delivery {
  readonly streamSeq: number;
  readonly consumerSeq: number;
  /** When the stream stored it: milliseconds since 1970. */
  readonly atMs: number;
  /** What matches and is still to come, as the server knew then. */
  readonly pending: number;
}

export function parseDelivery(reply: string): Delivery | undefined {
  if (!reply.startsWith('$JS.ACK.')) return undefined;
  const tokens = reply.split('.');
  const first = tokens.length === 9 ? 4 : 6;
  const nanos = tokens[first + 3] ?? '';
  return {
    streamSeq: Number(tokens[first + 1]),
    consumerSeq: Number(tokens[first + 2]),
    // The last six digits are below a millisecond; cut off as text, since the whole is beyond a double's exact range.
    atMs: Number(nanos.slice(0, -6)),
    pending: Number(tokens[first + 4]),
  };
}

/** When the stream stored it, as above: `time` of nats.js rounds, and is now and then a millisecond more. */
export const storedAtMs = ({ timestampNanos }: Pick<JsMsg, 'timestampNanos'>): number =>
  Number(timestampNanos / 1_000_000n);
