/**
 * Restores a log to where it stood: every event at its position, with its time. So whatever is folded from it, here or there, is the
 * same to the byte. What is there already must be the beginning of what is in the file; then it is gone on with behind it, and a
 * second run finds nothing to do.
 */
import type {
  ArchivedStream,
  ArchiveReader,
  ReadBack,
  RecordAppender,
  RecordCount,
  RecordReader,
  StreamSummary,
} from '../../ports/archive.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import { pause } from '../pause.ts';
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
  /** @param ends the last positions of the target's streams, as they are now */
  readonly appenderFrom: (ends: ReadonlyMap<string, number>) => RecordAppender & { stop(): void };
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
  readonly streams: readonly { readonly name: string; readonly stored: number; readonly position: number }[];
}

/**
 * @throws RookeryError ARCHIVE_DAMAGED, EVENT_UNREADABLE: nothing was written · IMPORT_MISMATCH: nothing was written, or it was
 *   somebody else who wrote, or what stands there now is not what is in the file · LOG_UNAVAILABLE: run it again, it goes on
 */
export async function restoreLog(parts: RestoreParts): Promise<Restored> {
  const before = await endsOf(parts.target);
  const checked = await check(parts, before);
  const isThere = checked.summaries.every(({ name, lastSeq }) => lastSeq <= (before.get(name) ?? 0));
  // Compared to the last event, and nothing to write.
  if (isThere) return result(parts, checked, before, true);
  const held = checked.summaries.filter(({ lastSeq }) => lastSeq > 0);
  const reading = parts.readBack(held.map(({ name, lastSeq }) => [name, lastSeq]));
  try {
    const isWhole = await restoreAll(parts, checked, reading, before);
    if (isWhole) compare(held, await reading.written());
    return await result(parts, checked, before, isWhole);
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
  // Whether it is known how far it came.
  let isKnown = true;
  for (;;) {
    try {
      const now = isKnown ? ends : await endsOf(parts.target);
      if ([...now].some(([name, end]) => end > (ends.get(name) ?? 0))) attempts = 1;
      [ends, isKnown] = [now, true];
      return await restoreFrom(parts, checked, reading, ends);
    } catch (thrown) {
      if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE' || attempts >= MAX_ATTEMPTS) throw thrown;
      [attempts, isKnown] = [attempts + 1, false];
      await pause(parts.pauseMs ?? PAUSE_MS, parts.stop);
      if (parts.stop.aborted) return false;
    }
  }
}

async function check(parts: RestoreParts, ends: ReadonlyMap<string, number>): Promise<Checked> {
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
    for (const [name, end] of ends) if (end > 0) await comparePrefix(parts, checked, name, end, streams);
    return checked;
  } finally {
    await archive.close();
  }
}

/** What stands in the target must be what the file begins with. */
async function comparePrefix(
  { target, countOf }: RestoreParts,
  { prefixes }: Checked,
  name: string,
  end: number,
  streams: readonly ArchivedStream[],
): Promise<void> {
  const there = countOf(name);
  const upTo = Math.min(end, streams.find((stream) => stream.name === name)?.lastSeq ?? 0);
  if (upTo > 0) for await (const _ of target.counted(name, 1, upTo, there));
  const expected = prefixes.get(name)?.now;
  if (there.now.digest === expected?.digest && there.now.events === expected.events) return;
  throw mismatch(
    `${name} holds other events than the file: ${there.now.events} up to position ${upTo}, in the file ${expected?.events}`,
  );
}

/** @returns whether it came to the end */
async function restoreFrom(
  parts: RestoreParts,
  { seal }: Checked,
  reading: ReadBack,
  ends: ReadonlyMap<string, number>,
): Promise<boolean> {
  const archive = await parts.open();
  const appender = parts.appenderFrom(ends);
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
          if (room) await room;
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
    appender.stop();
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
  { target }: RestoreParts,
  { events, unreadable }: Checked,
  before: ReadonlyMap<string, number>,
  complete: boolean,
): Promise<Restored> {
  const streams = [...(await endsOf(target))].map(([name, position]) => ({
    ...{ name, position },
    stored: position - (before.get(name) ?? 0),
  }));
  return { complete, events, unreadable, streams };
}

const endsOf = async (target: RecordReader): Promise<ReadonlyMap<string, number>> =>
  new Map((await target.streams()).map(({ name, lastSeq }) => [name, lastSeq]));

const mismatch = (reason: string): RookeryError =>
  new RookeryError('IMPORT_MISMATCH', `${reason}. \`--merge\` adds what is not there by its id, behind what is`);
