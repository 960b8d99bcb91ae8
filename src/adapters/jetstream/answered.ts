import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { RookeryError } from '../../protocol/error-codes.ts';

/**
 * What the server answers, its errors in our terms: a stream that is not there is STREAM_MISSING, all else (a timeout, a lost
 * connection, no leader now) is LOG_UNAVAILABLE and passes by itself.
 */
export async function answered<T>(name: string, request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (cause) {
    if (cause instanceof RookeryError) throw cause;
    const isMissing = cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.StreamNotFound;
    if (isMissing) throw new RookeryError('STREAM_MISSING', `${name}: there is no such stream`, { cause });
    throw new RookeryError('LOG_UNAVAILABLE', `${name}: ${String(cause)}`, { cause });
  }
}

/** "Wrong last sequence", also where the server cannot tell the right one: an expectation that did not hold. */
const WRONG_LAST_SEQUENCE = new Set([10071, 10164]);

export const isWrongLastSequence = (code: number): boolean => WRONG_LAST_SEQUENCE.has(code);
