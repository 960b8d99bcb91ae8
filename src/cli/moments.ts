/** A place in the log, as a position in each CONV stream: what stood there at that time, or up to that event. */
import {
  happenedTime,
  hasEarlierBehind,
  lastPosAt,
  logBounds,
  waitingSince,
} from '../adapters/jetstream/log/log-places.ts';
import type { ConversationId } from '../domain/ids.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { conversationWildcard, convStreamName, type Topology } from '../protocol/subjects.ts';
import type { Operator } from './operator.ts';
import { parsePlace, positionName, shownTime } from './places.ts';

export interface Moment {
  /** As it was asked for, in full; for people. */
  readonly name: string;
  /** For programs: the time in ISO 8601, and where it was asked for by its place the position; else the places that time stands for. */
  readonly json: { readonly at: string; readonly position?: string; readonly upTo?: readonly string[] };
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
  const areTimes = first.json.position === undefined && second.json.position === undefined;
  const isReversed = areTimes
    ? first.at > second.at
    : streamsOf(topology).some((convStream) => first.to(convStream) > second.to(convStream));
  if (isReversed) throw new RookeryError('BAD_REQUEST', `${text} is behind ${other}: name the earlier one first`);
}

const streamsOf = ({ convStreams }: Topology, only?: number): readonly number[] =>
  only === undefined ? Array.from({ length: convStreams }, (_, convStream) => convStream) : [only];

/** @param text the time that was asked for; @param only the one stream that is asked about, where it is one */
export async function tellFuture({ nats, topology }: Operator, text: string, only?: number): Promise<void> {
  const ends: string[] = [];
  for (const convStream of streamsOf(topology, only)) {
    const { last } = await logBounds(nats.jsm, convStream);
    const since = await waitingSince(nats.jsm, convStreamName(convStream), last);
    if (since !== undefined) ends.push(`${positionName({ convStream, pos: last })}, stored ${shownTime(since)}`);
  }
  const end = ends.length === 0 ? 'the log is empty' : `the log ends at ${ends.join('; ')}`;
  process.stderr.write(`${text} lies in the future: ${end}\n`);
}

/**
 * A time is a place here, and what was merged into the log behind it is left out although it is earlier. Reads the times of all that stands
 * behind it, of one conversation where only that is asked about.
 */
export async function tellByPlace(
  { nats, topology, stop }: Operator,
  moments: readonly Moment[],
  conversation: ConversationId | undefined,
  only?: number,
): Promise<void> {
  const subjects = conversation === undefined ? undefined : [conversationWildcard(conversation)];
  for (const { at, json, to } of moments) {
    if (json.position !== undefined) continue;
    for (const convStream of streamsOf(topology, only)) {
      const place = { pos: to(convStream), at, subjects, stop };
      if (!(await hasEarlierBehind(nats, convStreamName(convStream), place))) continue;
      const where = positionName({ convStream, pos: place.pos });
      process.stderr.write(
        `behind ${where} stand merged events of ${shownTime(at)} or before, which are not counted in: a time is a place in the log here. \`tail\` and \`export\` ask each event for its own time\n`,
      );
      return;
    }
  }
}

/**
 * A position stands for its event, and in other streams for the time of that event.
 * @param only the one stream that is asked about, where it is one
 * @throws RookeryError BAD_REQUEST; NOT_FOUND where a position is beyond the log's end, or no longer kept
 */
export async function momentOf(operator: Operator, text: string, only?: number): Promise<Moment> {
  const { nats, topology } = operator;
  const { jsm } = nats;
  const now = Date.now();
  const place = parsePlace(text, topology, now, only);
  const at = place.type === 'time' ? place.at : (await existing(place)).at;
  const last: number[] = [];
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    const isNamed = place.type === 'position' && place.convStream === convStream;
    last.push(isNamed ? place.pos : await lastPosAt(nats, convStreamName(convStream), at));
  }
  const named = (convStream: number): boolean => place.type === 'position' && place.convStream === convStream;
  const isFuture = at > now && place.type === 'time';
  if (isFuture) await tellFuture(operator, text, only);
  const upTo = streamsOf(topology, only).map((convStream) => positionName({ convStream, pos: last[convStream] ?? 0 }));
  const when = isFuture ? 'the end of the log' : `the log at ${shownTime(at)}`;
  return {
    at,
    name: place.type === 'time' ? `${upTo.join(', ')} (${when})` : `${positionName(place)} (${shownTime(at)})`,
    json: {
      at: new Date(at).toISOString(),
      ...(place.type === 'position' ? { position: positionName(place) } : { upTo }),
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
