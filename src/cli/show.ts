/** `rookery show`: one event, and all that became of it. */
import type { Command } from 'commander';
import type { DeviceStanding, Recipient, Story } from '../processes/event-story.ts';
import { type Operator, type OperatorOptions, operatorCommand, print, withOperator } from './operator.ts';
import type { Position } from './places.ts';

interface Options extends OperatorOptions {
  readonly conversation?: string;
}

/** Recipients that are listed; --json has all. */
const MAX_LISTED = 50;
/** A producer's clock may be so far from the log's; a retry may come for as long as its id is remembered. */
const MAX_CLOCK_SKEW_MS = 15 * 60_000;

/** What may be meant by what is neither a position nor an id: an event of people's log, a time, one counted from the end. */
const POSITION_HINT = 'a position is 17 or CONV_0@17; what happened at a time shows `rookery tail --since`';

const EXAMPLES = `  rookery show CONV_0@812                                     by its position
  rookery show 0198f0c4-7a6e-7bd0-8f6a-0c8f8e6b1d11           by its clientMsgId
  rookery show order-17 --conversation direct:alice:bob       where only one conversation is to be looked through`;

export function registerShow(program: Command): void {
  const about = 'one event: its envelope, who got it and where, who confirmed it, refused retries, how far workers are';
  operatorCommand(program, 'show', about, EXAMPLES)
    .argument('<place>', 'a position, or the id of a message')
    .option('--conversation <id>', 'the conversation of a message id')
    .action(async (place: string, options: Options) => {
      const { parseConversationId } = await import('../domain/ids.ts');
      const { idFrom } = await import('./operator.ts');
      const conversation = idFrom(options.conversation, parseConversationId, 'the conversation');
      await withOperator(options, 'show', 'Interrupted. Nothing was changed.', async (operator) => {
        const { storyOf } = await import('../processes/event-story.ts');
        const position = await positionOf(operator, place, conversation);
        if (!position) return;
        const { convStream, pos } = position;
        const story = await storyOf(operator, convStream, pos);
        if (!story) return;
        if (options.json) await print(JSON.stringify(await jsonOf(story, convStream)));
        else for (const line of await linesOf(story, convStream)) await print(line);
        if (Object.values(story.inboxes).includes('STREAM_MISSING')) process.exitCode = 1;
      });
    });
}

