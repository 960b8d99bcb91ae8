/** The INBOX streams as a gateway reads them. One reader per stream; nothing may assume that there is only one stream. */

export interface InboxStreamInfo {
  /** Identity of the stream: another one after it was deleted and made anew. */
  readonly epoch: string;
  /** The oldest sequence still kept; lastSeq + 1 when the stream is empty. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** One stored message. `data` may be a view into a larger buffer: what is kept of it is copied. */
export interface InboxMessage {
  readonly seq: number;
  /** `inbox` with the user's subject token in `key`; `pack`, `term`, `cp` with the lane in `key`. */
  readonly kind: 'inbox' | 'pack' | 'term' | 'cp';
  readonly key: string;
  readonly data: Uint8Array;
}

export interface InboxReader {
  readonly stream: number;
  /**
   * @param known a position known to be stored: an answer that lacks it may be an old leader's, and is asked for again for some
   *   time before it is believed
   * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
   */
  info(known?: number): Promise<InboxStreamInfo>;
  /** The markers of all lanes that the stream keeps, in the order of the stream. There are few. */
  markers(): Promise<readonly InboxMessage[]>;
  /** The newest checkpoint of a lane; undefined where the stream keeps none. */
  checkpoint(lane: number): Promise<InboxMessage | undefined>;
  /**
   * Every message from `fromSeq` on, in order and without a gap, across reconnects, until `stop`. `onMessages` gets what
   * one read of the socket brought (at least one) and must not block. When the stream was deleted and made anew, or has
   * dropped what lies between, `onLost` is called once and the tail stops: the owner starts again from nothing.
   */
  tail(
    fromSeq: number,
    onMessages: (messages: readonly InboxMessage[]) => void,
    onLost: (reason: string) => void,
  ): Promise<Tail>;
  /** Tells the writers how far this gateway has read, so that they do not make the stream drop what it still needs. */
  reportTailed(gateway: string, seq: number): void;
  /** The user's next message with a sequence ≥ `fromSeq`, or undefined. About 0.4 ms. */
  nextFor(userToken: string, fromSeq: number): Promise<InboxMessage | undefined>;
  /**
   * Everything that the stream keeps from `fromSeq` to `toSeq`, both included, in order and in parts, as its leader has it. Some
   * 4 µs a message, for whoever it is.
   * @throws RookeryError LOG_UNAVAILABLE when it was interrupted: begin again behind the last message
   */
  read(fromSeq: number, toSeq: number): AsyncIterable<readonly InboxMessage[]>;
}

export interface Tail {
  stop(): Promise<void>;
}
