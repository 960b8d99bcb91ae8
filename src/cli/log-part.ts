/** The part of the log that `--since` and `--until` name: by a position its place, by a time the events' own times. */
import { firstPosFrom } from '../adapters/jetstream/log/log-places.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { convStreamName } from '../protocol/subjects.ts';
import { type Moment, momentOf, refuseReversed, tellFuture } from './moments.ts';
import type { Operator } from './operator.ts';
import { parsePlace } from './places.ts';

export interface LogPart {
  /** Whether it is a part at all, and not the whole log. */
  readonly isPart: boolean;
  /** Whether a time bounds it: what belongs to it may then stand anywhere from `from` to the log's end. */
  readonly isByTime: boolean;
  /** The first position of a stream that can belong to it; undefined: the stream's first. */
  from(convStream: number): Promise<number | undefined>;
  /** The last one; undefined: the end of the log. */
  to(convStream: number): number | undefined;
  /** @param at when an event happened, in milliseconds since 1970 */
  holds(at: number): boolean;
}

type Edge = { readonly moment: Moment } | { readonly at: number };

/**
 * From `since` on, and before `until`; an event at a position that is named is part of it.
 * @param only the one stream that is asked about, where it is one
 * @throws RookeryError BAD_REQUEST, NOT_FOUND where a position is beyond the end
 */
export async function logPartOf(
  operator: Operator,
  { since, until }: { readonly since?: string; readonly until?: string },
  only?: number,
): Promise<LogPart> {
  const first = since === undefined ? undefined : await edgeOf(operator, since, only);
  const last = until === undefined ? undefined : await edgeOf(operator, until, only);
  refuseEmpty(operator, [String(since), first], [String(until), last]);
  const [from, to] = [timeOf(first) ?? Number.NEGATIVE_INFINITY, timeOf(last) ?? Number.POSITIVE_INFINITY];
  return {
    isPart: first !== undefined || last !== undefined,
    isByTime: Number.isFinite(from) || Number.isFinite(to),
    from: async (convStream) => {
      if (first === undefined) return undefined;
      if ('moment' in first) return first.moment.from(convStream);
      return firstPosFrom(operator.nats, convStreamName(convStream), first.at);
    },
    to: (convStream) => (last && 'moment' in last ? last.moment.to(convStream) : undefined),
    holds: (at) => at >= from && at < to,
  };
}

const timeOf = (edge: Edge | undefined): number | undefined => (edge && 'at' in edge ? edge.at : undefined);

async function edgeOf(operator: Operator, text: string, only?: number): Promise<Edge> {
  const now = Date.now();
  const place = parsePlace(text, operator.topology, now, only);
  if (place.type === 'position') return { moment: await momentOf(operator, text, only) };
  if (place.at > now) await tellFuture(operator, text, only);
  return { at: place.at };
}

/** Of a position and a time nothing can be said: an event at any place may be of any time. @throws RookeryError BAD_REQUEST */
function refuseEmpty(
  operator: Operator,
  [since, first]: readonly [string, Edge | undefined],
  [until, last]: readonly [string, Edge | undefined],
): void {
  if (!first || !last) return;
  if ('moment' in first && 'moment' in last)
    return refuseReversed(operator, [since, first.moment], [until, last.moment]);
  const [from = 0, to = 0] = [timeOf(first), timeOf(last)];
  if ('moment' in first || 'moment' in last || from < to) return;
  const why = from === to ? 'is not before' : 'is behind';
  throw new RookeryError('BAD_REQUEST', `${since} ${why} ${until}: name the earlier one first`);
}
