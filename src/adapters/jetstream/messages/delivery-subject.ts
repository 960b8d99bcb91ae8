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

const PREFIX = '$JS.ACK.';
const [DOT, ZERO] = [0x2e, 0x30];
/** Digits of the time that are below a millisecond: cut off as text, since the whole is beyond a double's exact range. */
const DIGITS_BELOW_MS = 6;
const SHORT_TOKENS = 9;
const LONG_TOKENS = 11;
/** Where each token begins; used again for each message. */
const starts = new Int32Array(LONG_TOKENS + 2);

/** Hot path: each delivery is asked. */
export function parseDelivery(reply: string): Delivery | undefined {
  if (!reply.startsWith(PREFIX)) return undefined;
  let tokens = 1;
  for (let i = PREFIX.length - 1; i < reply.length && tokens <= LONG_TOKENS; i++) {
    if (reply.charCodeAt(i) === DOT) starts[++tokens] = i + 1;
  }
  // Two of them are in the prefix.
  starts[tokens + 1] = reply.length + 1;
  if (tokens + 1 !== SHORT_TOKENS && tokens + 1 < LONG_TOKENS) return undefined;
  const first = tokens + 1 === SHORT_TOKENS ? 4 : 6;
  return {
    streamSeq: numberAt(reply, first + 1, 0),
    consumerSeq: numberAt(reply, first + 2, 0),
    atMs: numberAt(reply, first + 3, DIGITS_BELOW_MS),
    pending: numberAt(reply, first + 4, 0),
  };
}

function numberAt(reply: string, token: number, without: number): number {
  const end = (starts[token + 1] as number) - 1 - without;
  let value = 0;
  for (let i = starts[token] as number; i < end; i++) value = 10 * value + reply.charCodeAt(i) - ZERO;
  return value;
}

/** When the stream stored it, as above: `time` of nats.js rounds, and is now and then a millisecond more. */
export const storedAtMs = ({ timestampNanos }: Pick<JsMsg, 'timestampNanos'>): number =>
  Number(timestampNanos / 1_000_000n);
