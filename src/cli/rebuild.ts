/** `rookery rebuild`: what is derived from the log, built anew while it serves; or, with `--shadow`, compared before it would. */
import type { Command } from 'commander';
import type { Difference } from '../application/replay/entry-differences.ts';
import type { RebuildingParts } from '../processes/rebuilding.ts';
import type { RowDifference } from '../processes/shadow.ts';
import { type Operator, type OperatorOptions, operatorCommand, print, withOperator } from './operator.ts';
import { endBar, toMillis } from './progress.ts';

interface Options extends OperatorOptions {
  readonly shadow?: boolean;
  readonly stateDir?: string;
  readonly stream?: string;
}

/** Without --json; all are counted. */
const MAX_TOLD = 50;

const KINDS = {
  inbox: 'INBOX streams, written anew by their workers from the log’s beginning; devices are sent to the log meanwhile',
  'read-model': 'a read-model worker’s files, beside those in use, which serve until it is done',
  'fan-out-state': 'a fan-out worker’s state files, beside those in use',
} as const;
type Kind = keyof typeof KINDS;

const EXAMPLES = `  rookery rebuild read-model                              of the worker of \`rookery dev\`
  rookery rebuild fan-out-state --state-dir /var/lib/rookery/fan-out
  rookery rebuild inbox --stream 0                        one INBOX stream; without, all, one after the other
  rookery rebuild inbox --shadow                          what this build would decide and deliver otherwise, and nothing else
  rookery rebuild read-model --shadow --json              every row that this build would have otherwise`;

/** @param published the lane whose new file counts already, if it was built before the interruption */
function goOnOf(kind: Kind, { published }: { readonly published?: number }): string {
  if (kind === 'inbox')
    return 'Interrupted. The workers go on writing the stream by themselves: rookery stats shows how far they are.';
  if (published === undefined) return 'Interrupted. The files in use are untouched: run it again.';
  return `Interrupted. The file of lane ${published} is built and takes the place of the one in use; those of later lanes are untouched.`;
}

export function registerRebuild(program: Command): void {
  operatorCommand(program, 'rebuild', 'build inboxes, read models or fan-out state anew from the log', EXAMPLES)
    .argument('<what>', Object.keys(KINDS).join(', '))
    .option('--shadow', 'build beside what is in use, tell every difference, and put nothing into service')
    .option('--state-dir <dir>', 'folder of the worker’s files (default: as configured)')
    .option('--stream <k>', 'of `inbox`: this INBOX stream alone')
    .addHelpText(
      'after',
      `\n${Object.entries(KINDS)
        .map(([kind, text]) => `${kind}: ${text}`)
        .join('\n')}`,
    )
    .action(async (what: string, options: Options) => {
      const { RookeryError } = await import('../protocol/error-codes.ts');
      if (!Object.hasOwn(KINDS, what)) {
        throw new RookeryError(
          'BAD_REQUEST',
          `${what}: there is nothing of that name; there are ${Object.keys(KINDS).join(', ')}`,
        );
      }
      const kind = what as Kind;
      const misplaced = misplacedIn(kind, options);
      if (misplaced !== undefined) throw new RookeryError('BAD_REQUEST', misplaced);
      const standing: { published?: number } = {};
      await withOperator(
        options,
        'rebuild',
        options.shadow ? 'Interrupted. Nothing was changed.' : () => goOnOf(kind, standing),
        (operator) => (options.shadow ? shadow(kind, operator, options) : rebuild(kind, operator, options, standing)),
      );
    });
}

/** What cannot apply is refused: who is not told takes something else to be built anew than is. */
function misplacedIn(kind: Kind, { stateDir, stream }: Options): string | undefined {
  if (kind === 'inbox')
    return stateDir === undefined ? undefined : '--state-dir is of no INBOX stream: --stream names one';
  return stream === undefined
    ? undefined
    : `--stream is of inbox alone: of ${kind} all lanes of a folder are built anew`;
}

const dirOf = ({ stateDir }: Options, { stateDirs }: Operator, kind: Kind): string =>
  stateDir ?? (kind === 'read-model' ? stateDirs.readModel : stateDirs.fanOut);

