/** Several CONV streams as one log, by the log's time: positions of different streams say nothing of each other. */
import type { LogRecord } from '../../ports/conversation-log.ts';

export interface Part {
  readonly convStream: number;
  readonly records: AsyncIterable<LogRecord>;
}

interface Head {
  readonly convStream: number;
  readonly rest: AsyncIterator<LogRecord>;
  record: LogRecord;
}

/** Within a stream in its order; of several the one whose next record is the oldest. */
export async function* mergedByTime(parts: readonly Part[]) {
  const heads: Head[] = [];
  for (const { convStream, records } of parts) {
    const rest = records[Symbol.asyncIterator]();
    const { done, value } = await rest.next();
    if (!done) heads.push({ convStream, rest, record: value });
  }
  try {
    while (heads.length > 0) {
      let oldest = 0;
      for (let i = 1; i < heads.length; i++) if (timeOf(heads[i]) < timeOf(heads[oldest])) oldest = i;
      const head = heads[oldest] as Head;
      yield { record: head.record, convStream: head.convStream };
      const { done, value } = await head.rest.next();
      if (done) heads.splice(oldest, 1);
      else head.record = value;
    }
  } finally {
    for (const { rest } of heads) await rest.return?.();
  }
}

const timeOf = (head: Head | undefined): number => head?.record.at ?? 0;
