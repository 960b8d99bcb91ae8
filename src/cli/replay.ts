/** `rookery replay` and `rookery diff`: how things stood at a time, and what has changed between two. */
import type { Command } from 'commander';
import type { Past, PastConversation, PastUser } from '../processes/past.ts';
import type { Moment } from './moments.ts';
import {
  DIFFERS_EXIT_CODE,
  type Operator,
  type OperatorOptions,
  operatorCommand,
  print,
  withOperator,
} from './operator.ts';
import { INTO_EXAMPLES, type IntoOptions, intoOptions, isAddress, replayInto } from './replay-into.ts';

interface Options extends OperatorOptions {
  readonly to: string;
  readonly conversation?: string;
  readonly user?: string;
  /** Undefined: not said. */
  readonly lines?: string;
}

const DEFAULT_LINES = 20;
const MAX_LINES = 9_999;

const GO_ON = 'Interrupted. Nothing was changed: run it again.';

const REPLAY_EXAMPLES = `  rookery replay --to 2026-07-01T12:00 --conversation team-7   who was in it, what they had read, what stood last
  rookery replay --to CONV_0@812 --user alice                  her list, unread and inbox, right after that event
  rookery replay --to now                                      the whole log through the folds: what was taken and refused`;

const DIFF_EXAMPLES = `  rookery diff 2h now --conversation team-7       what has changed in two hours
  rookery diff CONV_0@812 CONV_0@813 --user bob   what one event did to bob`;

export function registerReplay(program: Command): void {
  const about = (command: Command): Command =>
    command
      .option('--conversation <id>', 'this conversation')
      .option('--user <id>', 'this user: list, unread and inbox')
      .option(
        '-n, --lines <count>',
        `newest entries of the timeline or inbox, and conversations of the list (default: ${DEFAULT_LINES}; at most ${MAX_LINES})`,
      );
  const what = 'how things stood at a time (--to), or the log once more, elsewhere (--into)';
  intoOptions(about(operatorCommand(program, 'replay [file]', what, `${REPLAY_EXAMPLES}\n${INTO_EXAMPLES}`)))
    .option('--to <place>', 'a time or a position, which is included')
    .action((file: string | undefined, options: Options & IntoOptions) => replayOf(file, options));
  about(operatorCommand(program, 'diff', 'what has changed between two times', DIFF_EXAMPLES))
    .argument('<from>', 'a time or a position')
    .argument('<to>', 'a later one')
    .action((from: string, to: string, options: Options) => diff(from, to, options));
}

/** @throws RookeryError BAD_REQUEST without one of the two, or with both */
async function replayOf(file: string | undefined, options: Options & IntoOptions): Promise<void> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { to, into } = options as Partial<Options & IntoOptions>;
  if ((to === undefined) === (into === undefined)) throw new RookeryError('BAD_REQUEST', 'either --to or --into');
  if (to !== undefined && file !== undefined) throw new RookeryError('BAD_REQUEST', '--to reads the log, and no file');
  const misplaced = misplacedIn(options);
  if (misplaced !== undefined) throw new RookeryError('BAD_REQUEST', misplaced);
  return into === undefined ? replay(options) : replayInto(file, options);
}

/** What cannot apply is refused: who is not told takes all of the log for the part they named. */
function misplacedIn(options: Partial<Options & IntoOptions>): string | undefined {
  const { into, intoCredentials, speed, filter, conversation, user, lines } = options;
  const first = (given: Readonly<Record<string, string | undefined>>): string | undefined =>
    Object.keys(given).find((flag) => given[flag] !== undefined);
  if (into === undefined) {
    if (filter !== undefined) return '--filter goes with --into; of --to it is --conversation or --user';
    const flag = first({ '--speed': speed, '--into-credentials': intoCredentials });
    if (flag !== undefined) return `${flag} goes with --into`;
    const isOfAll = conversation === undefined && user === undefined;
    return lines !== undefined && isOfAll ? '--lines goes with --conversation or --user' : undefined;
  }
  const flag = first({ '--conversation': conversation, '--user': user, '--lines': lines });
  if (flag === '--lines') return '--lines goes with --to; --into plays all that --filter lets through';
  if (flag !== undefined) return `${flag} goes with --to; of --into it is --filter ${flag.slice(2)}=…`;
  return intoCredentials !== undefined && !isAddress(into) ? `--into-credentials: ${into} is no address` : undefined;
}

