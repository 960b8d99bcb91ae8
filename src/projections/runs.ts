/** Runs in the making: entries of one conversation with one audience, which are written once and sent to all. */
import type { RefusalCode } from '../domain/conversation.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { LogEvent } from '../ports/conversation-log.ts';
import type { Entry } from '../protocol/frames.ts';
import { plainEntry, timelineEntry } from './entry.ts';

/** At the bound a run is closed and the next one opened: a run becomes one message on the inbox stream. */
export const MAX_RUN_BYTES = 256 * 1_024;
export const MAX_RUN_ENTRIES = 256;
/** Names of the fields of an entry and its numbers, in MessagePack. */
const ENTRY_OVERHEAD_BYTES = 160;
/** UTF-8 of a UTF-16 code unit at most; and what MessagePack puts before a string. */
const MAX_BYTES_PER_CHAR = 3;
const STRING_HEADER_BYTES = 5;

export interface Run {
  readonly conversation: ConversationId;
  /**
   * Who gets it, in the order of writing. The same array for as long as the members stay the same, so that what is derived
   * from it can be kept. Room for channels: an audience of another kind than a list of users.
   */
  readonly audience: readonly UserId[];
  readonly entries: readonly Entry[];
  /** Timeline entries have consecutive indexes: the run can be told by its first index and its positions. */
  readonly timeline: boolean;
}

/** What the fold tells of each event: who is to see it, and as what. Whoever does not need the entries does not make them. */
export interface Outlet {
  /** An event that has an index in the timeline. */
  timeline(logged: LogEvent, audience: readonly UserId[], n: number): void;
  /** One that has none. */
  beside(logged: LogEvent, audience: readonly UserId[]): void;
  /** Back to who has sent it. @param original position of the one that was taken */
  duplicate(logged: LogEvent, original: number): void;
  rejected(logged: LogEvent, code: RefusalCode | 'MESSAGE_ID_EXPIRED'): void;
}

interface OpenRun extends Run {
  readonly entries: Entry[];
  bytes: number;
}

export class RunsDraft implements Outlet {
  readonly runs: OpenRun[] = [];
  readonly #openRuns = new Map<ConversationId, OpenRun>();

  timeline(logged: LogEvent, audience: readonly UserId[], n: number): void {
    this.#append(logged.conversation, audience, timelineEntry(logged, n), true);
  }

  beside(logged: LogEvent, audience: readonly UserId[]): void {
    this.#append(logged.conversation, audience, plainEntry(logged), false);
  }

  duplicate(logged: LogEvent, original: number): void {
    this.#returned(logged, { ...originOf(logged), type: 'duplicate', original });
  }

  rejected(logged: LogEvent, code: RefusalCode | 'MESSAGE_ID_EXPIRED'): void {
    this.#returned(logged, { ...originOf(logged), type: 'rejected', code });
  }

  #returned({ conversation, event }: LogEvent, entry: Entry): void {
    this.#append(conversation, [event.by], entry, false);
  }

  #append(id: ConversationId, audience: readonly UserId[], entry: Entry, timeline: boolean): void {
    const weight = ENTRY_OVERHEAD_BYTES + bytesOf(entry);
    let run = this.#openRuns.get(id);
    if (
      !run?.timeline ||
      !timeline ||
      run.audience !== audience ||
      run.entries.length >= MAX_RUN_ENTRIES ||
      run.bytes + weight > MAX_RUN_BYTES
    ) {
      run = { conversation: id, audience, entries: [], timeline, bytes: 0 };
      this.#openRuns.set(id, run);
      this.runs.push(run);
    }
    run.entries.push(entry);
    run.bytes += weight;
  }
}

const originOf = ({ pos, at, event }: LogEvent) => ({ pos, at, by: event.by, id: event.id });

/** Counts what a fold makes, and makes nothing. */
export class EntryCounts implements Outlet {
  /** Inbox entries: one for each recipient. */
  entries = 0;
  duplicates = 0;
  readonly refused = new Map<string, number>();

  timeline(_logged: LogEvent, { length }: readonly UserId[]): void {
    this.entries += length;
  }

  beside(_logged: LogEvent, { length }: readonly UserId[]): void {
    this.entries += length;
  }

  duplicate(): void {
    this.entries += 1;
    this.duplicates += 1;
  }

  rejected(_logged: LogEvent, code: string): void {
    this.entries += 1;
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}

/**
 * What an entry weighs at most, all that somebody else could fill included: a run must stay far below what the stream takes
 * of one message, or its lane would stand still for ever.
 */
function bytesOf(value: unknown): number {
  if (typeof value === 'string') return STRING_HEADER_BYTES + MAX_BYTES_PER_CHAR * value.length;
  if (typeof value !== 'object' || value === null) return STRING_HEADER_BYTES;
  if (value instanceof Uint8Array) return STRING_HEADER_BYTES + value.length;
  let bytes = STRING_HEADER_BYTES;
  for (const part of Object.values(value)) bytes += bytesOf(part);
  return bytes;
}
