/** A lane's events, in order, for the one worker that runs the lane. */
import type { LogRecord } from './conversation-log.ts';

export interface TakeBound {
  readonly maxRecords: number;
  /** Of the events as stored; a single larger one is given all the same. */
  readonly maxBytes: number;
  /** Up to which position records may be taken when the first of them stands at `firstPos`. */
  readonly limit: (firstPos: number) => number;
}

export interface LaneSource {
  /**
   * Position of the newest event in the stream; 0 for an empty one.
   * @param known a position known to be stored: an answer that lacks it may be an old leader's, and is asked for again for some
   *   time before it is believed
   */
  lastPos(known: number): Promise<number>;
  /** Begins to deliver from `pos` on, whatever was delivered or acked before, and whatever became of the consumer. */
  open(pos: number): Promise<void>;
  /**
   * What is there: at least one record, at most what `bound` allows. Waits only while there is nothing, and for at most
   * `waitMs`: then an empty list.
   * @throws RookeryError LOG_UNAVAILABLE when the order is broken or in doubt (another reader, a lost consumer): open anew
   */
  take(bound: TakeBound, waitMs: number): Promise<readonly LogRecord[]>;
  /** Acks all taken records up to `pos`: only after what they caused is stored. */
  ack(pos: number): void;
  close(): Promise<void>;
}
