/** `rookery stats`: how the deployment stands, once or over and over. */
import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Stats, StreamStats, WorkerStats } from '../processes/deployment-stats.ts';
import { type OperatorOptions, operatorCommand, print, withOperator } from './operator.ts';

interface Options extends OperatorOptions {
  readonly watch?: boolean;
  readonly every?: string;
}

const CTRL_C = 3;
/** A lag that is worth a colour. */
const LATE_SECONDS = 5;
const SLOW_SECONDS = 1;

const EXAMPLES = `  rookery stats                       once
  rookery stats --watch               a page that is drawn anew each second; Ctrl-C or q ends it
  rookery stats --json | jq .workers  for a monitor
  rookery stats --watch --json        one object a second`;

export function registerStats(program: Command): void {
  operatorCommand(program, 'stats', 'streams, lags, slowest consumers, dead letters, hot conversations', EXAMPLES)
    .option('--watch', 'over and over')
    .option('--every <seconds>', 'between two looks of --watch (default: 1)')
    .action(async (options: Options) => {
      const { RookeryError } = await import('../protocol/error-codes.ts');
      const { every = '1' } = options;
      if (options.every !== undefined && !options.watch) throw new RookeryError('BAD_REQUEST', '--every is of --watch');
      const everyMs = Number(every) * 1_000;
      if (!(everyMs >= 100 && everyMs <= 3_600_000)) {
        throw new RookeryError('BAD_REQUEST', `--every ${every}: 0.1 to 3600 seconds`);
      }
      await withOperator(options, 'stats', '', async ({ nats, topology, stateDirs, stop }) => {
        const { DeploymentStats } = await import('../processes/deployment-stats.ts');
        const source = new DeploymentStats(nats, topology, stateDirs.readModel);
        try {
          if (options.watch) await watch(source, options, everyMs, stop);
          else {
            const stats = await source.look();
            await print(options.json ? JSON.stringify(stats) : await pageOf(stats));
            if (stats.streams.some(({ missing }) => missing)) process.exitCode = 1;
          }
        } finally {
          source.stop();
        }
      });
    });
}

/** On a terminal on a page of its own, which leaves what was there as it was. */
async function watch(
  source: { look(): Promise<Stats> },
  { json }: Options,
  everyMs: number,
  interrupted: AbortSignal,
): Promise<void> {
  const { Page } = await import('./page.ts');
  const page = process.stdout.isTTY === true && !json ? new Page(process.stdout) : undefined;
  const quit = new AbortController();
  const stop = AbortSignal.any([interrupted, quit.signal]);
  const forget = page ? onKeys(() => quit.abort()) : () => undefined;
  try {
    while (!stop.aborted) {
      const text = await source.look().then(
        (stats) => (json ? JSON.stringify(stats) : pageOf(stats)),
        // A server that restarts ends no page that is watched.
        (error: unknown) => (json ? JSON.stringify({ error: String(error) }) : `\n${String(error)}`),
      );
      if (page) page.draw(text);
      else await print(text);
      await pause(everyMs, stop);
    }
  } finally {
    forget();
    page?.close();
  }
}

/** Keys come one by one: q is one that is done, and Ctrl-C is a key now. */
function onKeys(quit: () => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  const onData = (data: Buffer): void => {
    if (data.includes(CTRL_C)) process.kill(process.pid, 'SIGINT');
    else if (data.includes('q')) quit();
  };
  stdin.setRawMode(true).on('data', onData).resume();
  return () => void stdin.off('data', onData).setRawMode(false).pause();
}

const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  setTimeout(ms, undefined, { signal: stop }).catch(() => undefined);

async function pageOf({ at, streams, workers, slowest, deadLetters, hot }: Stats): Promise<string> {
  const { counted, cut, onOneLine, painted, table } = await import('./terminal.ts');
  const { shownTime } = await import('./places.ts');
  const now = Date.parse(at);
  const heading = (text: string): string => painted(text, 'bold');
  const rows = streams.map((stream) => streamRow(stream, counted(stream.messages, 'message'), now));
  const lagging = workers.map((worker) => [...workerRow(worker), painted(cut(onOneLine(worker.id), 60), 'dim')]);
  const letters = deadLetters === 0 ? 'none' : painted(`${deadLetters}: rookery dead list`, 'red');
  const waiting = slowest
    .filter(({ pending, unacked }) => pending + unacked > 0)
    .map(({ stream, consumer, pending, unacked, redelivered }) => [
      `${stream}/${onOneLine(consumer)}`,
      `${pending} pending`,
      `${unacked} unacked`,
      `${redelivered} redelivered`,
    ]);
  const loud = hot.map(({ conversation, events, share }) => [
    cut(onOneLine(conversation), 60),
    counted(events, 'event'),
    `${(share * 100).toFixed(1)} %`,
  ]);
  return [
    `${heading('Rookery')}  ${shownTime(now)}`,
    `\n${heading('streams')}`,
    table(
      rows.map((row) => row.map((cell) => (cell.includes('MISSING') ? painted(cell, 'red') : cell))),
      '  ',
    ),
    `\n${heading('workers')}`,
    table(lagging, '  ') || '  none tells of itself',
    `\n${heading('slowest consumers')}`,
    table(waiting, '  ') || '  none has anything to do',
    `\n${heading('dead letters')}  ${letters}`,
    `\n${heading('hot conversations')}, of the newest events`,
    table(loud, '  ') || '  nobody speaks',
  ].join('\n');
}

function streamRow(
  { name, missing, bytes, first, last, lastAt, leader, behind }: StreamStats,
  messages: string,
  now: number,
): string[] {
  if (missing) return [name, missing];
  const age = lastAt === undefined ? 'empty' : `newest ${shownSeconds(Math.max(0, now - lastAt) / 1_000)} ago`;
  const copies = behind.length > 0 ? `behind: ${behind.join(', ')}` : (leader ?? '');
  return [name, messages, shownBytes(bytes), `${first} … ${last}`, age, copies];
}

function workerRow({ worker, stream, position, lag, lagSeconds, answers }: WorkerStats): string[] {
  const behind = lag === 0 ? 'nothing behind' : `${lag} behind, ${shownSeconds(lagSeconds)}`;
  if (answers === false) return [worker, stream, `at ${position}`, `!! does not answer, ${behind}`];
  const text = lag === 0 ? 'up to date' : behind;
  const mark = lagSeconds > LATE_SECONDS ? '!! ' : lagSeconds > SLOW_SECONDS ? '! ' : '';
  return [worker, stream, `at ${position}`, mark + text];
}

const shownSeconds = (seconds: number): string =>
  seconds < 90
    ? `${seconds.toFixed(1)} s`
    : seconds < 5_400
      ? `${Math.round(seconds / 60)} min`
      : `${Math.round(seconds / 3_600)} h`;

const shownBytes = (bytes: number): string =>
  bytes < 2 ** 20
    ? `${(bytes / 2 ** 10).toFixed(1)} KiB`
    : bytes < 2 ** 30
      ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
      : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
