/** Reads an archive from end to end before anything is done with it. */
import type { ArchiveReader, RecordCount, StoredRecord, StreamSummary } from '../../ports/archive.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import { PlainRecords } from './plain-records.ts';
import type { OnProgress } from './progress.ts';
import { checkReadable, namesConversation } from './readable.ts';

export interface Checked {
  /** By stream name: what stands up to the position that was asked about. */
  readonly prefixes: ReadonlyMap<string, RecordCount>;
  /** What the file's end says it holds, which it does. */
  readonly summaries: readonly StreamSummary[];
  /** By which the file is known again. */
  readonly seal: string | undefined;
  readonly events: number;
  readonly unreadable: number;
}

export interface CheckParts {
  readonly archive: ArchiveReader;
  readonly countOf: (stream: string) => RecordCount;
  /** By stream name: count what stands up to this position. */
  readonly upTo: ReadonlyMap<string, number>;
  /** Events that nobody here can read are let pass. */
  readonly keepUnreadable: boolean;
  readonly onProgress: OnProgress;
}

/** As the streams of the log have them. What is published under any other name is not stored there, and may be an order to the server. */
const SUBJECT = /^(conv|user)\.\d{1,3}\.[^\s.*>]+\.[^\s.*>]+$/;
const HEADER_NAME = /^(?!Nats-)[!-9;-~]+$/i;
const BREAKS_LINE = /[\r\n\0]/;

/** @throws RookeryError ARCHIVE_DAMAGED, also for what no log holds; EVENT_UNREADABLE that names the first event this code cannot read */
export async function checkArchive({
  archive,
  countOf,
  upTo,
  keepUnreadable,
  onProgress,
}: CheckParts): Promise<Checked> {
  const prefixes = new Map(archive.header.streams.map(({ name }) => [name, countOf(name)]));
  const plain = new PlainRecords((subject) => SUBJECT.test(subject) && namesConversation(subject));
  let [events, unreadable] = [0, 0];
  for await (const block of archive.blocks()) {
    const name = archive.header.streams[block.stream]?.name ?? '';
    const bound = upTo.get(name) ?? 0;
    const next = block.inPlace();
    for (let record = next(); record; record = next()) {
      if (record.seq <= bound) prefixes.get(name)?.addInPlace(record);
      if (plain.has(record)) continue;
      const reason = unreadableReason(name, record.whole());
      if (reason === undefined) continue;
      unreadable += 1;
      if (!keepUnreadable) throw new RookeryError('EVENT_UNREADABLE', `${name}@${record.seq}: ${reason}`);
    }
    events += block.events;
    block.release();
    onProgress({ step: 'checking', done: archive.position, total: archive.bytes, unit: 'bytes' });
  }
  return { prefixes, summaries: archive.end?.streams ?? [], seal: archive.seal, events, unreadable };
}

const isOfLog = ({ subject, messageId, headers }: StoredRecord): boolean =>
  SUBJECT.test(subject) &&
  !BREAKS_LINE.test(messageId) &&
  headers.every(([header, value]) => HEADER_NAME.test(header) && !BREAKS_LINE.test(value));

/** @throws RookeryError ARCHIVE_DAMAGED */
function unreadableReason(stream: string, record: StoredRecord): string | undefined {
  // Whatever is let pass: it is written with the rights of an operator.
  if (!isOfLog(record)) throw new RookeryError('ARCHIVE_DAMAGED', `${stream}@${record.seq} is no record of a log`);
  try {
    checkReadable(record);
    return undefined;
  } catch (thrown) {
    const { code, message } = asRookeryError(thrown);
    if (code !== 'EVENT_UNREADABLE') throw thrown;
    return message;
  }
}
