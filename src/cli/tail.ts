/** `rookery tail`: the log as it grows, or a part of it, for people and for programs. */
import type { Command } from 'commander';
import type { ConversationId } from '../domain/ids.ts';
import type { LogFollower, LogReader, LogRecord } from '../ports/conversation-log.ts';
import type { LogPart } from './log-part.ts';
import { type Operator, type OperatorOptions, operatorCommand, print, withOperator } from './operator.ts';

interface Options extends OperatorOptions {
  readonly conversation?: string;
  readonly user?: string;
  readonly since?: string;
  readonly until?: string;
  readonly kind?: string;
  readonly grep?: string;
  /** Undefined: not said. */
  readonly lines?: string;
  readonly follow: boolean;
}

const EXAMPLES = `  rookery tail                                     the newest ten events, then what comes
  rookery tail --conversation team-7 --since 2h    one conversation, from two hours ago on
  rookery tail --since 1d -n 50                    the newest fifty of a day
  rookery tail --grep 502 --no-follow              the newest ten that match, however far back
  rookery tail --user alice --kind messageSent     what alice writes, and what is written to her in direct ones
  rookery tail --since CONV_0@1 --until now --json  the log from its beginning, one object a line
  rookery tail --grep 'invoice|发票'               a regular expression, over what an event says`;

export function registerTail(program: Command): void {
  const command = operatorCommand(
    program,
    'tail',
    'follow the log, decoded: in colour on a terminal, JSON in a pipe',
    EXAMPLES,
  )
    .option('--conversation <id>', 'of this conversation')
    .option('--user <id>', 'written by this user, naming them, or in a direct conversation of theirs')
    .option('--since <place>', 'from a position on, or of what happened from a time on, instead of the newest lines')
    .option('--until <place>', 'up to a position, or of what happened before a time; and end there')
    .option(
      '--kind <types>',
      'of these types, with commas: messageSent,membersAdded; `unreadable` for what no code can read',
    )
    .option(
      '--grep <pattern>',
      'whose text, names or ids match a JavaScript regular expression; without regard to case',
    )
    .option('-n, --lines <count>', 'newest events shown first, of those that match (default: 10; of a part: all)')
    .option('--no-follow', 'end at the end of the log')
    .option('--no-json', 'lines for people, also in a pipe')
    .action(async (options: Options) => {
      if (forms.size > 1) await refuseBoth();
      const { parseConversationId } = await import('../domain/ids.ts');
      const { idFrom } = await import('./operator.ts');
      const conversation = idFrom(options.conversation, parseConversationId, 'the conversation');
      const isWanted = await filterOf(options);
      await withOperator(options, 'tail', '', async (operator) => {
        const { convStreamOf } = await import('../protocol/subjects.ts');
        const { logPartOf } = await import('./log-part.ts');
        const only = conversation === undefined ? undefined : convStreamOf(conversation, operator.topology);
        const part = await logPartOf(operator, options, only);
        const streams = await streamsOf(operator, options, part, conversation);
        if (conversation !== undefined) await tellUnknown(streams, conversation, options);
        const isOfPart = (record: LogRecord): boolean => part.holds(record.at ?? 0) && isWanted(record);
        await show(streams, part, operator, options, isOfPart);
      });
    });
  // One value has room for one of the two.
  const forms = new Set<string>();
  for (const form of ['json', 'no-json']) command.on(`option:${form}`, () => forms.add(form));
}

/** @throws RookeryError BAD_REQUEST */
async function refuseBoth(): Promise<never> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  throw new RookeryError('BAD_REQUEST', 'either --json or --no-json');
}

interface Stream {
  readonly convStream: number;
  readonly reader: Pick<LogReader, 'lastPos' | 'read'>;
  readonly follower: LogFollower;
  /** The oldest position that is kept. */
  readonly first: number;
  /** The first position shown. */
  readonly from: number;
  /** The end of the log, or the last position wanted. */
  readonly end: number;
}

