/**
 * Restores a log to where it stood: every event at its position, with its time. So whatever is folded from it, here or there, is the
 * same to the byte. What is there already must be the beginning of what is in the file; then it is gone on with behind it, and a
 * second run finds nothing to do.
 */
import {
  type ArchiveReader,
  PositionTaken,
  type ReadBack,
  type RecordAppender,
  type RecordCount,
  type RecordReader,
  type StreamSummary,
} from '../../ports/archive.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import { type Patience, patiently, pause, unlessStopped } from '../pause.ts';
import { type Checked, type ChecksBeside, checkArchive } from './check-archive.ts';
import type { OnProgress } from './progress.ts';
import type { RecordRules } from './record-checks.ts';

/** After an interruption it looks how far it has come; so often without any progress it is given up. */
const MAX_ATTEMPTS = 8;
/** A server that was stopped is back within seconds: who asks it at once asks in vain. */
const PAUSE_MS = 1_000;

export interface RestoreParts {
  /** From its beginning. */
  readonly open: () => Promise<ArchiveReader>;
  readonly target: RecordReader;
  /**
   * @param ends the last positions of the target's streams, as they are now
   * @param interruptions so many of those before it broke off: a log may have been given more at a time than it holds
   */
  readonly appenderFrom: (
    ends: ReadonlyMap<string, number>,
    interruptions: number,
  ) => RecordAppender & { stop(): void };
  readonly countOf: (stream: string) => RecordCount;
  /** Reads back what is written. @param ends of each stream the position up to which that is done */
  readonly readBack: (ends: readonly (readonly [name: string, end: number])[]) => ReadBack;
  readonly rules: RecordRules;
  /** Checks blocks of the file beside this thread. */
  readonly beside?: ChecksBeside;
  readonly stop: AbortSignal;
  readonly onProgress: OnProgress;
  /** After an interruption; a second unless it is told. */
  readonly pauseMs?: number;
}

export interface Restored {
  /** False: it was stopped on the way. */
  readonly complete: boolean;
  readonly events: number;
  readonly unreadable: number;
  readonly streams: readonly {
    readonly name: string;
    readonly stored: number;
    readonly position: number;
    /** Positions behind the last one of the file: of who writes since it was restored. */
    readonly behind: number;
  }[];
}

/**
 * @throws RookeryError ARCHIVE_DAMAGED, EVENT_UNREADABLE: nothing was written · IMPORT_MISMATCH: nothing was written, or it was
 *   somebody else who wrote, or what stands there now is not what is in the file · LOG_UNAVAILABLE: run it again, it goes on
 */
export async function restoreLog(parts: RestoreParts): Promise<Restored> {
  const before = await patiently(() => endsOf(parts.target), patienceOf(parts));
  const checked = await check(parts, before);
  if (!checked) return result(parts, NOTHING, before, false);
  const isThere = checked.summaries.every(({ name, lastSeq }) => lastSeq <= (before.get(name) ?? 0));
  // Compared to the last event, and nothing to write.
  if (isThere) return result(parts, checked, before, true);
  for (const { name, lastSeq } of checked.summaries) {
    const end = before.get(name) ?? 0;
    if (end > lastSeq) throw mismatch(`${name} is at ${end} already, where the file has events up to ${lastSeq} only`);
  }
  const held = checked.summaries.filter(({ lastSeq }) => lastSeq > 0);
  const reading = parts.readBack(held.map(({ name, lastSeq }) => [name, lastSeq]));
  try {
    const isWritten = await restoreAll(parts, checked, reading, before);
    const there = isWritten ? await unlessStopped(parts.stop, reading.written()) : undefined;
    if (there) compare(held, there);
    return await result(parts, checked, before, there !== undefined);
  } finally {
    await reading.stop();
  }
}

/** @returns whether it came to the end */
async function restoreAll(
  parts: RestoreParts,
  checked: Checked,
  reading: ReadBack,
  before: ReadonlyMap<string, number>,
): Promise<boolean> {
  let [attempts, ends] = [1, before];
  for (let interruptions = 0; ; interruptions++) {
    try {
      const now = interruptions === 0 ? before : await endsOf(parts.target);
      if ([...now].some(([name, end]) => end > (ends.get(name) ?? 0))) attempts = 1;
      ends = now;
      await compareLast(parts, checked, before, ends);
      const appender = parts.appenderFrom(ends, interruptions);
      return await restoreFrom(parts, checked, reading, ends, appender).finally(() => appender.stop());
    } catch (thrown) {
      // What was sent before is stored late by a log that is slow, also when its end was asked for: then it is looked at again.
      const isPassing = thrown instanceof PositionTaken || asRookeryError(thrown).code === 'LOG_UNAVAILABLE';
      if (!isPassing || attempts >= MAX_ATTEMPTS) throw thrown;
      attempts += 1;
      await pause(patienceOf(parts).pauseMs, parts.stop);
      if (parts.stop.aborted) return false;
    }
  }
}

/** @returns undefined where it was stopped */
async function check(parts: RestoreParts, ends: ReadonlyMap<string, number>): Promise<Checked | undefined> {
  const archive = await parts.open();
  try {
    const { convStreams, selection, streams } = archive.header;
    const missing = streams.find(({ name }) => !ends.has(name));
    if (missing || streams.length !== ends.size) {
      const [there, here] = [convStreams, ends.size - 1];
      throw mismatch(`the file is of a log of ${there} CONV streams, this one has ${here}`);
    }
    if (Object.keys(selection).length > 0) throw mismatch('the file holds a part of a log');
    const checked = await checkArchive({ ...parts, archive, upTo: ends });
    for (const summary of checked?.summaries ?? []) await comparePrefix(parts, checked?.prefixes, summary, ends);
    return parts.stop.aborted ? undefined : checked;
  } finally {
    await archive.close();
  }
}