async function replay(options: Options): Promise<void> {
  if (options.conversation === undefined && options.user === undefined) return replayAll(options);
  await withPast(options, [options.to], async (past, [moment], { stop }) => {
    await past.advance((convStream) => moment?.to(convStream) ?? 0);
    if (stop.aborted) return;
    await refuseUnknown(past, options, moment as Moment);
    const state = stateOf(past, options, moment as Moment);
    if (options.json) return print(JSON.stringify(plain({ ...moment?.json, ...state })));
    const { conversationLines, userLines } = await import('./shown-past.ts');
    await print(`as of ${moment?.name}`);
    if (options.conversation !== undefined) await print(conversationLines(state as unknown as PastConversation));
    else await print(userLines(state as unknown as PastUser));
  });
}

/** What was taken and what refused, of all. */
async function replayAll(options: Options): Promise<void> {
  await withOperator(options, 'replay', GO_ON, async (operator) => {
    const { countLog } = await import('../processes/log-counts.ts');
    const { momentOf, tellByPlace } = await import('./moments.ts');
    const { ProgressBar, secondsSince } = await import('./progress.ts');
    const { countLines } = await import('./shown-past.ts');
    const moment = await momentOf(operator, options.to);
    await tellByPlace(operator, [moment], undefined);
    const bar = new ProgressBar('folding', 0);
    const onProgress = (position: number, end: number): void => bar.at(position, end);
    const startedMs = performance.now();
    const counts = await countLog({ ...operator, onProgress }, moment.to);
    if (operator.stop.aborted) return;
    const seconds = secondsSince(startedMs);
    if (options.json) {
      const refused = Object.fromEntries([...counts.refused].sort());
      return print(JSON.stringify({ ...moment.json, ...counts, refused, seconds }));
    }
    await print(`as of ${moment.name}, in ${seconds.toFixed(1)} s`);
    await print(countLines(counts));
  });
}

async function diff(from: string, to: string, options: Options): Promise<void> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  if (options.conversation === undefined && options.user === undefined) {
    throw new RookeryError('BAD_REQUEST', 'of what: --conversation or --user');
  }
  const { refuseReversed } = await import('./moments.ts');
  await withPast(options, [from, to], async (past, [before, after], operator) => {
    const { stop } = operator;
    const first = before as Moment;
    const second = after as Moment;
    refuseReversed(operator, [from, first], [to, second]);
    await past.advance(first.to);
    const old = plain(stateOf(past, options, first));
    const entriesBefore = entriesOf(past, old);
    const listedBefore = listedOf(past, options);
    await past.advance(second.to);
    if (stop.aborted) return;
    await refuseUnknown(past, options, second);
    const { changesBetween, changeLine, hiddenConversations, hiddenEntries, withoutScrolled } = await import(
      './state-changes.ts'
    );
    const now = plain(stateOf(past, options, second));
    const changes = withoutScrolled(changesBetween(old, now), now, linesOf(options));
    if (!options.json) await print(`from ${first.name} to ${second.name}`);
    for (const change of changes) await print(options.json ? JSON.stringify(change) : changeLine(change));
    if (changes.length > 0) process.exitCode = DIFFERS_EXIT_CODE;
    else if (!options.json) await print('no difference');
    const hidden = {
      entries: hiddenEntries(changes, entriesOf(past, now) - entriesBefore),
      conversations: hiddenConversations(listedBefore, listedOf(past, options), now.conversations ?? []),
    };
    await tellHidden(hidden, now, options);
  });
}

const listedOf = (past: Past, { user }: Options): ReadonlyMap<string, number> =>
  user === undefined ? new Map() : past.listed(user as never);

