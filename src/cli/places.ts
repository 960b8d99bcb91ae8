/** Places in the log as people write them: a time, or a position. */
import { RookeryError } from '../protocol/error-codes.ts';
import { convStreamName, type Topology } from '../protocol/subjects.ts';

/** A position is of one CONV stream. */
export interface Position {
  readonly convStream: number;
  readonly pos: number;
}

export type Place =
  | ({ readonly type: 'position' } & Position)
  /** Milliseconds since 1970. */
  | { readonly type: 'time'; readonly at: number };

const POSITION_FORMS = '17, CONV_0@17';
const TIME_FORMS = '2026-07-01T12:00, 2026-07-01T12:00:00Z, 15m ago as 15m, now';

const POSITION = /^(?:CONV_(\d{1,3})@)?(\d{1,15})$/;
const AGO = /^(\d{1,9})(s|m|h|d)$/;
const AGO_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * @param convStream of a position without one; where there are several streams it cannot be told by itself
 * @param now milliseconds since 1970
 * @throws RookeryError BAD_REQUEST
 */
export function parsePlace(text: string, topology: Topology, now: number, convStream?: number): Place {
  if (POSITION.test(text)) return { type: 'position', ...parsePosition(text, topology, convStream) };
  const at = timeIn(text, now);
  if (at !== undefined) return { type: 'time', at };
  const forms = `neither a position (${POSITION_FORMS}) nor a time (${TIME_FORMS})`;
  throw new RookeryError('BAD_REQUEST', `${text}: this is ${forms}`);
}

/** @throws RookeryError BAD_REQUEST */
export function parsePosition(text: string, { convStreams }: Topology, convStream?: number): Position {
  const [, stream, digits] = POSITION.exec(text) ?? [];
  const pos = Number(digits);
  if (!(pos >= 1)) throw new RookeryError('BAD_REQUEST', `${text}: a position is 1 or more, as 17 or CONV_0@17`);
  const named = stream === undefined ? (convStream ?? (convStreams === 1 ? 0 : undefined)) : Number(stream);
  if (named === undefined) {
    throw new RookeryError(
      'BAD_REQUEST',
      `${text}: there are ${convStreams} CONV streams: say which, as CONV_0@${pos}`,
    );
  }
  if (named >= convStreams) {
    const last = convStreamName(convStreams - 1);
    throw new RookeryError('BAD_REQUEST', `${text}: the topology has no such stream; the last one is ${last}`);
  }
  return { convStream: named, pos };
}

/** Milliseconds since 1970; without a zone it is this machine's. @throws RookeryError BAD_REQUEST */
export function parseTime(text: string, now: number): number {
  const at = timeIn(text, now);
  if (at === undefined) throw new RookeryError('BAD_REQUEST', `${text}: this is no time (${TIME_FORMS})`);
  return at;
}

function timeIn(text: string, now: number): number | undefined {
  if (text === 'now') return now;
  const [, count, unit = ''] = AGO.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (AGO_MS[unit] ?? 0);
  // A date alone would be taken as UTC, one with a time as local: both are local here.
  const at = DATE.test(text) ? Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(' ', 'T')) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

export const positionName = ({ convStream, pos }: Position): string => `${convStreamName(convStream)}@${pos}`;

/** A time as people read it, in this machine's zone. @param at milliseconds since 1970 */
export function shownTime(at: number, isWithDate = true): string {
  const date = new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString();
  return isWithDate ? date.slice(0, 23).replace('T', ' ') : date.slice(11, 23);
}
