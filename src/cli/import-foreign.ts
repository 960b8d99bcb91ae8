/** `rookery import slack|telegram|irc`: what other messengers leave. */
import type { Command } from 'commander';
import type { Merged } from '../application/archive/merge-log.ts';
import type { ForeignCounts, ForeignReport } from '../application/foreign/report.ts';
import type { StoredRecord } from '../ports/archive.ts';
import type { ForeignFiles } from '../ports/foreign-files.ts';
import { INTERRUPTED_EXIT_CODE, type OperatorOptions, operatorCommand, print, withOperator } from './operator.ts';

type Records = (files: ForeignFiles, report: ForeignReport) => AsyncIterable<StoredRecord>;

const GO_ON = 'interrupted: the same command goes on with what is not there yet';

const SLACK_EXAMPLES = `  rookery import slack export.zip                  users become slack-U…, channels slack-C…
  rookery import slack export-folder --json > report.json`;
const TELEGRAM_EXAMPLES = `  rookery import telegram result.json              as Telegram Desktop exports it, in JSON: one chat, or all
  rookery import telegram DataExport_2026-07-01`;
const IRC_EXAMPLES = `  rookery import irc '#go.log'                     irssi, WeeChat or ZNC: a file
  rookery import irc ~/.znc/moddata/log/me/libera --utc
  rookery import irc talk.txt --channel '#go'`;

export function registerForeignImports(parent: Command): void {
  operatorCommand(parent, 'slack <path>', 'an export of Slack: the zip file, or its folder', SLACK_EXAMPLES).action(
    async (path: string, _own: unknown, command: Command) => {
      const { slackRecords } = await import('../application/foreign/slack.ts');
      await importFrom('slack', path, optionsOf(command), slackRecords);
    },
  );
  operatorCommand(
    parent,
    'telegram <path>',
    'an export of Telegram Desktop: result.json, or its folder',
    TELEGRAM_EXAMPLES,
  ).action(async (path: string, _own: unknown, command: Command) => {
    const { telegramRecords } = await import('../application/foreign/telegram.ts');
    await importFrom('telegram', path, optionsOf(command), telegramRecords);
  });
  operatorCommand(parent, 'irc <path>', 'logs of irssi, WeeChat or ZNC: a file, or a folder of them', IRC_EXAMPLES)
    .option('--channel <name>', 'all of it is of this channel')
    .option('--utc', "times are in UTC, instead of this machine's zone")
    .action(async (path: string, _own: unknown, command: Command) => {
      const options = optionsOf<{ channel?: string; utc?: true }>(command);
      const { ircRecords } = await import('../application/foreign/irc.ts');
      const how = { channel: options.channel, isUtc: options.utc === true };
      await importFrom('irc', path, options, (files, report) => ircRecords(files, report, how));
    });
}

/** Those that `import` has as well are taken by it, wherever they stand. */
const optionsOf = <More = unknown>(command: Command): OperatorOptions & More => command.optsWithGlobals();

async function importFrom(source: string, path: string, options: OperatorOptions, recordsOf: Records): Promise<void> {
  const { openForeignFiles } = await import('../adapters/foreign/foreign-files.ts');
  const { logStreams } = await import('../adapters/jetstream/records/record-reader.ts');
  const { ForeignReport } = await import('../application/foreign/report.ts');
  const { mergeInto } = await import('./merging.ts');
  const { StepBars } = await import('./progress.ts');
  const files = await openForeignFiles(path);
  const report = new ForeignReport();
  await withOperator(options, `import ${source}`, GO_ON, async ({ nats, topology, stop }) => {
    const bars = new StepBars('events');
    const target = { nats, names: logStreams(topology) };
    const merged = await mergeInto(target, bars, stop, async (merge) => {
      for await (const record of recordsOf(files, report)) {
        const room = merge.add(record, source);
        if (room) await room;
        // Read once to look, once to tell.
        const total = 2 * files.bytes;
        bars.at({ step: `importing from ${source}`, done: Math.min(files.bytesRead, total), total, unit: 'bytes' });
        if (stop.aborted) return;
      }
    });
    if (stop.aborted) process.exitCode = INTERRUPTED_EXIT_CODE;
    await tell(source, merged, report.counts, stop.aborted, options.json);
  }).finally(() => files.close());
}

async function tell(
  source: string,
  merged: Merged,
  counts: ForeignCounts,
  isStopped: boolean,
  json = false,
): Promise<void> {
  if (json) return print(JSON.stringify({ mode: 'merged', source, complete: !isStopped, ...merged, ...counts }));
  const { counted, onOneLine, table } = await import('./terminal.ts');
  for (const [what, count] of Object.entries(counts.mapped))
    await print(counted(count, what === 'people' ? 'person' : what.replace(/s$/, ''), what));
  await print(`${counted(merged.stored, 'event')} stored, ${counted(merged.known, 'was', 'were')} there already`);
  if (merged.superseded > 0) await print(`${merged.superseded} of accounts that were changed here meanwhile and stay`);
  if (counts.notMapped.length === 0) return;
  await print('not mapped:');
  const rows = counts.notMapped.map(({ what, count, example }) => [String(count), onOneLine(what), onOneLine(example)]);
  await print(table(rows, '  '));
}
