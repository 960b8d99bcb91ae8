/** What an audit of an INBOX stream works with, and what it tells. */
import type { LogRecord } from '../../ports/conversation-log.ts';
import type { FanOutLookup, FanOutState } from '../../ports/fan-out-state.ts';
import type { PlannedRecord } from '../../ports/inbox-writer.ts';
import type { Topology } from '../../protocol/subjects.ts';

/** A valid record as it stands in the stream. */
export interface Held {
  readonly seq: number;
  /** The user's token; of a pack the lane. */
  readonly key: string;
  readonly kind: PlannedRecord['kind'] | 'unknown';
  readonly body: Uint8Array;
}

export type Flaw =
  | 'missing'
  | 'damaged'
  | 'doubled'
  /** The log gives nobody such an entry. */
  | 'not theirs'
  | 'out of order'
  /** No record of a known version. */
  | 'unreadable';

export interface Finding {
  readonly flaw: Flaw;
  readonly lane: number;
  readonly inboxStream: number;
  readonly user?: string;
  readonly conversation?: string;
  /** Of the events concerned, in the lane's log. */
  readonly positions?: readonly number[];
  /** Sequence of the record in the inbox stream, where there is one. */
  readonly seq?: number;
  /** By field, what the log says and what stands there; of an entry that is damaged. */
  readonly difference?: string;
}

export interface AuditParts {
  readonly lane: number;
  readonly inboxStream: number;
  readonly topology: Topology;
  /** Empty at first. */
  readonly state: FanOutLookup & Pick<FanOutState, 'apply'>;
  /** The lane's log, from its beginning. */
  readonly log: { take(to: number, max?: number): Promise<LogRecord[]> };
  /** Whether the stream may have dropped what came of an event of that time: milliseconds since 1970. */
  readonly mayHaveDropped: (at: number) => boolean;
  /** Records that repairs have put in the place of others, by `windowKey` and offset: of several the last one counts. */
  readonly repaired: ReadonlyMap<string, ReadonlyMap<number, readonly Held[]>>;
  readonly onFinding: (finding: Finding) => void;
  /** Told of each window in place of the check: for a comparison by entries. */
  readonly onWindow?: (window: ComparedWindow) => void;
}

/** What a window's records must be by the log, and what they are. */
export interface ComparedWindow {
  readonly lane: number;
  readonly plan: readonly PlannedRecord[];
  /** Those of repairs in the place of what they were written for. */
  readonly records: ReadonlyMap<number, readonly Held[]>;
  /** Records with a smaller offset were dropped with what came before them. */
  readonly cutOff: number;
}
