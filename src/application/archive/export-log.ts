/** Writes the log, or a part of it, into an archive. What stands in it when it begins is what the file will hold. */
import type { ConversationId, UserId } from '../../domain/ids.ts';
import type { ArchiveEnd, ArchiveWriter, RecordReader, Selection, StoredRecord } from '../../ports/archive.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { conversationSubject, tokenOf, USER_STREAM, userSubject } from '../../protocol/subjects.ts';
import type { OnProgress } from './progress.ts';
import { eventIn, isOfConversation } from './readable.ts';

export interface ExportParts {
  readonly reader: RecordReader;
  readonly writer: ArchiveWriter;
  readonly stop: AbortSignal;
  readonly onProgress: OnProgress;
}

/**
 * Undefined where it was stopped: then what there is can be gone on with.
 * @throws RookeryError NOT_FOUND where nothing is what was selected; LOG_UNAVAILABLE, FILE_UNUSABLE
 */
export async function exportLog(parts: ExportParts): Promise<ArchiveEnd | undefined> {
  const { writer } = parts;
  const wanted = await wantedOf(parts);
  let events = writer.summaries.reduce((sum, summary) => sum + summary.events, 0);
  for (const [number, { name, firstSeq, lastSeq }] of writer.header.streams.entries()) {
    const subjects = wanted.subjectsOf(name);
    const begun = writer.summaries[number]?.lastSeq ?? 0;
    if (subjects?.length === 0) continue;
    const isWhole = await copied(parts, name, Math.max(firstSeq, begun + 1), lastSeq, subjects, (records) => {
      const theirs = wanted.of(records);
      events += theirs.length;
      return writer.write(number, theirs);
    });
    if (!isWhole) {
      await writer.abandon();
      return undefined;
    }
  }
  if (events === 0 && Object.keys(writer.header.selection).length > 0) {
    throw new RookeryError('NOT_FOUND', 'nothing in the log is what was asked for; no file was written');
  }
  return writer.finish();
}

/** @returns whether it came to the end */
async function copied(
  { reader, stop, onProgress }: Omit<ExportParts, 'writer'>,
  stream: string,
  from: number,
  to: number,
  subjects: readonly string[] | undefined,
  take: (records: readonly StoredRecord[]) => Promise<void> | void,
): Promise<boolean> {
  for await (const records of reader.read(stream, from, to, subjects)) {
    if (stop.aborted) return false;
    await take(records);
    onProgress({ step: stream, done: records.at(-1)?.seq ?? from, total: to });
  }
  if (from <= to) onProgress({ step: stream, done: to, total: to });
  return true;
}

interface Wanted {
  /** What a stream is asked for; undefined: all of it; none: nothing. */
  subjectsOf(stream: string): readonly string[] | undefined;
  of(records: readonly StoredRecord[]): readonly StoredRecord[];
}

async function wantedOf(parts: ExportParts): Promise<Wanted> {
  const { selection } = parts.writer.header;
  const { conversations: named, user, since = 0, until = Number.POSITIVE_INFINITY } = selection;
  const isBounded = selection.since !== undefined || selection.until !== undefined;
  const isInTime = ({ at, subject }: StoredRecord): boolean => at < until && (at >= since || subject.endsWith('.s'));
  const of: Wanted['of'] = (records) => (isBounded ? records.filter(isInTime) : records);
  if (!named && user === undefined) return { subjectsOf: () => undefined, of };
  const conversations = new Set(named as readonly ConversationId[] | undefined);
  if (user !== undefined) for (const one of await conversationsOf(parts, user as UserId)) conversations.add(one);
  const subjects = [...conversations].map((one) => conversationSubject(one, 'm').replace(/m$/, '*'));
  // Filters of a consumer are looked through one by one, for each message: many are no faster than reading all.
  if (subjects.length > MAX_FILTERS) {
    const tokens = new Set([...conversations].map(tokenOf));
    const isTheirs = (record: StoredRecord): boolean =>
      !isOfConversation(record) || tokens.has(record.subject.split('.')[2] ?? '');
    const people = peopleSubjects(selection);
    return { subjectsOf: (name) => (name === USER_STREAM ? people : undefined), of: (all) => of(all.filter(isTheirs)) };
  }
  return { subjectsOf: (name) => (name === USER_STREAM ? peopleSubjects(selection) : subjects), of };
}

const MAX_FILTERS = 16;

const peopleSubjects = ({ user }: Selection): readonly string[] =>
  user === undefined ? [] : [userSubject(user as UserId, '*')];

/** Where they have said something, or are or were a member: all of the log is looked through. */
async function conversationsOf(parts: ExportParts, user: UserId): Promise<ReadonlySet<ConversationId>> {
  const found = new Set<ConversationId>();
  const look = (records: readonly StoredRecord[]): void => {
    for (const record of records) {
      const conversation = conversationWith(record, user);
      if (conversation) found.add(conversation);
    }
  };
  for (const { name, firstSeq, lastSeq } of parts.writer.header.streams) {
    if (name === USER_STREAM) continue;
    const told = {
      ...parts,
      onProgress: (progress: { done: number; total: number }) =>
        parts.onProgress({ ...progress, step: `${name}: looking for conversations` }),
    };
    await copied(told, name, firstSeq, lastSeq, undefined, look);
  }
  return found;
}

function conversationWith(record: StoredRecord, user: UserId): ConversationId | undefined {
  try {
    const { conversation, event } = eventIn(record);
    const isNamed = 'members' in event && event.members.includes(user);
    return event.by === user || isNamed ? conversation : undefined;
  } catch {
    return undefined;
  }
}
