/** `rookery export`: the log, or a part of it, in one file. */
import { readFileSync, rmSync } from 'node:fs';
import type { Command } from 'commander';
import type { FileLock } from '../adapters/sqlite/file-lock.ts';
import type { ConversationId } from '../domain/ids.ts';
import type { ArchiveHeader, Selection } from '../ports/archive.ts';
import { asRookeryError, RookeryError } from '../protocol/error-codes.ts';
import {
  INTERRUPTED_EXIT_CODE,
  type Operator,
  type OperatorOptions,
  operatorCommand,
  print,
  withOperator,
} from './operator.ts';

interface Options extends OperatorOptions {
  readonly conversation?: readonly string[];
  readonly user?: string;
  readonly since?: string;
  readonly until?: string;
}

const EXAMPLES = `  rookery export log.rookery                        the whole log: conversations and people
  rookery export team.rookery --conversation team-7   one conversation; the option may be repeated
  rookery export alice.rookery --user alice         what is known of a user, and every conversation they are or were in
  rookery export june.rookery --since 2026-06-01 --until 2026-07-01
  rookery import log.rookery --config other.json    into another deployment`;

export function registerExport(program: Command): void {
  operatorCommand(program, 'export <file>', 'the log, or a part of it, as one compressed, checked file', EXAMPLES)
    .option('--conversation <id>', 'this conversation', (one: string, all: readonly string[] = []) => [...all, one])
    .option('--user <id>', 'this user: account, blocks, and their conversations as a whole')
    .option('--since <time>', 'from then on; what changes a conversation itself is there from its beginning')
    .option('--until <time>', 'before then')
    .action(async (path: string, options: Options) => {
      if (path === '-') throw new RookeryError('BAD_REQUEST', '-: give a file; an export is not written to stdout');
      const selection = await selectionOf(options);
      const goOn = `interrupted: the same command goes on behind what is in ${path}.part`;
      await withOperator(options, 'export', goOn, async (operator) => {
        await refuseUnknown(selection, operator);
        const lock = await lockOf(path);
        await exportTo(path, selection, operator, options.json).finally(() => lock.release());
      });
    });
}

async function selectionOf({ conversation, user, since, until }: Options): Promise<Selection> {
  const { parseConversationId, parseUserId } = await import('../domain/ids.ts');
  const { idFrom } = await import('./operator.ts');
  const { parseTime } = await import('./places.ts');
  const now = Date.now();
  for (const one of conversation ?? []) idFrom(one, parseConversationId, 'the conversation');
  idFrom(user, parseUserId, 'the user');
  const first = since === undefined ? Number.NEGATIVE_INFINITY : parseTime(since, now);
  const last = until === undefined ? Number.POSITIVE_INFINITY : parseTime(until, now);
  if (first >= last) throw new RookeryError('BAD_REQUEST', `--since ${since} is not before --until ${until}`);
  return {
    ...(conversation && { conversations: [...conversation].sort() }),
    ...(user !== undefined && { user }),
    ...(since !== undefined && { since: first }),
    ...(until !== undefined && { until: last }),
  };
}

async function exportTo(path: string, selection: Selection, operator: Operator, json = false): Promise<void> {
  const { JetstreamRecordReader, logStreams } = await import('../adapters/jetstream/records/record-reader.ts');
  const { FileArchiveWriter, partOf } = await import('../adapters/archive/archive-writer.ts');
  const { exportLog } = await import('../application/archive/export-log.ts');
  const { counted } = await import('./terminal.ts');
  const { secondsSince, StepBars } = await import('./progress.ts');
  const { nats, topology, stop } = operator;
  const reader = new JetstreamRecordReader({ ...nats, names: logStreams(topology) });
  const writer = await FileArchiveWriter.open(path, await headerOf(reader, selection, operator));
  const startedMs = performance.now();
  const bars = new StepBars('events');
  const end = await exportLog({ reader, writer, stop, onProgress: (progress) => bars.at(progress) }).catch(
    async (error: unknown) => {
      await writer.abandon();
      // A part that holds nothing is nothing to go on with.
      if (asRookeryError(error).code === 'NOT_FOUND') rmSync(partOf(path), { force: true });
      throw error;
    },
  );
  if (!end) {
    process.exitCode = INTERRUPTED_EXIT_CODE;
    return;
  }
  const events = end.streams.reduce((sum, stream) => sum + stream.events, 0);
  const seconds = secondsSince(startedMs);
  if (json) return print(JSON.stringify({ file: path, events, seconds, ...end }));
  for (const { name, events, digest } of end.streams)
    await print(`${name.padEnd(8)} ${counted(events, 'event')}  ${digest}`);
  await print(`${counted(events, 'event')} in ${path}, ${seconds.toFixed(1)} s`);
}

/**
 * Who writes there: until the archive is in its place, or whoever writes it has ended. The file beside it is the same by whatever name of
 * its folder it is found.
 * @throws RookeryError ALREADY_RUNNING, FILE_UNUSABLE
 */
async function lockOf(path: string): Promise<FileLock> {
  const { tryLockPassingFile } = await import('../adapters/sqlite/file-lock.ts');
  const { partOf } = await import('../adapters/archive/archive-writer.ts');
  const part = partOf(path);
  let lock: FileLock | undefined;
  try {
    lock = tryLockPassingFile(`${part}.lock`);
  } catch (cause) {
    throw new RookeryError('FILE_UNUSABLE', `${part} cannot be locked: ${(cause as Error).message}`, { cause });
  }
  if (!lock) throw new RookeryError('ALREADY_RUNNING', `another \`rookery export\` is writing ${part}`);
  return lock;
}

/** Before a file is begun: one without what was asked for looks like one with it. @throws RookeryError NOT_FOUND */
async function refuseUnknown({ conversations }: Selection, { nats, topology }: Operator): Promise<void> {
  const { JetstreamConversationReader } = await import('../adapters/jetstream/log/conversation-reader.ts');
  const { convStreamOf } = await import('../protocol/subjects.ts');
  for (const one of (conversations ?? []) as readonly ConversationId[]) {
    const convStream = convStreamOf(one, topology);
    const reader = new JetstreamConversationReader({ ...nats, convStream, conversation: one });
    if ((await reader.lastPos()) > 0) continue;
    throw new RookeryError('NOT_FOUND', `there is no conversation ${one} in the log; no file was written`);
  }
}

async function headerOf(
  reader: { streams(): Promise<ArchiveHeader['streams']> },
  selection: Selection,
  { topology }: Operator,
): Promise<ArchiveHeader> {
  const { bestCompression, FORMAT } = await import('../adapters/archive/frames.ts');
  const { LOG_SCHEMA_VERSION } = await import('../protocol/log-envelope.ts');
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return {
    format: FORMAT,
    eventSchema: LOG_SCHEMA_VERSION,
    writtenBy: `rookery ${version}`,
    compression: bestCompression,
    convStreams: topology.convStreams,
    selection,
    streams: await reader.streams(),
  };
}
