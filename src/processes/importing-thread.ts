/**
 * The thread beside an import's own. While the file is checked, it checks the blocks it is handed. While the log is written, it reads it back
 * and digests it: what has come is read, again and again, until all is there.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { RecordsInPlace } from '../adapters/archive/records-in-place.ts';
import { Summary } from '../adapters/archive/summary.ts';
import { connectNats, type NatsAccess } from '../adapters/jetstream/connect.ts';
import { JetstreamRecordReader } from '../adapters/jetstream/record-reader.ts';
import { createLog } from '../adapters/system/log.ts';
import { type Before, RecordChecks, type RecordRules } from '../application/archive/record-checks.ts';
import type { RecordInPlace, StoredRecord, StreamSummary } from '../ports/archive.ts';
import { asRookeryError } from '../protocol/error-codes.ts';

export interface ImportingThreadData {
  readonly nats: NatsAccess;
  readonly rules: RecordRules;
}

export type ToImporting =
  /** Records of a block, as bytes. */
  | { readonly type: 'check'; readonly stream: string; readonly bytes: Uint8Array; readonly before: Before }
  /** Of each stream the position up to which it is read. */
  | { readonly type: 'readBack'; readonly ends: readonly (readonly [name: string, end: number])[] }
  /** How far a stream was given what is to be written. */
  | { readonly type: 'given'; readonly stream: string; readonly seq: number }
  /** All was written. */
  | { readonly type: 'written' };

export type FromImporting =
  | { readonly type: 'ready' }
  | { readonly type: 'checked'; readonly unreadable: number }
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  | { readonly type: 'read'; readonly stream: string; readonly seq: number }
  | { readonly type: 'digested'; readonly summaries: readonly StreamSummary[] }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

/**
 * Read at a time while the log is written. Who reads at its very end is woken for each few messages, as the server's consumer is, and asks
 * each time whether that was all.
 */
const SPAN_EVENTS = 16_384;
/** What is given last may still be on its way. */
const ON_ITS_WAY = 4_096;
/** Where nothing has come it looks again after so long. */
const LOOK_AGAIN_MS = 100;
/** A read that was interrupted goes on behind what was read. Once all was written, it is given up after so often without any progress. */
const MAX_ATTEMPTS = 5;

const port = parentPort;
const { nats: access, rules } = workerData as ImportingThreadData;
const checks = new RecordChecks(rules);
let isWritten = false;
const given = new Map<string, number>();
let wake: (() => void) | undefined;
port?.on('message', (message: ToImporting) => {
  if (message.type === 'check') return check(message.stream, message.bytes, message.before);
  if (message.type === 'readBack') return void readBack(message.ends);
  if (message.type === 'written') isWritten = true;
  else given.set(message.stream, message.seq);
  wake?.();
});

const tell = (message: FromImporting): void => port?.postMessage(message);

function check(stream: string, bytes: Uint8Array, before: Before): void {
  try {
    const records = new RecordsInPlace(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    const unreadable = checks.check(stream, () => records.next(), before);
    // Given back at once, and no garbage.
    (bytes.buffer as ArrayBuffer).transfer(0);
    tell({ type: 'checked', unreadable });
  } catch (thrown) {
    tell({ type: 'refused', ...codeAndMessage(thrown) });
  }
}

function codeAndMessage(thrown: unknown): { readonly code: string; readonly message: string } {
  const { code, message } = asRookeryError(thrown);
  return { code, message: thrown instanceof Error ? thrown.message : message };
}

/** Up to where to read, when that is worth it. @param next not read yet */
async function readable(stream: string, next: number, end: number): Promise<number> {
  for (;;) {
    const told = given.get(stream) ?? 0;
    if (isWritten || told >= end) return end;
    if (told - ON_ITS_WAY - next >= SPAN_EVENTS) return told - ON_ITS_WAY;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

async function digest(reader: JetstreamRecordReader, stream: string, end: number): Promise<StreamSummary> {
  const summary = new Summary(stream);
  let next = 1;
  const take = (record: StoredRecord): void => {
    summary.addOne(record);
    next = record.seq + 1;
  };
  const takeInPlace = (record: RecordInPlace): void => {
    summary.addInPlace(record);
    next = record.seq + 1;
  };
  for (let attempts = 0; next <= end; ) {
    const to = await readable(stream, next, end);
    const [before, mayGrow] = [next, !isWritten];
    try {
      for await (const _ of reader.each(stream, next, to, take, takeInPlace)) {
        // Nobody asks before.
        if (isWritten) tell({ type: 'read', stream, seq: next - 1 });
      }
      // What only fills positions at the end is no record.
      if (next === before && !mayGrow) break;
      attempts = 0;
    } catch (thrown) {
      attempts = next > before || !isWritten ? 1 : attempts + 1;
      if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE' || attempts > MAX_ATTEMPTS) throw thrown;
    }
    if (next <= end && next === before) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  return summary.now;
}

async function readBack(ends: readonly (readonly [name: string, end: number])[]): Promise<void> {
  try {
    const nats = await connected;
    const reader = new JetstreamRecordReader({ ...nats, names: ends.map(([name]) => name) });
    const summaries: StreamSummary[] = [];
    for (const [name, end] of ends) summaries.push(await digest(reader, name, end));
    await nats.nc.close();
    tell({ type: 'digested', summaries });
  } catch (thrown) {
    tell({ type: 'failed', ...codeAndMessage(thrown) });
  } finally {
    port?.close();
  }
}

const connected = connectNats(access, 'operator', 'rookery import, verifying', createLog('cli', 'silent'));
// Whoever reads back hears of it.
connected.catch(() => undefined);
tell({ type: 'ready' });
