/** Reads an archive from end to end before anything is done with it. */
import type {
  ArchiveBlock,
  ArchiveReader,
  RecordCount,
  RecordInPlace,
  StoredRecord,
  StreamSummary,
} from '../../ports/archive.ts';
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
  readonly beside?: ChecksBeside | undefined;
}

/** Another thread that checks blocks. */
export interface ChecksBeside {
  /**
   * Takes the block, whose memory is gone then. Undefined: it has enough to do.
   * @returns how many of its events are unreadable, in the order of asking
   * @throws RookeryError as `RecordChecks`
   */
  check(stream: string, block: ArchiveBlock): Promise<number> | undefined;
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
  beside,
}: CheckParts): Promise<Checked> {
  const prefixes = new Map(archive.header.streams.map(({ name }) => [name, countOf(name)]));
  const checks = new RecordChecks(keepUnreadable);
  const others = new UnreadableBeside();
  let [events, unreadable] = [0, 0];
  try {
    for await (const block of archive.blocks()) {
      const name = archive.header.streams[block.stream]?.name ?? '';
      const bound = upTo.get(name) ?? 0;
      if (block.firstSeq <= bound) addUpTo(bound, block, prefixes.get(name));
      events += block.events;
      const other = beside?.check(name, block);
      if (other) others.add(other);
      else unreadable += checks.check(name, block.inPlace());
      block.release();
      onProgress({ step: 'checking', done: archive.position, total: archive.bytes, unit: 'bytes' });
      if (others.isRefused) break;
    }
  } catch (thrown) {
    // What is wrong with a block before is told first.
    await others.all;
    throw thrown;
  }
  unreadable += await others.all;
  return { prefixes, summaries: archive.end?.streams ?? [], seal: archive.seal, events, unreadable };
}

/** Those of the blocks that were checked beside, in their order. */
class UnreadableBeside {
  #all: Promise<number> = Promise.resolve(0);
  #isRefused = false;

  add(unreadable: Promise<number>): void {
    this.#all = Promise.all([this.#all, unreadable]).then(([before, these]) => before + these);
    this.#all.catch(() => (this.#isRefused = true));
  }

  /** One of them is not to be written: nothing is to be read any more. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** @throws what the first one was refused for that was */
  get all(): Promise<number> {
    return this.#all;
  }
}

function addUpTo(bound: number, block: ArchiveBlock, count: RecordCount | undefined): void {
  const next = block.inPlace();
  for (let record = next(); record; record = next()) if (record.seq <= bound) count?.addInPlace(record);
}

/** What is asked of each record. */
export class RecordChecks {
  readonly #keepUnreadable: boolean;
  readonly #plain = new PlainRecords((subject) => SUBJECT.test(subject) && namesConversation(subject));

  constructor(keepUnreadable: boolean) {
    this.#keepUnreadable = keepUnreadable;
  }

  /** @returns how many are unreadable. @throws RookeryError ARCHIVE_DAMAGED, EVENT_UNREADABLE as `checkArchive` */
  check(stream: string, next: () => RecordInPlace | undefined): number {
    let unreadable = 0;
    for (let record = next(); record; record = next()) {
      if (this.#plain.has(record)) continue;
      const reason = unreadableReason(stream, record.whole());
      if (reason === undefined) continue;
      unreadable += 1;
      if (!this.#keepUnreadable) throw new RookeryError('EVENT_UNREADABLE', `${stream}@${record.seq}: ${reason}`);
    }
    return unreadable;
  }
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
