/** What the fold made of one event: its conversation folded up to it, and on to find its retries. */
import type { UserId } from '../../domain/ids.ts';
import { isUnreadable, type LogEvent, type LogReader } from '../../ports/conversation-log.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { MemoryFanOutState } from '../../projections/memory-fan-out-state.ts';
import type { ErrorCode } from '../../protocol/error-codes.ts';
import { readOn } from './followed-log.ts';

const PORTION_EVENTS = 500;

export type Outcome =
  | { readonly type: 'accepted'; readonly n?: number }
  | { readonly type: 'rejected'; readonly code: ErrorCode }
  | { readonly type: 'duplicate'; readonly original: number }
  /** Accepted or not, it changes nothing: a read mark that does not move. */
  | { readonly type: 'changes nothing' }
  /** It makes the fold throw: it stands among the dead letters. */
  | { readonly type: 'dead letter'; readonly reason: string };

export interface FoldedEvent {
  readonly outcome: Outcome;
  /** Who gets the entry that became of it, in the order of writing. */
  readonly audience: readonly UserId[];
  /** At the end of the log. */
  readonly readMarks: ReadonlyMap<UserId, number>;
  readonly duplicates: readonly { readonly pos: number; readonly at: number }[];
}

/**
 * @param reader of the event's conversation
 * @returns undefined when `stop` aborted
 * @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING
 */
export async function foldOneEvent(
  reader: Pick<LogReader, 'lastPos' | 'read'>,
  { pos, conversation, event }: LogEvent,
  stop: AbortSignal,
): Promise<FoldedEvent | undefined> {
  const state = new MemoryFanOutState();
  const duplicates: { pos: number; at: number }[] = [];
  let portion: LogEvent[] = [];
  let found: Pick<FoldedEvent, 'outcome' | 'audience'> = { outcome: { type: 'changes nothing' }, audience: [] };
  const fold = (): void => {
    const folded = foldReadable(state, portion);
    state.apply(folded.changes);
    if (portion.length === 1 && portion[0]?.pos === pos) found = outcomeOf(folded);
    for (const { entries } of folded.runs) {
      for (const entry of entries) if (entry.type === 'duplicate' && entry.original === pos) duplicates.push(entry);
    }
    portion = [];
  };
  for await (const record of readOn(reader, 1, await reader.lastPos(), stop)) {
    if (isUnreadable(record)) continue;
    const isIt = record.pos === pos;
    if (isIt && portion.length > 0) fold();
    portion.push(record);
    if (isIt || portion.length === PORTION_EVENTS) fold();
  }
  if (stop.aborted) return undefined;
  if (portion.length > 0) fold();
  const { roster } = state.folded(conversation).conversation;
  const readers = new Set([...found.audience, ...roster.members.keys(), event.by]);
  const readMarks = new Map([...readers].map((user) => [user, state.readMark(conversation, user)]));
  return { ...found, readMarks, duplicates: duplicates.map(({ pos, at }) => ({ pos, at })) };
}

function outcomeOf({ runs, unreadable }: ReturnType<typeof foldReadable>): Pick<FoldedEvent, 'outcome' | 'audience'> {
  const [letter] = unreadable;
  if (letter) return { outcome: { type: 'dead letter', reason: letter.reason }, audience: [] };
  const [run] = runs;
  const entry = run?.entries[0];
  if (!run || !entry) return { outcome: { type: 'changes nothing' }, audience: [] };
  const { audience } = run;
  if (entry.type === 'rejected') return { outcome: { type: 'rejected', code: entry.code }, audience };
  if (entry.type === 'duplicate') return { outcome: { type: 'duplicate', original: entry.original }, audience };
  return { outcome: { type: 'accepted', ...('n' in entry && { n: entry.n }) }, audience };
}
