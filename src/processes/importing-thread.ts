/**
 * The thread beside an import's own. While the file is checked, it checks the blocks it is handed. Then it reads back and digests each stream
 * that was written, while the next one is. Not while it is written itself: nats-server has one lock for both, which whoever reads takes for each
 * message, and both take longer then than one after the other.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { RecordsInPlace } from '../adapters/archive/records-in-place.ts';
import { Summary } from '../adapters/archive/summary.ts';
import { connectNats, type Nats, type NatsAccess } from '../adapters/jetstream/connect.ts';
import { JetstreamRecordReader } from '../adapters/jetstream/records/record-reader.ts';
import { createLog } from '../adapters/system/log.ts';
import { type Before, RecordChecks, type RecordRules } from '../application/archive/record-checks.ts';
import { patienceOf } from '../application/archive/restore-log.ts';
import { patiently } from '../application/pause.ts';
import type { StreamSummary } from '../ports/archive.ts';
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
  /** All of a stream was written. */
  | { readonly type: 'whole'; readonly stream: string }
  /** All was written. */
  | { readonly type: 'written' };

export type FromImporting =
  | { readonly type: 'ready' }
  | { readonly type: 'checked'; readonly unreadable: number }
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  | { readonly type: 'read'; readonly stream: string; readonly seq: number }
  | { readonly type: 'digested'; readonly summaries: readonly StreamSummary[] }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

const port = parentPort;
const { nats: access, rules } = workerData as ImportingThreadData;
const checks = new RecordChecks(rules);
let isWritten = false;
const whole = new Set<string>();
let wake: (() => void) | undefined;
port?.on('message', (message: ToImporting) => {
  if (message.type === 'check') return check(message.stream, message.bytes, message.before);
  if (message.type === 'readBack') return void readBack(message.ends);
  if (message.type === 'written') isWritten = true;
  else whole.add(message.stream);
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

async function wholeThere(stream: string): Promise<void> {
  while (!isWritten && !whole.has(stream)) await new Promise<void>((resolve) => (wake = resolve));
}

const connected = (): Promise<Nats> =>
  connectNats(access, 'operator', 'rookery import, verifying', createLog('cli', 'silent'));

async function digest(reader: JetstreamRecordReader, stream: string, end: number): Promise<StreamSummary> {
  const count = new Summary(stream);
  for await (const _ of reader.counted(stream, 1, end, count)) {
    // Nobody asks before.
    if (isWritten) tell({ type: 'read', stream, seq: count.now.lastSeq });
  }
  return count.now;
}

async function readBack(ends: readonly (readonly [name: string, end: number])[]): Promise<void> {
  try {
    const nats = await patiently(connected, patienceOf({ stop: new AbortController().signal }));
    const reader = new JetstreamRecordReader({ ...nats, names: ends.map(([name]) => name) });
    const summaries: StreamSummary[] = [];
    for (const [name, end] of ends) {
      await wholeThere(name);
      summaries.push(await digest(reader, name, end));
    }
    await nats.nc.close();
    tell({ type: 'digested', summaries });
  } catch (thrown) {
    tell({ type: 'failed', ...codeAndMessage(thrown) });
  } finally {
    port?.close();
  }
}

tell({ type: 'ready' });