/** @param now the later state */
async function tellHidden(
  hidden: { readonly entries: number; readonly conversations: number },
  now: Record<string, unknown>,
  options: Options,
): Promise<void> {
  const { hiddenText } = await import('./state-changes.ts');
  const lines = linesOf(options);
  const lists = [hidden.entries > 0 && (now.timeline ?? now.inbox), hidden.conversations > 0 && now.conversations];
  // A timeline or a list is also bounded by its bytes: then a larger number shows no more.
  const isCut = lists.some((list) => Array.isArray(list) && list.length < lines);
  const text = hiddenText(hidden, lines, isCut ? lines : MAX_LINES);
  if (text !== undefined) process.stderr.write(`${text}\n`);
}

const linesOf = ({ lines }: Options): number => Number(lines ?? DEFAULT_LINES);

/** How many entries a timeline or an inbox has by now, whatever part of them is shown. */
const entriesOf = (past: Past, state: Record<string, unknown>): number =>
  typeof state.lastIndex === 'number' ? state.lastIndex : past.gathered;

function stateOf(past: Past, { conversation, user }: Options, moment: Moment): object {
  if (conversation !== undefined) return past.conversation(conversation as never);
  return past.person(user as never, moment.at);
}

/** Before anything is told: a state of what never was would be made up. @throws RookeryError NOT_FOUND */
async function refuseUnknown(past: Past, { conversation, user }: Options, { at }: Moment): Promise<void> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  if (conversation !== undefined && past.conversation(conversation as never).kind === 'none') {
    throw new RookeryError('NOT_FOUND', `there was no conversation ${conversation} then`);
  }
  if (user === undefined || past.gathered > 0 || past.person(user as never, at).conversations.length > 0) return;
  throw new RookeryError('NOT_FOUND', `the conversations knew no user ${user} then`);
}

/** As JSON has it: bytes as base64, and text beside them. */
function plain(state: object): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(state, (_key, value: unknown) => {
      if (value === Number.POSITIVE_INFINITY) return 'unlimited';
      const { body } = (value ?? {}) as { readonly body?: unknown };
      return body instanceof Uint8Array ? shownBody(value as { readonly body: Uint8Array }) : value;
    }),
  );
}

const shownBody = (content: { readonly body: Uint8Array; readonly contentType?: string }): object => {
  const { body, ...rest } = content;
  const isText = content.contentType?.startsWith('text/') === true;
  return isText
    ? { ...rest, text: Buffer.from(body).toString() }
    : { ...rest, base64: Buffer.from(body).toString('base64') };
};

async function withPast(
  options: Options,
  places: readonly string[],
  work: (past: Past, moments: readonly Moment[], operator: Operator) => Promise<void>,
): Promise<void> {
  const { parseConversationId, parseUserId } = await import('../domain/ids.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { idFrom } = await import('./operator.ts');
  const conversation = idFrom(options.conversation, parseConversationId, 'the conversation');
  const user = idFrom(options.user, parseUserId, 'the user');
  if (conversation !== undefined && user !== undefined) {
    throw new RookeryError('BAD_REQUEST', 'either --conversation or --user');
  }
  if (options.lines !== undefined && !/^[1-9]\d{0,3}$/.test(options.lines))
    throw new RookeryError('BAD_REQUEST', `--lines ${options.lines}: 1 to ${MAX_LINES}`);
  await withOperator(options, 'replay', GO_ON, async (operator) => {
    const { Past } = await import('../processes/past.ts');
    const { momentOf, tellByPlace } = await import('./moments.ts');
    const { ProgressBar } = await import('./progress.ts');
    const { convStreamOf } = await import('../protocol/subjects.ts');
    const { nats, topology, stop } = operator;
    const only = conversation === undefined ? undefined : convStreamOf(conversation, topology);
    const moments: Moment[] = [];
    for (const place of places) moments.push(await momentOf(operator, place, only));
    await tellByPlace(operator, moments, conversation, only);
    const bar = new ProgressBar('folding', 0);
    const onProgress = (folded: number, end: number): void => bar.at(folded, end);
    const past = new Past({ nats, topology, conversation, user, lines: linesOf(options), stop, onProgress });
    try {
      await work(past, moments, operator);
    } finally {
      past.close();
    }
  });
}
