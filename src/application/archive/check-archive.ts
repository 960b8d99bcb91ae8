/** Reads an archive from end to end before anything is done with it. */
import type { ArchiveBlock, ArchivedStream, ArchiveReader, RecordCount, StreamSummary } from '../../ports/archive.ts';
import type { OnProgress } from './progress.ts';
import { type Before, noRecord, RecordChecks, type RecordRules } from './record-checks.ts';

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
  readonly rules: RecordRules;
  readonly onProgress: OnProgress;
  readonly beside?: ChecksBeside | undefined;
  readonly stop: AbortSignal;
}

/** Another thread that checks blocks. */
export interface ChecksBeside {
  /**
   * Takes the block, whose memory is gone then. Undefined: it has enough to do.
   * @returns how many of its events are unreadable, in the order of asking
   * @throws RookeryError as `RecordChecks`
   */
  check(stream: string, block: ArchiveBlock, before: Before): Promise<number> | undefined;
}

/**
 * @returns undefined where it was stopped before the end
 * @throws RookeryError ARCHIVE_DAMAGED, also for what no log holds; EVENT_UNREADABLE that names the first event this code cannot read;
 *   IMPORT_MISMATCH as `RecordChecks`
 */
export async function checkArchive({
  archive,
  countOf,
  upTo,
  rules,
  onProgress,
  beside,
  stop,
}: CheckParts): Promise<Checked | undefined> {
  const prefixes = new Map(archive.header.streams.map(({ name }) => [name, countOf(name)]));
  const checks = new RecordChecks(rules);
  const checkedTo: number[] = [];
  const others = new UnreadableBeside();
  let [events, unreadable, current] = [0, 0, 0];
  try {
    for await (const block of archive.blocks()) {
      const held = archive.header.streams[block.stream] as ArchivedStream;
      const { name } = held;
      // Whoever restores reads a stream back as soon as the next one begins.
      if (block.stream < current) throw noRecord(name, block.firstSeq, 'another stream begins before its own ended');
      current = block.stream;
      if (block.lastSeq > held.lastSeq) throw noRecord(name, block.lastSeq, `the log went to ${held.lastSeq}`);
      const bound = upTo.get(name) ?? 0;
      const before = { seq: checkedTo[block.stream] ?? 0, there: bound };
      checkedTo[block.stream] = block.lastSeq;
      if (block.firstSeq <= bound) addUpTo(bound, block, prefixes.get(name));
      events += block.events;
      const other = beside?.check(name, block, before);
      if (other) others.add(other);
      else unreadable += checks.check(name, block.inPlace(), before);
      block.release();
      onProgress({ step: 'checking', done: archive.position, total: archive.bytes, unit: 'bytes' });
      if (others.isRefused || stop.aborted) break;
    }
  } catch (thrown) {
    // What is wrong with a block before is told first.
    await others.all;
    throw thrown;
  }
  unreadable += await others.all;
  if (stop.aborted) return undefined;
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
