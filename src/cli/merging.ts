/** What commands have in common that add the events of one log to another: where to, and what is told in the end. */
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
  readonly copyInto?: string;
}

/** Runs `work`, which gives events to the merge one by one, and resolves when all of them are stored. */
export async function mergeInto(
  { nats, names, copyInto }: MergeTarget,
  bars: StepBars,
  work: (merge: LogMerge) => Promise<void>,
): Promise<Merged> {
  const { JetstreamRecordReader } = await import('../adapters/jetstream/record-reader.ts');
  const { JetstreamRecordAppender } = await import('../adapters/jetstream/record-appender.ts');
  const { SqliteKnownIds } = await import('../adapters/sqlite/known-ids.ts');
  const { LogMerge } = await import('../application/archive/merge-log.ts');
  const known = new SqliteKnownIds();
  const appender = new JetstreamRecordAppender({ ...nats, ends: new Map(), batched: new Set() });
  if (copyInto !== undefined) appender.intoStream(copyInto);
  try {
    const target = new JetstreamRecordReader({ ...nats, names });
    const merge = await LogMerge.begin({
      ...{ target, appender, known, isLive: copyInto === undefined },
      onProgress: (progress) => bars.at(progress),
    });
    await work(merge);
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
