/** What commands have in common that add the events of one log to another: where to, and what is told in the end. */
import type { MergeLease } from '../adapters/jetstream/records/merge-lease.ts';
import type { LogMerge, Merged } from '../application/archive/merge-log.ts';
import type { Operator } from './operator.ts';
import { print } from './operator.ts';
import type { StepBars } from './progress.ts';
import { counted } from './terminal.ts';

/** Where the events go. */
export interface MergeTarget extends Pick<Operator, 'nats'> {
  /** The streams that are looked through for what is there already. */
  readonly names: readonly string[];
  /** Not into the log itself: into a stream of this name. */
  readonly copyInto?: string | undefined;
}

/** A record of another log may get a longer id than it had there (merge-log.ts). */
const MAX_ADDED_ID_BYTES = 512;

/**
 * Reads a file from end to end, before any of it goes anywhere: it is written with the rights of an operator.
 * @returns the seal by which the file is known again; undefined where it was stopped
 * @throws RookeryError FILE_UNUSABLE, ARCHIVE_DAMAGED, ARCHIVE_UNSUPPORTED, EVENT_UNREADABLE, IMPORT_MISMATCH: the target cannot hold it
 */
export async function checkedFile(
  path: string,
  { nats, names, copyInto }: MergeTarget,
  { keepUnreadable, bars, stop }: { keepUnreadable: boolean; bars: StepBars; stop: AbortSignal },
): Promise<string | undefined> {
  const { FileArchiveReader } = await import('../adapters/archive/archive-reader.ts');
  const { Summary } = await import('../adapters/archive/summary.ts');
  const { recordLimits } = await import('../adapters/jetstream/records/record-limits.ts');
  const { checkArchive } = await import('../application/archive/check-archive.ts');
  // A stream to copy into is not there yet.
  const { bytes, headerBytes } = await recordLimits(nats.nc, nats.jsm, copyInto === undefined ? names : []);
  const limits = {
    bytes: bytes - MAX_ADDED_ID_BYTES,
    headerBytes: headerBytes - MAX_ADDED_ID_BYTES,
    holePositions: Number.POSITIVE_INFINITY,
  };
  const archive = await FileArchiveReader.open(path);
  try {
    const rules = { keepUnreadable, convStreams: archive.header.convStreams, limits };
    const checked = await checkArchive({
      ...{ archive, rules, stop, upTo: new Map(), countOf: (stream) => new Summary(stream) },
      onProgress: (progress) => bars.at(progress),
    });
    return checked?.seal;
  } finally {
    await archive.close();
  }
}

/**
 * Runs `work`, which gives events to the merge one by one, and resolves when all of them are stored. Stopped before it, it does nothing. One at a time into
 * a target.
 * @throws RookeryError ALREADY_RUNNING before anything was done; CONFLICT where another went on while this one was silent
 */
export async function mergeInto(
  { nats, names, copyInto }: MergeTarget,
  bars: StepBars,
  stop: AbortSignal,
  work: (merge: LogMerge) => Promise<void>,
): Promise<Merged> {
  const { MergeLease } = await import('../adapters/jetstream/records/merge-lease.ts');
  const lease = await MergeLease.take(nats, stop, copyInto);
  if (!lease) return NOTHING;
  let merged: Merged;
  try {
    merged = await mergeWith(lease, { nats, names, copyInto }, bars, stop, work);
  } catch (thrown) {
    // What was on its way may not be stored yet, and the next one must know of it.
    lease.lapse();
    throw await lease.reasonFor(thrown);
  }
  await lease.release();
  return merged;
}

const NOTHING: Merged = { stored: 0, known: 0, superseded: 0 };

async function mergeWith(
  lease: MergeLease,
  { nats, names, copyInto }: MergeTarget,
  bars: StepBars,
  stop: AbortSignal,
  work: (merge: LogMerge) => Promise<void>,
): Promise<Merged> {
  const { JetstreamRecordReader } = await import('../adapters/jetstream/records/record-reader.ts');
  const { JetstreamMergeAppender } = await import('../adapters/jetstream/records/merge-appender.ts');
  const { batchedStreams } = await import('../adapters/jetstream/records/record-batches.ts');
  const { SqliteKnownIds } = await import('../adapters/sqlite/known-ids.ts');
  const { LogMerge } = await import('../application/archive/merge-log.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { logStreamOf } = await import('../protocol/subjects.ts');
  const batched = await batchedStreams(nats.jsm, names);
  const unready = names.find((name) => !batched.has(name));
  if (unready !== undefined) {
    const cure = copyInto === undefined ? '`rookery streams apply` sets it' : '`rookery streams remove` takes it away';
    throw new RookeryError('CONFIGURATION_INVALID', `${unready} takes no batches (\`allow_batched\`): ${cure}`);
  }
  const convStreams = names.length - 1;
  const placeOf = (subject: string) =>
    copyInto === undefined
      ? { stream: logStreamOf(subject, convStreams), subject }
      : { stream: copyInto, subject: `${copyInto}.${subject}` };
  const known = new SqliteKnownIds();
  const appender = new JetstreamMergeAppender({ ...nats, lease, placeOf });
  try {
    const target = new JetstreamRecordReader({ ...nats, names });
    const merge = await LogMerge.begin({
      ...{ target, appender, known, stop, isLive: copyInto === undefined },
      onProgress: (progress) => bars.at(progress),
    });
    // What is there is not known then.
    if (!stop.aborted) await work(merge);
    return await merge.finish();
  } finally {
    appender.stop();
    known.close();
  }
}

export async function tellMerged({ stored, known, superseded }: Merged): Promise<void> {
  const kept =
    superseded > 0 ? `, ${superseded} of accounts that were changed here meanwhile and stay as they are` : '';
  await print(`${counted(stored, 'event')} stored, ${counted(known, 'was', 'were')} there already${kept}`);
  if (stored > 0)
    await print('times and ids are as they were; positions in the log and indexes in conversations are new ones');
}
