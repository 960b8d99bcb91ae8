/** The log through the folds, as fast as it can be read: what was taken, what refused, and to whom entries go. */
import { isUnreadable, type LogEvent, type LogFollower, type LogRecord } from '../../ports/conversation-log.ts';
import type { FanOutLookup, FanOutState } from '../../ports/fan-out-state.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

/** Events folded together at most. */
const MAX_WINDOW_EVENTS = 2_000;

export class FoldCounts {
  events = 0;
  unreadable = 0;
  accepted = 0;
  duplicates = 0;
  /** Inbox entries: one for each recipient. */
  entries = 0;
  readonly refused = new Map<string, number>();

  add({ runs, accepted, unreadable }: ReturnType<typeof foldReadable>, events: number): void {
    this.events += events;
    this.accepted += accepted.length;
    this.unreadable += unreadable.length;
    for (const { audience, entries, timeline } of runs) {
      this.entries += audience.length * entries.length;
      // What is refused goes back beside the timeline.
      if (timeline) continue;
      for (const entry of entries) {
        if (entry.type === 'duplicate') this.duplicates += 1;
        else if (entry.type === 'rejected') this.refused.set(entry.code, (this.refused.get(entry.code) ?? 0) + 1);
      }
    }
  }
}

/**
 * Folds what stands from `from` to `to`, both there, in the turns in which it comes: while a turn is folded nothing more is read, so no
 * buffer grows.
 * @throws RookeryError LOG_UNAVAILABLE when the log is another one or has lost its end
 */
export async function foldTo(
  follower: LogFollower,
  from: number,
  to: number,
  fold: (records: readonly LogRecord[]) => void,
  stop: AbortSignal,
): Promise<void> {
  if (from > to || stop.aborted) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let isDone = false;
  const onRecords = (records: readonly LogRecord[]): void => {
    if (isDone) return;
    try {
      const beyond = records.findIndex(({ pos }) => pos > to);
      const wanted = beyond === -1 ? records : records.slice(0, beyond);
      for (let i = 0; i < wanted.length; i += MAX_WINDOW_EVENTS) fold(wanted.slice(i, i + MAX_WINDOW_EVENTS));
      isDone = beyond !== -1 || records.at(-1)?.pos === to;
      if (isDone) resolve();
    } catch (error) {
      isDone = true;
      reject(error);
    }
  };
  const onLost = (reason: string): void => reject(new RookeryError('LOG_UNAVAILABLE', `the log was lost: ${reason}`));
  const onStop = (): void => resolve();
  stop.addEventListener('abort', onStop);
  const following = await follower.follow(from, onRecords, onLost);
  try {
    await promise;
  } finally {
    isDone = true;
    stop.removeEventListener('abort', onStop);
    await following.stop();
  }
}

/** One window through the fold of inboxes. */
export function foldCounted(
  state: FanOutLookup & Pick<FanOutState, 'apply'>,
  records: readonly LogRecord[],
  counts: FoldCounts,
): void {
  const events = records.filter((record): record is LogEvent => !isUnreadable(record));
  counts.unreadable += records.length - events.length;
  const folded = foldReadable(state, events);
  state.apply(folded.changes, records.at(-1)?.pos ?? 0);
  counts.add(folded, records.length);
}
