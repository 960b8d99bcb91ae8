/** What the first and the last frame of an archive say, in JSON: of a file that anybody may have written. */
import { type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ArchiveEnd, ArchiveHeader } from '../../ports/archive.ts';
import { PARTITIONS } from '../../protocol/subjects.ts';

/** People's, and one for each partition. */
const MAX_STREAMS = 1 + PARTITIONS;
const position = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** What is shown to an operator, or becomes a part of an id: no line ends in it, nor what a terminal would obey. */
const line = (most: number) => Type.String({ pattern: `^[ -~]{0,${most}}$` });
/** As streams are named. */
const streamName = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' });
/** A time, as the server tells it. */
const created = line(64);

/** Of whatever form. */
const anyHeader = Type.Object({ format: Type.Integer({ minimum: 1 }), writtenBy: line(256) });
const header = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  eventSchema: Type.Integer(),
  writtenBy: line(256),
  compression: Type.Union([Type.Literal('zstd'), Type.Literal('gzip')]),
  convStreams: Type.Integer({ minimum: 1, maximum: PARTITIONS }),
  selection: Type.Object({}),
  streams: Type.Array(Type.Object({ name: streamName, created, firstSeq: position, lastSeq: position }), {
    maxItems: MAX_STREAMS,
  }),
});
const end = Type.Object({
  streams: Type.Array(
    Type.Object({
      ...{ name: streamName, events: position, digest: line(64) },
      ...{ firstSeq: position, lastSeq: position },
    }),
  ),
});

/** @throws Error that says what is wrong with it */
export function headerIn(body: Buffer, isKnown: (format: number, writtenBy: string) => void): ArchiveHeader {
  const { format, writtenBy } = parsed(body, anyHeader) as { format: number; writtenBy: string };
  isKnown(format, writtenBy);
  const found = parsed(body, header) as ArchiveHeader;
  if (new Set(found.streams.map(({ name }) => name)).size < found.streams.length) {
    throw new Error('it names a stream twice');
  }
  return found;
}

/** @throws Error as above */
export const endIn = (body: Buffer): ArchiveEnd => parsed(body, end) as ArchiveEnd;

function parsed(body: Buffer, schema: TSchema): unknown {
  const value: unknown = JSON.parse(body.toString());
  const [problem] = Value.Errors(schema, value);
  if (problem) throw new Error(`${problem.instancePath || 'the whole'} ${problem.message}`);
  return value;
}