/** @returns undefined after Ctrl-C. @throws RookeryError NOT_FOUND; BAD_REQUEST where several people used the id */
async function positionOf(operator: Operator, place: string, conversation?: string): Promise<Position | undefined> {
  const { parsePosition, positionName } = await import('./places.ts');
  const { momentOf } = await import('./moments.ts');
  const { convStreamOf } = await import('../protocol/subjects.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { topology } = operator;
  if (/^(CONV_\d+@)?\d{1,15}$/.test(place)) {
    const only = conversation === undefined ? undefined : convStreamOf(conversation as never, topology);
    const position = parsePosition(place, topology, only);
    // Beyond the end, or no longer kept: it says which.
    await momentOf(operator, positionName(position));
    return position;
  }
  const found = await foundById(operator, place, conversation);
  if (operator.stop.aborted) return undefined;
  const [first] = found;
  if (!first)
    throw new RookeryError(
      'NOT_FOUND',
      `no event in the log has the id ${JSON.stringify(place.slice(0, 64))}; ${POSITION_HINT}`,
    );
  const others = found.filter(({ key }) => key !== first.key);
  if (others.length > 0) {
    const places = [first, ...others].map(({ position, key }) => `${positionName(position)} (${key})`);
    throw new RookeryError('BAD_REQUEST', `several have this id: ${places.slice(0, 5).join(', ')}: name the position`);
  }
  return first.position;
}

async function foundById(operator: Operator, id: string, conversation: string | undefined) {
  const { parseClientMsgId, uuidv7TimeMs } = await import('../domain/ids.ts');
  const { SEEN_HORIZON_MS } = await import('../projections/fan-out.ts');
  const { positionsOf } = await import('../processes/event-story.ts');
  const { ProgressBar } = await import('./progress.ts');
  const { idFrom } = await import('./operator.ts');
  const made = uuidv7TimeMs(idFrom(id, parseClientMsgId, 'the message id') as never);
  const around = made === undefined ? undefined : { from: made - MAX_CLOCK_SKEW_MS, to: made + SEEN_HORIZON_MS };
  const bar = new ProgressBar('looking for it', 0);
  const onProgress = (pos: number, end: number): void => bar.at(pos, end);
  const found: { readonly key: string; readonly position: Position }[] = [];
  for await (const { convStream, record } of positionsOf(operator, id, around, conversation as never, onProgress)) {
    found.push({ key: `${record.event.by} in ${record.conversation}`, position: { convStream, pos: record.pos } });
  }
  return found;
}

async function jsonOf(story: Story, convStream: number): Promise<object> {
  const { eventJson } = await import('./shown-event.ts');
  const { record, duplicates, ...rest } = story;
  const told = duplicates.map(({ pos, at }) => ({ pos, at: new Date(at).toISOString() }));
  return { event: eventJson(record, convStream), ...rest, duplicates: told };
}

async function linesOf(story: Story, convStream: number): Promise<string[]> {
  const { EventLines } = await import('./shown-event.ts');
  const { onOneLine, painted, table } = await import('./terminal.ts');
  const { positionName, shownTime } = await import('./places.ts');
  const { record, envelope, outcome, recipients, duplicates, inboxes, fanOut, readModels } = story;
  const { subject, messageId, bytes, schema } = envelope;
  const lines = [
    new EventLines(2, record.pos).lineOf(record, convStream),
    table(
      [
        ['position', positionName({ convStream, pos: record.pos })],
        ['envelope', `${schema === undefined ? 'no schema told' : `schema ${schema}`}, ${bytes} bytes, ${subject}`],
        ['message id', messageId === '' ? '-' : messageId],
        [
          'the fold',
          outcome ? outcomeText(outcome) : painted('cannot read it: it stands among the dead letters', 'red'),
        ],
        ...duplicates.map(({ pos, at }) => ['retry refused', `at ${pos}, ${shownTime(at)}`]),
      ],
      '  ',
    ),
  ];
  const missing = (stream: string): string => {
    const why = inboxes[stream] ?? 'MISSING: `rookery verify` says more';
    return why === 'beyond retention' ? 'dropped by the stream’s bounds' : why;
  };
  const rows = recipients.slice(0, MAX_LISTED).flatMap((recipient) => {
    const { user, inboxStream, seq, readUpTo, devices = [] } = recipient;
    const place =
      seq === undefined ? painted(`${inboxStream}: ${missing(inboxStream)}`, 'red') : `${inboxStream}@${seq}`;
    const theirs = devices.map((one) => ['', '', onOneLine(deviceText(one, recipient))]);
    return [[onOneLine(user), place, `read up to ${readUpTo}`], ...theirs];
  });
  if (rows.length > 0) lines.push(`recipients (${recipients.length})`, table(rows, '  '));
  if (recipients.length > MAX_LISTED) lines.push(`  … and ${recipients.length - MAX_LISTED} more: --json`);
  const passed = (position: number): string => (position >= record.pos ? 'has it' : 'not yet');
  const checkpoints = fanOut.checkpoints.map(
    (to, k) => `INBOX_${k} ${to === undefined ? 'STREAM_MISSING' : `complete to ${to}`}`,
  );
  lines.push(
    'workers',
    table(
      [
        [`fan-out, lane ${fanOut.lane}`, passed(fanOut.acked), `acked to ${fanOut.acked}, ${checkpoints.join(', ')}`],
        ...readModels.flatMap(({ id, lanes }) =>
          lanes
            .filter(({ lane }) => lane === convStream)
            .map(({ position }) => [`read model`, passed(position), `at ${position}, ${onOneLine(id)}`]),
        ),
      ],
      '  ',
    ),
  );
  return lines;
}

function outcomeText(outcome: NonNullable<Story['outcome']>): string {
  switch (outcome.type) {
    case 'accepted':
      return outcome.n === undefined ? 'accepted, beside the timeline' : `accepted, index ${outcome.n}`;
    case 'rejected':
      return `refused: ${outcome.code}, returned to sender`;
    case 'duplicate':
      return `refused: a retry of ${outcome.original}`;
    case 'dead letter':
      return `threw: ${outcome.reason}`;
    default:
      return outcome.type;
  }
}

function deviceText(device: DeviceStanding, { inboxStream, seq = Number.POSITIVE_INFINITY }: Recipient): string {
  const { device: name, hasConfirmed, isOfThisStream, seq: at } = device;
  if (hasConfirmed) return `${name} confirmed`;
  if (!isOfThisStream) return `${name} was at ${at} of an ${inboxStream} that is gone`;
  return `${name} ${at < seq ? `is at ${at}` : 'is told the log again, and not so far yet'}`;
}
