/**
 * When an event happened. JetStream tells when it stored it; for what was imported that is the moment of the import, and the
 * time it happened comes with it in a header. All readers of the log ask here, so that they can never disagree: a rebuilt read
 * model has the times that the live one has.
 *
 * NATS has no permissions on headers. Who may write this one follows from who builds headers: `RecordAppender`, which only an
 * operator's commands use. The gateway's appender takes none from outside.
 */
import type { MsgHdrs } from '@nats-io/nats-core';

export const ORIGINAL_TIME = 'Rookery-At';

/** Of one width, and the last header of all: so that it stands at a fixed distance before the data, and costs nothing to look for. */
export const ORIGINAL_TIME_DIGITS = 15;
const END_BYTES = 4;
const NAME = new TextEncoder().encode(`${ORIGINAL_TIME}: `);
const TOTAL_BYTES = NAME.length + ORIGINAL_TIME_DIGITS + END_BYTES;
const [ZERO, NINE] = [0x30, 0x39];

export const originalTimeValue = (atMs: number): string => String(atMs).padStart(ORIGINAL_TIME_DIGITS, '0');

/**
 * Hot path: every event is asked. To parse its headers would cost more than a microsecond; in what nats.js gives of a delivery the
 * headers' bytes lie right before the data.
 * @param data of a message that was delivered to a subscription, as it was given
 * @param storedAtMs when the stream stored it
 */
export function happenedAtMs(data: Uint8Array, storedAtMs: number): number {
  const start = data.byteOffset - TOTAL_BYTES;
  if (start < 0) return storedAtMs;
  const before = new Uint8Array(data.buffer, start, TOTAL_BYTES);
  for (let i = 0; i < NAME.length; i++) if (before[i] !== NAME[i]) return storedAtMs;
  let at = 0;
  for (let i = NAME.length; i < NAME.length + ORIGINAL_TIME_DIGITS; i++) {
    const digit = before[i] as number;
    if (digit < ZERO || digit > NINE) return storedAtMs;
    at = 10 * at + digit - ZERO;
  }
  return at;
}

/** Of a message that was asked for by its position: there the server adds headers of its own. */
export function happenedAtMsIn(headers: MsgHdrs | undefined, storedAtMs: number): number {
  const value = headers?.get(ORIGINAL_TIME) ?? '';
  return /^\d{15}$/.test(value) ? Number(value) : storedAtMs;
}
