/** `rookery verify`: the log against the inboxes and the read models; `--repair` puts right what is not what the log says. */
import type { Command } from 'commander';
import type { Finding } from '../application/replay/audit-parts.ts';
import { type Operator, type OperatorOptions, operatorCommand, print, withOperator } from './operator.ts';
import { counted } from './terminal.ts';

interface Options extends OperatorOptions {
  readonly repair?: boolean;
  readonly stateDir?: string;
}

/** Of one stream; all are counted. */
const MAX_TOLD = 50;

const EXAMPLES = `  rookery verify                        every inbox entry and every row of the read model against the log
  rookery verify --repair               and what is wrong put right from the log
  rookery verify --config other/operator.json   of another deployment`;

const GO_ON = 'Interrupted. Nothing is left half done: run it again, it begins anew.';

export function registerVerify(program: Command): void {
  operatorCommand(program, 'verify', 'whether inboxes and read models are what the log says', EXAMPLES)
    .option('--repair', 'restore from the log what is missing, damaged, doubled or not theirs')
    .option('--state-dir <dir>', 'folder of a read-model worker on this machine (default: as configured)')
    .action((options: Options) =>
      withOperator(options, 'verify', GO_ON, async (operator) => {
        const { convStreams, inboxStreams } = operator.topology;
        for (let lane = 0; lane < convStreams; lane++) {
          for (let k = 0; k < inboxStreams; k++) await verifyStream(operator, options, lane, k);
          await verifyReadModel(operator, options, lane);
        }
      }),
    );
}

async function verifyStream(operator: Operator, options: Options, lane: number, k: number): Promise<void> {
  if (operator.stop.aborted) return;
  const { verifyInbox } = await import('../processes/inbox-verification.ts');
  const { findingText } = await import('../application/replay/window-check.ts');
  const { painted } = await import('./terminal.ts');
  const { ProgressBar } = await import('./progress.ts');
  const { nats, topology, stop } = operator;
  // Before: a repair holds the lane itself.
  const work = await workOnInbox(operator, lane);
  const run = async (hasRepair: boolean, isTelling: boolean) => {
    const told: Finding[] = [];
    const bar = new ProgressBar(`lane ${lane}, INBOX_${k}`, 0);
    const onFinding = (finding: Finding): void => {
      if (told.length < MAX_TOLD) told.push(finding);
    };
    const onProgress = (seq: number, end: number): void => bar.at(seq, end);
    const verdict = await verifyInbox({ nats, topology, lane, inboxStream: k, stop, onFinding, onProgress }, hasRepair);
    if (stop.aborted) return verdict;
    if (options.json)
      await print(JSON.stringify({ what: 'inbox', ...verdict, ...(verdict.lag > 0 && { work }), told }));
    else if (isTelling || verdict.findings > 0) {
      for (const finding of told) await print(painted(findingText(finding), 'red'));
      if (verdict.findings > told.length) await print(`… and ${verdict.findings - told.length} more`);
    }
    return verdict;
  };
  let verdict = await run(options.repair === true, true);
  if (verdict.repaired && !stop.aborted) {
    const { written, removed } = verdict.repaired;
    if (!options.json)
      await print(
        `repaired  ${verdict.inboxStream}: ${counted(written, 'record')} written anew, ${removed} taken away`,
      );
    verdict = await run(false, false);
  }
  if (verdict.findings > 0) process.exitCode ??= 1;
  if (options.json || stop.aborted) return;
  const { inboxStream, checkedTo, lag, windows, records, findings } = verdict;
  const said =
    findings === 0 ? painted('every entry is there once', 'green') : painted(counted(findings, 'finding'), 'red');
  const behind = behindText(lag, 'in the inboxes', work);
  await print(
    `lane ${lane}  ${inboxStream}  up to ${checkedTo}  ${counted(windows, 'window')}, ${counted(records, 'record')}: ${said}${behind}`,
  );
}

type Work = 'works' | 'silent' | 'none';

async function workOnInbox({ nats }: Operator, lane: number): Promise<Work> {
  const { laneHolder } = await import('../adapters/jetstream/between-processes/lane-standing.ts');
  return (await laneHolder(nats.jsm, lane)) === undefined ? 'none' : 'works';
}