/** What stands in the target must be what the file begins with. */
async function comparePrefix(
  { target, countOf, stop }: RestoreParts,
  prefixes: Checked['prefixes'] | undefined,
  { name, lastSeq }: StreamSummary,
  ends: ReadonlyMap<string, number>,
): Promise<void> {
  const there = countOf(name);
  const upTo = Math.min(ends.get(name) ?? 0, lastSeq);
  if (upTo > 0) for await (const _ of target.counted(name, 1, upTo, there)) if (stop.aborted) return;
  const expected = prefixes?.get(name)?.now;
  if (there.now.digest === expected?.digest && there.now.events === expected.events) return;
  throw mismatch(
    `${name} holds other events than the file: ${there.now.events} up to position ${upTo}, in the file ${expected?.events}`,
  );
}

/**
 * The last record of each stream that has grown since it was compared is the file's own: this import was sent it, or one before that was
 * killed. What somebody else has written is not.
 */
async function compareLast(
  parts: RestoreParts,
  { seal }: Checked,
  before: ReadonlyMap<string, number>,
  ends: ReadonlyMap<string, number>,
): Promise<void> {
  const grown = new Map([...ends].filter(([name, end]) => end > (before.get(name) ?? 0)));
  if (grown.size === 0) return;
  const expected = await inFile(parts, seal, grown);
  for (const [name, end] of grown) {
    const there = parts.countOf(name);
    for await (const _ of parts.target.counted(name, end, end, there));
    if (there.now.digest === expected.get(name)?.now.digest) continue;
    throw mismatch(`somebody else writes to the log: what ${name} holds at ${end} is not what the file has there`);
  }
}

/** @param places by stream name, a position. @returns what the file has there: a record, or nothing */
async function inFile(
  { open, countOf }: RestoreParts,
  seal: string | undefined,
  places: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, RecordCount>> {
  const counts = new Map([...places.keys()].map((name) => [name, countOf(name)]));
  const archive = await open();
  try {
    for await (const block of archive.blocks(seal)) {
      const { name = '' } = archive.header.streams[block.stream] ?? {};
      const place = places.get(name) ?? 0;
      if (block.firstSeq <= place && place <= block.lastSeq) {
        const next = block.inPlace();
        for (let record = next(); record; record = next())
          if (record.seq === place) counts.get(name)?.addInPlace(record);
      }
      block.release();
    }
    return counts;
  } finally {
    await archive.close();
  }
}

/** @returns whether it came to the end */
async function restoreFrom(
  parts: RestoreParts,
  { seal }: Checked,
  reading: ReadBack,
  ends: ReadonlyMap<string, number>,
  appender: RecordAppender,
): Promise<boolean> {
  const archive = await parts.open();
  let before = '';
  try {
    for await (const block of archive.blocks(seal)) {
      const name = archive.header.streams[block.stream]?.name ?? '';
      if (before !== '' && name !== before) {
        await appender.settled();
        reading.whole(before);
      }
      before = name;
      const end = ends.get(name) ?? 0;
      if (block.lastSeq > end) {
        const next = block.inPlace();
        for (let record = next(); record; record = next()) {
          const room = record.seq > end ? appender.restore(name, record) : undefined;
          if (!room) continue;
          await room;
          // A hole before each of its records, and a block takes long.
          if (parts.stop.aborted) break;
        }
      }
      block.release();
      parts.onProgress({ step: name, done: archive.position, total: archive.bytes, unit: 'bytes' });
      if (!parts.stop.aborted) continue;
      await appender.settled();
      return false;
    }
    await appender.settled();
    return true;
  } finally {
    await archive.close();
  }
}

/** What was written, as it was read back: digests of all records, their positions and times included. */
function compare(held: readonly StreamSummary[], there: readonly StreamSummary[]): void {
  for (const { name, events, digest } of held) {
    const found = there.find((one) => one.name === name);
    if (found?.digest === digest) continue;
    throw mismatch(`${name} differs from the file: ${found?.events ?? 0} events, in the file ${events}`);
  }
}

async function result(
  parts: RestoreParts,
  { events, unreadable, summaries }: Pick<Checked, 'events' | 'unreadable' | 'summaries'>,
  before: ReadonlyMap<string, number>,
  complete: boolean,
): Promise<Restored> {
  const ends = await patiently(() => endsOf(parts.target), patienceOf(parts));
  const streams = [...ends].map(([name, position]) => {
    const last = summaries.find((one) => one.name === name)?.lastSeq ?? position;
    const stored = Math.max(0, Math.min(position, last) - (before.get(name) ?? 0));
    return { name, position, stored, behind: Math.max(0, position - last) };
  });
  return { complete, events, unreadable, streams };
}

/** How long a server that is away is waited for. */
export const patienceOf = ({ pauseMs = PAUSE_MS, stop }: Pick<RestoreParts, 'pauseMs' | 'stop'>): Patience => ({
  ...{ attempts: MAX_ATTEMPTS, pauseMs, stop },
});

const NOTHING = { events: 0, unreadable: 0, summaries: [] };

const endsOf = async (target: RecordReader): Promise<ReadonlyMap<string, number>> =>
  new Map((await target.streams()).map(({ name, lastSeq }) => [name, lastSeq]));

const mismatch = (reason: string): RookeryError =>
  new RookeryError('IMPORT_MISMATCH', `${reason}. \`--merge\` adds what is not there by its id, behind what is`);
