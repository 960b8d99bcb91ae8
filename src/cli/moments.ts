/** A place in the log, as a position in each CONV stream: what stood there at that time, or up to that event. */
import { happenedTime, lastPosAt, logBounds } from '../adapters/jetstream/log/log-places.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { convStreamName } from '../protocol/subjects.ts';
import type { Operator } from './operator.ts';
import { parsePlace, positionName, shownTime } from './places.ts';

export interface Moment {
  /** As it was asked for, in full; for people. */
  readonly name: string;
  /** For programs: the time in ISO 8601, and where it was asked for by its place the position. */
  readonly json: { readonly at: string; readonly position?: string };
  /** Milliseconds since 1970, by the log. */
  readonly at: number;
  /** The last position of a stream that belongs to it; one before the first where nothing does. */
  to(convStream: number): number;
  /** The first position of a stream that comes at it or behind it. */
  from(convStream: number): number;
}

/**
 * Of two times also where nothing happened between them: what is told then would be told of nothing.
 * @throws RookeryError BAD_REQUEST
 */
export function refuseReversed(
  { topology }: Pick<Operator, 'topology'>,
  from: readonly [text: string, moment: Moment],
  to: readonly [text: string, moment: Moment],
): void {
  const [[text, first], [other, second]] = [from, to];
  const streams = Array.from({ length: topology.convStreams }, (_, convStream) => convStream);
  const areTimes = first.json.position === undefined && second.json.position === undefined;
  const isReversed = areTimes
    ? first.at > second.at
    : streams.some((convStream) => first.to(convStream) > second.to(convStream));
  if (isReversed) throw new RookeryError('BAD_REQUEST', `${text} is behind ${other}: name the earlier one first`);
}

/**
 * A position stands for its event, and in other streams for the time of that event.
 * @param only the one stream that is asked about, where it is one
 * @throws RookeryError BAD_REQUEST; NOT_FOUND where a position is beyond the log's end, or no longer kept
 */
export async function momentOf({ nats, topology }: Operator, text: string, only?: number): Promise<Moment> {
  const { jsm } = nats;
  const place = parsePlace(text, topology, Date.now(), only);
  const at = place.type === 'time' ? place.at : (await existing(place)).at;
  const last: number[] = [];
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    const isNamed = place.type === 'position' && place.convStream === convStream;
    last.push(isNamed ? place.pos : await lastPosAt(nats, convStreamName(convStream), at));
  }
  const named = (convStream: number): boolean => place.type === 'position' && place.convStream === convStream;
  return {
    at,
    name: place.type === 'time' ? shownTime(at) : `${positionName(place)} (${shownTime(at)})`,
    json: {
      at: new Date(at).toISOString(),
      ...(place.type === 'position' && { position: positionName(place) }),
    },
    to: (convStream) => last[convStream] ?? 0,
    from: (convStream) => (named(convStream) ? (last[convStream] ?? 0) : (last[convStream] ?? 0) + 1),
  };

  async function existing({ convStream, pos }: { convStream: number; pos: number }): Promise<{ readonly at: number }> {
    const { first, last: end } = await logBounds(jsm, convStream);
    if (pos > end) {
      const where = positionName({ convStream, pos });
      throw new RookeryError('NOT_FOUND', `${where} is beyond the end of the log, which is at ${end}`);
    }
    const found = await happenedTime(jsm, convStreamName(convStream), pos);
    if (!found || found.pos !== pos) {
      throw new RookeryError(
        'NOT_FOUND',
        `${positionName({ convStream, pos })} is no longer kept; the log begins at ${first}`,
      );
    }
    return found;
  }
}