/** Behind is what workers catch up with, unless there is none. */
function behindText(lag: number, where: string, work: Work | undefined): string {
  if (lag === 0) return '';
  const worker = { none: '; nobody works on it', silent: '; its worker does not answer', works: '' }[work ?? 'works'];
  return `, ${counted(lag, 'event')} behind it not yet ${where}${worker}`;
}

async function verifyReadModel(operator: Operator, options: Options, lane: number): Promise<void> {
  const { nats, stop, stateDirs } = operator;
  const { existsSync } = await import('node:fs');
  const { join } = await import('node:path');
  const { asRookeryError } = await import('../protocol/error-codes.ts');
  const { rebuild, verify, workOn } = await import('../processes/read-model-files.ts');
  const { ProgressBar } = await import('./progress.ts');
  const { painted } = await import('./terminal.ts');
  const { stateDir = stateDirs.readModel } = options;
  if (stop.aborted) return;
  const file = join(stateDir, `lane-${lane}.sqlite`);
  const isMissing = !existsSync(file);
  const { isLocalReadModel } = await import('../processes/configuration/operator.ts');
  const isLocal = (): boolean => isLocalReadModel(operator.access.servers, stateDir);
  // Nobody has said that a worker runs on this machine, and none ever did in the folder that is looked into unasked.
  const isExpected = options.stateDir !== undefined || stateDirs.isReadModelNamed || existsSync(stateDir) || isLocal();
  if (isMissing && !isExpected) return tellUnchecked(lane, stateDir, options);
  if (isMissing) await tellMissing(lane, file, options);
  const bar = new ProgressBar(`lane ${lane}, read model`, 0);
  const onProgress = (position: number, end: number): void => bar.at(position, end);
  const parts = { config: { stateDir }, nats, lane, withDigest: false, onProgress, stop };
  if (isMissing && !options.repair) return;
  // A damaged one is repaired as one that is wrong, and so is one that is gone.
  let verdict = await verify(parts).catch((thrown: unknown) => {
    const isUnusable = isMissing || asRookeryError(thrown).code === 'STATE_FILE_UNUSABLE';
    if (!options.repair || !isUnusable) throw thrown;
    return undefined;
  });
  if (!verdict?.same && options.repair && !stop.aborted) {
    const repaired = await rebuild(parts);
    if (!repaired) return;
    verdict = await verify(parts);
    if (!options.json) await print(`repaired  read model of lane ${lane}: built anew from the log`);
  }
  if (!verdict) return;
  if (!verdict.same) process.exitCode ??= 1;
  const { position, same, tables, difference, lag } = verdict;
  const work = lag > 0 ? await workOn(nats, stateDir) : undefined;
  if (options.json) return print(JSON.stringify({ what: 'read model', ...verdict, ...(work && { work }) }));
  const rows = tables.reduce((sum, { rows }) => sum + rows, 0);
  const said = same
    ? painted('byte-identical', 'green')
    : painted(
        `DIFFERS first in ${difference?.table}\n  file  ${difference?.one ?? '-'}\n  log   ${difference?.other ?? '-'}`,
        'red',
      );
  await print(
    `lane ${lane}  read model  up to ${position}  ${counted(tables.length, 'table')}, ${counted(rows, 'row')}: ${said}${behindText(lag, 'in the file', work)}`,
  );
}

/** No finding: but who reads that all is well must read as well what it was not said of. */
async function tellUnchecked(lane: number, stateDir: string, { json }: Options): Promise<void> {
  if (json) return print(JSON.stringify({ what: 'read model', lane, checked: false, stateDir }));
  await print(`lane ${lane}  read model  not checked: there is no folder ${stateDir} (--state-dir, or \`stateDirs\`)`);
}

async function tellMissing(lane: number, file: string, { json, repair }: Options): Promise<void> {
  const { painted } = await import('./terminal.ts');
  if (!repair) process.exitCode ??= 1;
  if (json) return print(JSON.stringify({ what: 'read model', lane, missing: file }));
  await print(`lane ${lane}  read model  ${painted(`MISSING: there is no ${file}`, 'red')}`);
}
