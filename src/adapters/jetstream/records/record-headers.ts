import type { MsgHdrs } from '@nats-io/nats-core';
import { ORIGINAL_TIME, originalTimeValue } from '../log/original-time.ts';
import { WrittenHeaders } from '../messages/written-headers.ts';

export type About = readonly (readonly [name: string, value: string])[];

/** @param atMs when it happened */
export function recordHeaders(about: About, atMs: number): MsgHdrs {
  let text = 'NATS/1.0\r\n';
  for (const [name, value] of about) text += `${name}: ${value}\r\n`;
  return WrittenHeaders.of(`${text}${ORIGINAL_TIME}: ${originalTimeValue(atMs)}\r\n\r\n`);
}
