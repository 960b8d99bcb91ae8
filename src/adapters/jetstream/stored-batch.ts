/** A part of the log as it is stored, packed for another thread: nothing but the subjects is copied on the way there. */
import type { LogRecord } from '../../ports/conversation-log.ts';
import { logRecordOf } from './log-record.ts';

/** An event as it stands in the log, not yet decoded. */
export interface StoredEvent {
  readonly subject: string;
  readonly pos: number;
  /** When it happened, by original-time.ts. */
  readonly at: number;
  /** May be a view into a shared buffer. */
  readonly data: Uint8Array;
}

/** Of each event an element in every list; `ends`: where its data end in `data`, which has those of all. */
export interface StoredBatch {
  readonly subjects: readonly string[];
  readonly positions: Float64Array<ArrayBuffer>;
  readonly times: Float64Array<ArrayBuffer>;
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
}

export function packed(events: readonly StoredEvent[]): StoredBatch {
  const ends = new Uint32Array(events.length);
  let bytes = 0;
  for (const [i, { data }] of events.entries()) ends[i] = bytes += data.length;
  const all = new Uint8Array(bytes);
  for (const [i, { data }] of events.entries()) all.set(data, (ends[i] as number) - data.length);
  return {
    subjects: events.map(({ subject }) => subject),
    positions: Float64Array.from(events, ({ pos }) => pos),
    times: Float64Array.from(events, ({ at }) => at),
    ends,
    data: all,
  };
}

/** What goes to the other thread, and is no longer here then. */
export const transferred = ({ positions, times, ends, data }: StoredBatch): ArrayBuffer[] =>
  [positions, times, ends, data].map(({ buffer }) => buffer);

export function recordsIn({ subjects, positions, times, ends, data }: StoredBatch): LogRecord[] {
  let start = 0;
  return subjects.map((subject, i) => {
    const end = ends[i] as number;
    const record = logRecordOf(subject, positions[i] as number, times[i] as number, data.subarray(start, end));
    start = end;
    return record;
  });
}
