/** The log through the folds: what was taken, what refused, and how many entries inboxes get of it. */
import { isUnreadable, type LogEvent, type LogRecord } from '../../ports/conversation-log.ts';
import type { FanOutLookup, FanOutState } from '../../ports/fan-out-state.ts';
import { countReadable } from '../../projections/fan-out.ts';

/** Events folded together at most. */
const MAX_WINDOW_EVENTS = 2_000;

export class FoldCounts {
  /** All that were read. Each is one of: accepted, unchanged, duplicates, refused, unreadable. */
  events = 0;
  unreadable = 0;
  /** Those that changed something. */
  accepted = 0;
  /** Marks that were there already: allowed, and nothing came of them. */
  unchanged = 0;
  duplicates = 0;
  /** Inbox entries: one for each recipient. */
  entries = 0;
  readonly refused = new Map<string, number>();

  add(more: FoldCounts | Omit<FoldCounts, 'add'>): void {
    this.events += more.events;
    this.unreadable += more.unreadable;
    this.accepted += more.accepted;
    this.unchanged += more.unchanged;
    this.duplicates += more.duplicates;
    this.entries += more.entries;
    for (const [code, count] of more.refused) this.refused.set(code, (this.refused.get(code) ?? 0) + count);
  }
}

/** Consecutive records, behind those before. @throws RookeryError STATE_FILE_UNUSABLE */
export function foldCounted(
  state: FanOutLookup & Pick<FanOutState, 'apply'>,
  records: readonly LogRecord[],
  counts: FoldCounts,
): void {
  for (let i = 0; i < records.length; i += MAX_WINDOW_EVENTS) {
    foldWindowCounted(state, records.slice(i, i + MAX_WINDOW_EVENTS), counts);
  }
}

function foldWindowCounted(
  state: FanOutLookup & Pick<FanOutState, 'apply'>,
  records: readonly LogRecord[],
  counts: FoldCounts,
): void {
  const events = records.filter((record): record is LogEvent => !isUnreadable(record));
  const { accepted, unreadable, changes, counts: told } = countReadable(state, events);
  state.apply(changes, records.at(-1)?.pos ?? 0);
  const { entries, duplicates, refused } = told;
  const refusals = [...refused.values()].reduce((sum, count) => sum + count, 0);
  counts.add({
    events: records.length,
    unreadable: records.length - events.length + unreadable.length,
    accepted: accepted.length,
    unchanged: events.length - unreadable.length - accepted.length - duplicates - refusals,
    ...{ entries, duplicates, refused },
  });
}
