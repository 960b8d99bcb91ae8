/** What JetStream answers to who publishes. */
import type { MsgHdrs } from '@nats-io/nats-core';
import { isWrongLastSequence } from '../answered.ts';

/** `err_code` of the server. */
const MESSAGE_ID_IN_PROCESS = 10_158;

export interface PubAck {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string };
}

export function parseAck(data: Uint8Array): PubAck | undefined {
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as PubAck;
  } catch {
    return undefined;
  }
}

/** No responders, that is no leader; an error of the server's own; or an earlier sending that waits for its quorum. */
export function isPassing(data: Uint8Array, status: MsgHdrs | undefined, ack: PubAck | undefined): boolean {
  if (data.length === 0 && status?.code === 503) return true;
  if (!ack?.error || isWrongLastSequence(ack.error.err_code)) return false;
  return ack.error.code >= 500 || ack.error.err_code === MESSAGE_ID_IN_PROCESS;
}
