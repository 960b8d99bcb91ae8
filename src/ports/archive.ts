/** The log as it is carried from one deployment to another: records as a stream stores them, and the file they travel in. */
import { RookeryError } from '../protocol/error-codes.ts';

/** One message of a stream of the log, whatever stands in it. */
export interface StoredRecord {
  /** Position in its stream. */
  readonly seq: number;
  /** When it happened, milliseconds since 1970: when the log stored it, or the time an import brought along. */
  readonly at: number;
  readonly subject: string;
  /** `Nats-Msg-Id`; empty where it has none. */
  readonly messageId: string;
  /** Other headers. Those that only tell the server how to store it (`Nats-Expected-…`) are not part of a record. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
}

/**
 * A record where it stands among the bytes of many, for who goes through millions: no object is made of it, nor any text. The same object
 * tells of the next one; what is kept of it is kept as `whole()`. A part of it is what `bytes` hold from its start on and before its end.
 */
export interface RecordInPlace {
  readonly bytes: Uint8Array;
  /** As those of a `StoredRecord`. */
  readonly seq: number;
  readonly at: number;
  readonly subjectStart: number;
  readonly subjectEnd: number;
  /** Nothing of a record without one. */
  readonly idStart: number;
  readonly idEnd: number;
  /** `name: value`, a line each; nothing of nearly all. */
  readonly headersStart: number;
  readonly headersEnd: number;
  readonly dataStart: number;
  readonly dataEnd: number;
  /** Its data are a view. */
  whole(): StoredRecord;
}

/** A stream as it stood when it was exported. */
export interface ArchivedStream {
  readonly name: string;
  /** Which one it was: its time of creation. */
  readonly created: string;
  /** The oldest position that was kept, and the newest; the positions of what the file may hold. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** What part of a log a file holds; nothing here: all of it. */
export interface Selection {
  readonly conversations?: readonly string[];
  readonly user?: string;
  /** Milliseconds since 1970: from `since` on, before `until`. What changes a conversation itself is there from its beginning. */
  readonly since?: number;
  readonly until?: number;
}

/** The beginning of a file. */
export interface ArchiveHeader {
  /** Version of the file's form. */
  readonly format: number;
  /** Version of the events, of the code that wrote the file. Single events may be older. */
  readonly eventSchema: number;
  readonly writtenBy: string;
  readonly compression: 'zstd' | 'gzip';
  readonly convStreams: number;
  readonly selection: Selection;
  readonly streams: readonly ArchivedStream[];
}

/** What a file holds of one stream. */
export interface StreamSummary {
  readonly name: string;
  readonly events: number;
  /** Of the bytes of all its records, in order: two logs with the same digest are the same log. */
  readonly digest: string;
  /** Of the first and the last record; 0 where there is none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The end of a file. One without it was cut off. */
export interface ArchiveEnd {
  readonly streams: readonly StreamSummary[];
}

/** Counts records and digests them, as they go by. */
export interface RecordCount {
  add(records: readonly StoredRecord[]): void;
  addInPlace(record: RecordInPlace): void;
  /** As it is now; more may be added. */
  readonly now: StreamSummary;
}

/** A log that is read back, stream by stream, once each was written. */
export interface ReadBack {
  /** All of a stream was written: it may be read while the next one is being written. */
  whole(stream: string): void;
  /**
   * What stands in each stream, up to the position that was asked for; to be called when all was written.
   * @throws RookeryError LOG_UNAVAILABLE
   */
  written(): Promise<readonly StreamSummary[]>;
  stop(): Promise<void>;
}

export interface ArchiveWriter {
  readonly header: ArchiveHeader;
  /** What is in the file already, of one that is gone on with: for each stream of the header. */
  readonly summaries: readonly StreamSummary[];
  /** Records of one stream come in its order, and the streams in the header's order. Resolves when it may be given more. */
  write(stream: number, records: readonly StoredRecord[]): Promise<void>;
  /** Puts the whole file in its place. @throws RookeryError FILE_UNUSABLE */
  finish(): Promise<ArchiveEnd>;
  /** Leaves what is whole of it for the next run. */
  abandon(): Promise<void>;
}

export interface ArchiveBlock {
  /** Of the header's streams. */
  readonly stream: number;
  readonly events: number;
  /** Of the first and the last record. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** All its records, as a reader of archives knows them. */
  readonly bytes: Uint8Array;
  /** Made of its bytes each time they are asked for. */
  readonly records: readonly StoredRecord[];
  /** All of them one after the other, from the first on: the same object each time; undefined behind the last. */
  inPlace(): () => RecordInPlace | undefined;
  /**
   * Nobody looks at it any more, nor at any data of it: its memory is given back at once. What is left to the garbage collector costs more
   * than all else that is done with a block.
   */
  release(): void;
}

export interface ArchiveReader {
  readonly header: ArchiveHeader;
  /** Of the file, for progress. */
  readonly bytes: number;
  /** How many of them were read. */
  readonly position: number;
  /** Undefined until `blocks` has come to the end. */
  readonly end: ArchiveEnd | undefined;
  /** Digest of the whole file, by which it is known again; undefined until `blocks` has come to the end. */
  readonly seal: string | undefined;
  /**
   * All records, from the beginning, a block at a time; each block is checked before it is given out, and with the last one the
   * whole. A few are read ahead.
   * @param seal of a file that was read to its end before: its records are not counted again, it must be the same file
   * @throws RookeryError ARCHIVE_DAMAGED that names the block
   */
  blocks(seal?: string): AsyncIterable<ArchiveBlock>;
  close(): Promise<void>;
}

/** A log to be exported, or imported into. */
export interface RecordReader {
  streams(): Promise<readonly ArchivedStream[]>;
  /**
   * Records of a stream from `from` to `to`, both included, in order, in portions. Reads ahead in bounds, and when it is interrupted goes on
   * behind the last one.
   * @param subjects only what matches one of these; none: all
   * @throws RookeryError LOG_UNAVAILABLE when it was interrupted again and again without any progress
   */
  read(stream: string, from: number, to: number, subjects?: readonly string[]): AsyncIterable<readonly StoredRecord[]>;
  /** As `read`, for who keeps nothing of them: counted as they go by, several times as fast. A turn for each portion. */
  counted(stream: string, from: number, to: number, count: RecordCount): AsyncIterable<void>;
  /** As `read`, of the whole stream and without data: several times as fast. */
  ids(stream: string, to: number): AsyncIterable<readonly StoredRecord[]>;
}

/** What a log holds, by ids, out of memory: a log has more of them than memory should hold. */
export interface KnownIds {
  has(id: string): boolean;
  add(id: string): void;
  /** Id of the newest event on a subject. */
  newest(subject: string): string | undefined;
  setNewest(subject: string, id: string): void;
  close(): void;
}

/** What of a record a log takes. */
export interface RecordLimits {
  /** Of its id, its other headers and its data together, beside what goes with each. */
  readonly bytes: number;
  /** Of its id and its other headers together. */
  readonly headerBytes: number;
  /** How far a record may be behind the one before it. */
  readonly holePositions: number;
}

/** Where a record was to be restored something stands already: somebody else's, or what this log was sent before and had yet to store. */
export class PositionTaken extends RookeryError {
  constructor(reason: string, options?: ErrorOptions) {
    super('IMPORT_MISMATCH', `somebody else writes to the log: ${reason}`, options);
  }
}

export interface RecordAppender {
  /**
   * Appends at exactly the record's position. Resolves when there is room for more, not when it is stored: that is `settled`.
   * A record at the next position but one or later leaves a hole, which is filled with a message that says so.
   * @throws PositionTaken when the stream's end is not where it should be · RookeryError LOG_UNAVAILABLE
   */
  restore(stream: string, record: RecordInPlace): Promise<void> | undefined;
  /** Resolves when all that was given is stored. @throws as above */
  settled(): Promise<void>;
}

export interface MergeAppender {
  /**
   * Appends behind whatever is there, under the record's id and with its own time; what the log has lately stored under that id is not stored
   * again. Of each stream only the beginning of what was given is ever stored, in its order, whatever goes wrong. Resolves when there is room
   * for more.
   * @throws RookeryError CONFLICT when another merge has gone on meanwhile · LOG_UNAVAILABLE: run it again, it goes on
   */
  add(record: StoredRecord): Promise<void> | undefined;
  /** Resolves when all that was given is stored. @throws as above */
  settled(): Promise<void>;
}