async function streamsOf(
  { nats, log, topology }: Operator,
  options: Options,
  part: LogPart,
  conversation?: ConversationId,
): Promise<Stream[]> {
  const { JetstreamConversationReader } = await import('../adapters/jetstream/log/conversation-reader.ts');
  const { JetstreamLogReader } = await import('../adapters/jetstream/log/log-reader.ts');
  const { JetstreamLogFollower } = await import('../adapters/jetstream/log/log-follower.ts');
  const { logBounds } = await import('../adapters/jetstream/log/log-places.ts');
  const { convStreamOf } = await import('../protocol/subjects.ts');
  const lines = countOf(options.lines);
  const streams: Stream[] = [];
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    if (conversation !== undefined && convStream !== convStreamOf(conversation, topology)) continue;
    const parts = { ...nats, convStream };
    const { first, last } = await logBounds(nats.jsm, convStream);
    const newest = Math.max(first, last - lines + 1);
    streams.push({
      ...{ convStream, first },
      reader:
        conversation === undefined
          ? new JetstreamLogReader(parts)
          : new JetstreamConversationReader({ ...parts, conversation }),
      follower: new JetstreamLogFollower({ ...parts, log }),
      from: part.isPart ? ((await part.from(convStream)) ?? 1) : newest,
      end: part.to(convStream) ?? last,
    });
  }
  return streams;
}

const DEFAULT_LINES = '10';
/** The newest of a part, and of several streams, are known when all is read: meanwhile that many are held at most. */
const MAX_HELD_LINES = 10_000;

function countOf(text = DEFAULT_LINES): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

/**
 * Who follows may wait for its first event.
 * @throws RookeryError NOT_FOUND
 */
async function tellUnknown(streams: readonly Stream[], conversation: string, options: Options): Promise<void> {
  for (const { reader } of streams) if ((await reader.lastPos()) > 0) return;
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const text = `there is no conversation ${conversation} in the log`;
  if (!options.follow || options.until !== undefined) throw new RookeryError('NOT_FOUND', text);
  process.stderr.write(`${text} yet\n`);
}

async function show(
  wholeStreams: readonly Stream[],
  { isPart, isByTime }: LogPart,
  { topology, stop }: Operator,
  options: Options,
  isWanted: (record: LogRecord) => boolean,
): Promise<void> {
  const { followLog, readOn } = await import('../application/replay/followed-log.ts');
  const { mergedByTime } = await import('../application/replay/merged-log.ts');
  const { EventLines, eventJson } = await import('./shown-event.ts');
  const { json, until, follow, lines } = options;
  const count = isPart && lines === undefined ? undefined : countOf(lines);
  const isFiltered = !isPart && hasFilter(options);
  // Of several streams the newest lines of all: each has brought as many.
  const isHeld = count !== undefined && (isPart || wholeStreams.length > 1);
  if (isHeld || isFiltered) await refuseTooMany(count ?? 0);
  const { streams, earlier } = isFiltered
    ? await newestOf(wholeStreams, count ?? 0, isWanted, stop)
    : { streams: wholeStreams, earlier: 0 };
  const isJson = json ?? !process.stdout.isTTY;
  const pretty = new EventLines(topology.convStreams, Math.max(...streams.map(({ end }) => end)));
  let shown = 0;
  const tell = async (record: LogRecord, convStream: number): Promise<void> => {
    shown += 1;
    await print(isJson ? JSON.stringify(eventJson(record, convStream)) : pretty.lineOf(record, convStream));
  };
  const past = streams.map(({ convStream, reader, from, end }) => ({
    convStream,
    records: readOn(reader, from, end, stop),
  }));
  const held: Held[] = [];
  let hidden = earlier;
  for await (const { record, convStream } of mergedByTime(past)) {
    if (!isWanted(record)) continue;
    if (!isHeld) await tell(record, convStream);
    else if (hold(held, [record, convStream], isByTime) > count) {
      held.shift();
      hidden += 1;
    }
  }
  for (const [record, convStream] of held) await tell(record, convStream);
  if (stop.aborted) return;
  if (shown === 0 && count !== 0 && (isPart || hasFilter(options)))
    process.stderr.write('nothing in the log matches\n');
  else if (isFiltered && lines === undefined) tellMatching(hidden);
  else if (!follow && !isPart && lines === undefined) await tellEarlier(streams);
  if (!follow || until !== undefined) return;
  await Promise.all(
    streams.map(async ({ convStream, follower, end, from }) => {
      for await (const records of followLog(follower, Math.max(from, end + 1), stop)) {
        for (const record of records) if (isWanted(record)) await tell(record, convStream);
      }
    }),
  );
}

