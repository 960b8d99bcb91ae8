/** The log folded up to a moment, into a read model of that moment. */
import { isUnreadable, type LogEvent, type LogRecord } from '../../ports/conversation-log.ts';
import type { ReadModel } from '../../ports/read-model.ts';
import { type FoldedWindow, foldReadable } from '../../projections/fan-out.ts';
import { readModelChanges } from '../../projections/read-model.ts';

/** Nobody asks while it is folded: large transactions. */
const WINDOW_EVENTS = 5_000;

export async function foldPast(
  records: AsyncIterable<LogRecord>,
  model: ReadModel,
  onWindow: (folded: FoldedWindow, position: number) => void,
): Promise<void> {
  let window: LogRecord[] = [];
  const fold = (): void => {
    const events = window.filter((record): record is LogEvent => !isUnreadable(record));
    const folded = foldReadable(model, events);
    const position = window.at(-1)?.pos ?? model.position;
    model.write(folded.changes, readModelChanges(folded.accepted), position, events.at(-1));
    window = [];
    onWindow(folded, position);
  };
  for await (const record of records) {
    window.push(record);
    if (window.length === WINDOW_EVENTS) fold();
  }
  if (window.length > 0) fold();
}
