/** One lane's writer to one INBOX stream. */

/** A record of a window's plan for this stream; its place in the list is its offset. */
export interface PlannedRecord {
  readonly subject: string;
  readonly kind: 'copy' | 'pack' | 'pointer';
  /** The same array for all recipients of one run: encoded once. */
  readonly body: Uint8Array;
}

/** A span of the log, both ends included. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Up to where the stream holds this lane's records: all of the plans before `window`, and of its plan `records`. */
export interface ResumePoint {
  readonly window: Span;
  /** How many records of the window's plan are stored; Infinity when a checkpoint says all of it. */
  readonly records: number;
  /** The stream has dropped what it held of this lane: up to where that was, it cannot tell any more. */
  readonly evicted?: true;
}

export interface InboxWriter {
  /**
   * Begins a new term: from here on, what any other writer of this lane emits is void. Reads back how far the stream is;
   * `{ window: { from: 0, to: 0 }, records: Infinity }` for a stream that holds nothing of this lane.
   * Where the stream was lost it is made anew, and holds nothing.
   * @throws RookeryError TERM_LOST when another writer began a term at the same time, LOG_UNAVAILABLE
   */
  begin(): Promise<ResumePoint>;
  /**
   * Emits the plan of a window from record `skip` on, then its checkpoint; resolves when the server has confirmed the
   * checkpoint, so that everything up to the end of the window is stored and valid. One call at a time.
   * @throws RookeryError TERM_LOST (another writer took over, or the stream refused), LOG_UNAVAILABLE. Either way the
   *   term is over, what was stored of the window is found by the next `begin`.
   */
  write(window: Span, plan: readonly PlannedRecord[], skip: number): Promise<void>;
  /** End of the last window a checkpoint tells of, without beginning a term; 0 for none. */
  checkpointed(): Promise<number>;
  /** Whether marker and checkpoint will be evicted before long, so that a new term should begin. */
  needsNewTerm(): Promise<boolean>;
}
