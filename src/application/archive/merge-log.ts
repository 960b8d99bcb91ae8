/**
 * Adds events of another log to this one, behind what is there, each once: by the id under which it was appended there. Their times
 * stay; positions and indexes are new ones. A second run finds all ids known and changes nothing.
 */
import type { KnownIds, MergeAppender, RecordReader, StoredRecord } from '../../ports/archive.ts';
import { USER_STREAM } from '../../protocol/subjects.ts';
import type { OnProgress } from './progress.ts';
import { identityOf, isOfConversation } from './readable.ts';

/** Kinds of people's events of which the newest is all that counts. */
const NEWEST_COUNTS: ReadonlySet<string> = new Set(['account', 'password']);

export interface MergeParts {
  readonly target: RecordReader;
  readonly appender: MergeAppender;
  readonly known: KnownIds;
  /** Whether it is a log that lives: what has changed in it meanwhile is not overwritten. */
  readonly isLive: boolean;
  readonly stop: AbortSignal;
  readonly onProgress: OnProgress;
}

export interface Merged {
  readonly stored: number;
  /** Stood there already. */
  readonly known: number;
  /** Of accounts and passwords that were changed in this log meanwhile: those here stay. */
  readonly superseded: number;
}

export class LogMerge {
  readonly #parts: MergeParts;
  #stored = 0;
  #known = 0;
  #superseded = 0;

  private constructor(parts: MergeParts) {
    this.#parts = parts;
  }

  /** Learns what is there; not all of it where it was stopped: nothing is to be added then. @throws RookeryError LOG_UNAVAILABLE, FILE_UNUSABLE */
  static async begin(parts: MergeParts): Promise<LogMerge> {
    const { target, known, stop, onProgress } = parts;
    for (const { name, lastSeq } of await target.streams()) {
      if (lastSeq === 0) continue;
      for await (const records of target.ids(name, lastSeq)) {
        if (stop.aborted) return new LogMerge(parts);
        for (const record of records) {
          const id = await storedIdOf(target, name, record);
          known.add(id);
          if (name === USER_STREAM) known.setNewest(record.subject, id);
        }
        onProgress({ step: `looking at ${name}`, done: records.at(-1)?.seq ?? 0, total: lastSeq });
      }
    }
    return new LogMerge(parts);
  }

  /** @param origin where the record stood: its name where it has no other */
  add(record: StoredRecord, origin: string): Promise<void> | undefined {
    const { appender, known, isLive } = this.#parts;
    const messageId = identityOf(record) || `${origin}@${record.seq}`;
    const isNewestAll = isLive && NEWEST_COUNTS.has(record.subject.split('.')[3] ?? '') && !isOfConversation(record);
    if (known.has(messageId)) {
      this.#known += 1;
      if (isNewestAll) known.setNewest(earlier(record), messageId);
      return undefined;
    }
    if (isNewestAll) {
      if (known.newest(record.subject) !== known.newest(earlier(record))) {
        this.#superseded += 1;
        return undefined;
      }
      known.setNewest(record.subject, messageId);
      known.setNewest(earlier(record), messageId);
    }
    known.add(messageId);
    this.#stored += 1;
    return appender.add({ ...record, messageId });
  }

  /** @throws RookeryError LOG_UNAVAILABLE: run it again, it goes on */
  async finish(): Promise<Merged> {
    await this.#parts.appender.settled();
    return { stored: this.#stored, known: this.#known, superseded: this.#superseded };
  }
}

/** Under which name it is kept what of a subject was merged last; no subject of NATS has a space. */
const earlier = ({ subject }: StoredRecord): string => `merged ${subject}`;

/** Of one whose id does not say it the event itself is read; there are few. */
async function storedIdOf(target: RecordReader, stream: string, record: StoredRecord): Promise<string> {
  if (record.messageId !== '' && !record.messageId.startsWith('retry:')) return record.messageId;
  for await (const [whole] of target.read(stream, record.seq, record.seq)) if (whole) return identityOf(whole);
  return record.messageId;
}
