/**
 * A worker without the lane's lease keeps its state file close behind: it folds the log up to the last checkpoint and emits
 * nothing. So it takes over within seconds, however long the log is.
 */
import { isUnreadable, type LogEvent, type LogReader } from '../../ports/conversation-log.ts';
import type { FanOutState } from '../../ports/fan-out-state.ts';
import type { InboxWriter } from '../../ports/inbox-writer.ts';
import { foldReadable } from '../../projections/fan-out.ts';

/** Events folded between two commits. */
const PORTION_EVENTS = 1_000;

export interface StandbyParts {
  readonly state: FanOutState;
  readonly writers: readonly InboxWriter[];
  readonly reader: LogReader;
}

/** Folds what all INBOX streams have confirmed since the last call; returns early when `stop` aborts. */
export async function follow({ state, writers, reader }: StandbyParts, stop: AbortSignal): Promise<void> {
  if (state.hasRebuilt) state.takeRebuilt();
  const confirmed = Math.min(...(await Promise.all(writers.map((writer) => writer.checkpointed()))));
  const to = Math.min(confirmed, await reader.lastPos());
  if (to <= state.position) return;
  let portion: LogEvent[] = [];
  let read = state.position;
  const fold = (): void => {
    state.apply(foldReadable(state, portion).changes, read);
    state.commit(read);
    portion = [];
  };
  for await (const record of reader.read(state.position + 1, to)) {
    if (stop.aborted) return;
    if (!isUnreadable(record)) portion.push(record);
    read = record.pos;
    if (portion.length >= PORTION_EVENTS) fold();
  }
  // As far as was read, not as far as was asked for: a state that says it knows more than it does gives indexes twice.
  if (read > state.position) fold();
}
