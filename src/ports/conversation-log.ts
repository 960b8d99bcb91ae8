/** The log of all conversations: the truth. */
import type { ConversationEvent } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';

/** Where an event stands. Positions of one conversation only grow; those of different streams say nothing of each other. */
export interface Appended {
  readonly pos: number;
  /** The log had it already, within JetStream's duplicate window. */
  readonly duplicate: boolean;
}

export interface AppendOptions {
  /**
   * Optimistic lock, for state events: the position of the conversation's last state event, 0 for none. Where another one
   * came between: RookeryError CONFLICT, nothing is appended.
   */
  readonly expectedStatePos?: number;
}

export interface ConversationLog {
  /**
   * Appends once, however often the same (conversation, by, id) is given within the duplicate window. Resolves when the
   * event is durable under the deployment's profile, never before. Events of one sender are stored in the order of the
   * calls. On a timeout it tries again with the same id.
   *
   * @throws RookeryError OVERLOADED (a bound is reached, with retryAfterMs) · LOG_UNAVAILABLE (no answer within the
   *   deadline: the event may stand in the log or not; a retry with the same id is safe) · CONFLICT
   */
  append(conversation: ConversationId, event: ConversationEvent, options?: AppendOptions): Promise<Appended>;
  /**
   * Position of the conversation's newest state event in the log, folded or not; 0 for none.
   * @throws RookeryError LOG_UNAVAILABLE
   */
  lastStatePos(conversation: ConversationId): Promise<number>;
}

/** Blocking or unblocking somebody, in the log of people. */
export interface BlockEvent {
  readonly by: UserId;
  readonly id: ClientMsgId;
  readonly user: UserId;
  readonly blocked: boolean;
}

export interface UserLog {
  /** As `ConversationLog.append`. */
  appendBlock(event: BlockEvent): Promise<Appended>;
}

/** An event as read back. */
export interface LogEvent {
  readonly pos: number;
  /** When the log stored it: milliseconds since 1970. The fold knows no other clock. */
  readonly at: number;
  readonly conversation: ConversationId;
  readonly event: ConversationEvent;
}

/** What stands at a position and cannot be decoded: for the dead letters. */
export interface UnreadableEvent {
  readonly pos: number;
  /** As of an event, where the log itself was read. */
  readonly at?: number;
  readonly subject: string;
  readonly reason: string;
  readonly data: Uint8Array;
}

export type LogRecord = LogEvent | UnreadableEvent;
export const isUnreadable = (record: LogRecord): record is UnreadableEvent => 'reason' in record;

/** Reading the log from outside a worker: a gateway's resync, the CLI. One per CONV stream. */
export interface LogReader {
  /**
   * Position of the newest event, 0 for an empty log.
   * @param known one that should be stored: who does not know it is asked again, for some time
   */
  lastPos(known?: number): Promise<number>;
  /**
   * Events from `from` to `to` or the log's end, both included, in order: all of them, or it throws. Reads ahead in a bounded buffer.
   * @throws RookeryError LOG_UNAVAILABLE when it was interrupted
   */
  read(from: number, to: number): AsyncIterable<LogRecord>;
  /** The same, some hundred at a time: whoever reads much does not want to wait for each. None is empty. */
  readParts(from: number, to: number): AsyncIterable<readonly LogRecord[]>;
  /** The event at one position, or undefined where there is none. */
  at(pos: number): Promise<LogRecord | undefined>;
}

/** Reading a CONV stream as it grows. */
export interface LogFollower {
  /**
   * Every event from `from` on, in order and without a gap, across reconnects, until `stop`. `onRecords` gets what one read of
   * the socket brought (at least one record), and while it works nothing more is read: what is sent ahead waits in the
   * kernel's buffers. When the log is another one or has lost its end, `onLost` is called once and nothing more comes.
   * @throws RookeryError LOG_UNAVAILABLE, STREAM_MISSING
   */
  follow(
    from: number,
    onRecords: (records: readonly LogRecord[]) => void,
    onLost: (reason: string) => void,
  ): Promise<{ stop(): Promise<void> }>;
}