/** Else a name that was mistyped is a folder of its own, and what was to be built anew is as it was. @throws RookeryError NOT_FOUND */
export async function refuseMissingFolder(stateDir: string): Promise<void> {
  const { statSync } = await import('node:fs');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  if (statSync(stateDir, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new RookeryError('NOT_FOUND', `there is no folder ${stateDir}; --state-dir names that of the worker`);
}

export function useOf({ inUse, holder }: { readonly inUse: boolean; readonly holder?: number }): string {
  if (inUse) return 'in use';
  if (holder !== undefined) return `in use once process ${holder} takes it, which does not answer`;
  return 'in use once a worker starts there';
}

/** To stderr, also where that is no terminal: nothing else is said meanwhile. */
export const tellingOfWait = (stateDir: string, lane: number) => (): void => {
  endBar();
  process.stderr.write(
    `lane ${lane}  built; waiting for the worker of ${stateDir}, which does not take it, for half a minute at most\n`,
  );
};

/** @throws RookeryError BAD_REQUEST */
async function inboxStreamsOf({ topology }: Operator, { stream }: Options): Promise<number[]> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const all = Array.from({ length: topology.inboxStreams }, (_, k) => k);
  if (stream === undefined) return all;
  const k = Number(stream.replace(/^INBOX_/, ''));
  if (all.includes(k)) return [k];
  throw new RookeryError('BAD_REQUEST', `--stream ${stream}: the topology has INBOX_0 to INBOX_${all.length - 1}`);
}

async function partsFor({ nats, topology, stop }: Operator, what: string): Promise<RebuildingParts> {
  const { ProgressBar } = await import('./progress.ts');
  const bar = new ProgressBar(what, 0);
  return { nats, topology, stop, onProgress: (position, end) => bar.at(position, end) };
}

async function rebuild(
  kind: Kind,
  operator: Operator,
  options: Options,
  standing: { published?: number },
): Promise<void> {
  const { rebuildFanOutState, rebuildInbox } = await import('../processes/rebuilding.ts');
  const { json } = options;
  if (kind === 'inbox') {
    for (const k of await inboxStreamsOf(operator, options)) {
      if (operator.stop.aborted) return;
      const result = await rebuildInbox(await partsFor(operator, `INBOX_${k}`), k);
      const { inboxStream, checkpoints, isComplete } = result;
      const text = isComplete ? 'complete' : 'empty: its workers write it once they run';
      if (json) await print(JSON.stringify(result));
      else if (!operator.stop.aborted)
        await print(`${inboxStream}  made anew, ${text} (up to ${checkpoints.join(', ')})`);
    }
    return;
  }
  await refuseMissingFolder(dirOf(options, operator, kind));
  for (let lane = 0; lane < operator.topology.convStreams; lane++) {
    if (operator.stop.aborted) return;
    const onPublished = (): void => {
      standing.published = lane;
    };
    const onWaiting = tellingOfWait(dirOf(options, operator, kind), lane);
    const parts = { ...(await partsFor(operator, `lane ${lane}`)), onPublished, onWaiting };
    const result =
      kind === 'read-model'
        ? await rebuildReadModel(parts, dirOf(options, operator, kind), lane)
        : await rebuildFanOutState(parts, dirOf(options, operator, kind), lane);
    if (!result) return;
    const { position, seconds } = result;
    const rate = Math.round(position / Math.max(0.001, seconds));
    const text = `lane ${lane}  rebuilt up to ${position} in ${seconds.toFixed(1)} s, ${rate} events/s, ${useOf(result)}`;
    await print(json ? JSON.stringify({ ...result, seconds: toMillis(seconds) }) : text);
  }
}

async function rebuildReadModel(
  { nats, onProgress, stop, onPublished, onWaiting }: RebuildingParts,
  stateDir: string,
  lane: number,
) {
  const { rebuild } = await import('../processes/read-model-files.ts');
  return rebuild({
    config: { stateDir },
    nats,
    lane,
    withDigest: false,
    onProgress,
    stop,
    ...(onPublished && { onPublished }),
    ...(onWaiting && { onWaiting }),
  });
}

async function shadow(kind: Kind, operator: Operator, options: Options): Promise<void> {
  const { shadowFile, shadowInbox } = await import('../processes/shadow.ts');
  for (let lane = 0; lane < operator.topology.convStreams; lane++) {
    const places = kind === 'inbox' ? await inboxStreamsOf(operator, options) : [0];
    for (const k of places) {
      if (operator.stop.aborted) return;
      const name = kind === 'inbox' ? `lane ${lane}, INBOX_${k}` : `lane ${lane}, ${kind}`;
      const parts = await partsFor(operator, name);
      const told: string[] = [];
      let printed = Promise.resolve();
      const onDifference = (difference: Difference | RowDifference): void => {
        if (options.json) printed = printed.then(() => print(JSON.stringify(difference)));
        else if (told.length < MAX_TOLD) told.push(lineOf(difference));
      };
      const verdict =
        kind === 'inbox'
          ? await shadowInbox(parts, lane, k, onDifference)
          : await shadowFile(kind, parts, dirOf(options, operator, kind), lane, onDifference);
      await printed;
      if (operator.stop.aborted) return;
      const { position, differences } = verdict;
      if (differences > 0) process.exitCode ??= 1;
      if (options.json) await print(JSON.stringify({ about: 'verdict', what: name, position, differences }));
      else {
        for (const line of told) await print(line);
        if (differences > told.length) await print(`… and ${differences - told.length} more: --json`);
        await print(
          `${name}  up to ${position}: ${differences === 0 ? 'no difference' : `${differences} differences`}`,
        );
      }
    }
  }
}

function lineOf(difference: Difference | RowDifference): string {
  const { about, lane, stands = '-', anew = '-' } = difference;
  switch (about) {
    case 'decision':
      return `decision  CONV_${lane}@${difference.pos} of ${difference.conversation}: ${stands} → ${anew}`;
    case 'inbox': {
      const { user, pos, conversation } = difference;
      return `inbox  ${user}  CONV_${lane}@${pos} of ${conversation}\n  stands  ${stands}\n  anew    ${anew}`;
    }
    default:
      return `${about}  ${difference.table} ${difference.key}\n  stands  ${stands}\n  anew    ${anew}`;
  }
}