type Held = readonly [LogRecord, convStream: number];

/**
 * Where times were asked for the newest are the latest, wherever they stand; nearly always the end is their place.
 * @returns how many there are now
 */
function hold(held: Held[], one: Held, isByTime: boolean): number {
  const timeOf = (other: Held | undefined): number => other?.[0].at ?? 0;
  if (!isByTime || timeOf(one) >= timeOf(held.at(-1))) return held.push(one);
  let [low, high] = [0, held.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (timeOf(held[middle]) > timeOf(one)) high = middle;
    else low = middle + 1;
  }
  held.splice(low, 0, one);
  return held.length;
}

const hasFilter = ({ conversation, user, kind, grep }: Options): boolean =>
  [conversation, user, kind, grep].some((one) => one !== undefined);

/** From the newest that match on; `earlier`: events before them that may match. */
async function newestOf(
  streams: readonly Stream[],
  count: number,
  isWanted: (record: LogRecord) => boolean,
  stop: AbortSignal,
): Promise<{ readonly streams: readonly Stream[]; readonly earlier: number }> {
  const { newestMatching } = await import('../application/replay/newest-matching.ts');
  const newest: Stream[] = [];
  let earlier = 0;
  for (const stream of streams) {
    const found = await newestMatching(stream, count, isWanted, stop);
    newest.push({ ...stream, from: found.from });
    earlier += found.earlier;
  }
  return { streams: newest, earlier };
}

/** @throws RookeryError BAD_REQUEST */
async function refuseTooMany(count: number): Promise<void> {
  if (count <= MAX_HELD_LINES) return;
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const when = 'of a part (--since, --until), of what a filter lets through, or of several CONV streams';
  throw new RookeryError('BAD_REQUEST', `--lines ${count}: at most ${MAX_HELD_LINES} ${when}`);
}

/** Who asked for no number may take the newest ones for all there are. */
async function tellEarlier(streams: readonly Stream[]): Promise<void> {
  const { counted } = await import('./terminal.ts');
  const events = streams.reduce((sum, { first, end }) => sum + Math.max(0, end - first + 1), 0);
  const earlier = events - countOf();
  if (earlier > 0)
    process.stderr.write(`… ${counted(earlier, 'earlier event')}: --lines <count>, or --since <place>\n`);
}

/** @param hidden earlier events that may match */
function tellMatching(hidden: number): void {
  if (hidden > 0) process.stderr.write('… earlier events may match as well: --lines <count>, or --since <place>\n');
}

/** @throws RookeryError BAD_REQUEST, BAD_ID */
async function filterOf(options: Options): Promise<(record: LogRecord) => boolean> {
  const { isUnreadable } = await import('../ports/conversation-log.ts');
  const { refuseUnknownKind } = await import('./event-kinds.ts');
  const { parseUserId } = await import('../domain/ids.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { concerns, eventJson } = await import('./shown-event.ts');
  const { idFrom } = await import('./operator.ts');
  if (Number.isNaN(countOf(options.lines)))
    throw new RookeryError('BAD_REQUEST', `--lines ${options.lines}: a whole number, 0 or more`);
  const kinds = options.kind?.split(',').map((kind) => kind.trim());
  for (const kind of kinds ?? []) refuseUnknownKind(kind, '--kind ', 'unreadable');
  const user = idFrom(options.user, parseUserId, 'the user');
  const pattern = patternOf(options.grep, RookeryError);
  const { conversation } = options;
  return (record) => {
    if (kinds && !kinds.includes(isUnreadable(record) ? 'unreadable' : record.event.type)) return false;
    if (conversation !== undefined && (isUnreadable(record) || record.conversation !== conversation)) return false;
    if (user !== undefined && !concerns(user, record)) return false;
    if (!pattern) return true;
    const { body: _body, data: _data, ...words } = eventJson(record, 0);
    return pattern.test(JSON.stringify(words));
  };
}

function patternOf(
  text: string | undefined,
  Refusal: typeof import('../protocol/error-codes.ts').RookeryError,
): RegExp | undefined {
  try {
    return text === undefined ? undefined : new RegExp(text, 'iu');
  } catch (cause) {
    throw new Refusal('BAD_REQUEST', `--grep: ${(cause as Error).message}`, { cause });
  }
}
