/** Where the newest events that match begin: a log is read back from its end, in portions that grow, until there are as many. */
import type { LogReader, LogRecord } from '../../ports/conversation-log.ts';
import { readOn } from './followed-log.ts';

const FIRST_PORTION = 2_000;
const GROWTH = 4;

export interface Newest {
  /** Position of the oldest of them; one behind the end where nothing matches. */
  readonly from: number;
  /** Earlier events that match as well, or that nobody has looked at. */
  readonly earlier: number;
}

/**
 * @param count of positions, which are all that is held
 * @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING
 */
export async function newestMatching(
  { reader, first, end }: { readonly reader: Pick<LogReader, 'read'>; readonly first: number; readonly end: number },
  count: number,
  isWanted: (record: LogRecord) => boolean,
  stop: AbortSignal,
): Promise<Newest> {
  let [from, lookedFrom, missing, passed] = [end + 1, end + 1, count, 0];
  for (let portion = FIRST_PORTION; missing > 0 && lookedFrom > first && !stop.aborted; portion *= GROWTH) {
    const begin = Math.max(first, lookedFrom - portion);
    const found: number[] = [];
    for await (const record of readOn(reader, begin, lookedFrom - 1, stop)) {
      if (!isWanted(record) || found.push(record.pos) <= missing) continue;
      found.shift();
      passed += 1;
    }
    from = found[0] ?? from;
    missing -= found.length;
    lookedFrom = begin;
  }
  return { from, earlier: passed + Math.max(0, lookedFrom - first) };
}
