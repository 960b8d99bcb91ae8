/** Deployments whose logs are exported and imported, and what is compared of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { append, churnedLog } from '../../bench/churned-log.ts';
import { Summary } from '../../src/adapters/archive/summary.ts';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { JetstreamRecordReader, logStreams } from '../../src/adapters/jetstream/records/record-reader.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { ReadModelSnapshot } from '../../src/adapters/sqlite/read-model-digests.ts';
import { foldLog } from '../../src/application/read-model/rebuild.ts';
import type { StoredRecord, StreamSummary } from '../../src/ports/archive.ts';
import type { Topology } from '../../src/protocol/subjects.ts';
import { type Operated, startOperated } from './operated.ts';

export function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-archive-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** With so many events of all kinds. */
export async function deployment(t: Test, events: number, topology?: Topology): Promise<Operated> {
  const operated = await startOperated(topology);
  t.teardown(() => operated.stop());
  await append(operated.operator.nc, operated.operator.inboxPrefix, churnedLog(events));
  return operated;
}

/** All that stands in a stream. */
export async function recordsOf({ operator, nats }: Operated, stream: string): Promise<StoredRecord[]> {
  const reader = new JetstreamRecordReader({ ...operator, names: logStreams(nats.topology) });
  const { lastSeq } = (await reader.streams()).find(({ name }) => name === stream) ?? { lastSeq: 0 };
  const found: StoredRecord[] = [];
  if (lastSeq > 0) for await (const records of reader.read(stream, 1, lastSeq)) found.push(...records);
  return found;
}

/** How many records stand in each stream of the log, from where to where, and the digest of all their bytes, positions and times. */
export async function contents(of: Operated): Promise<StreamSummary[]> {
  const summaries: StreamSummary[] = [];
  for (const stream of logStreams(of.nats.topology)) {
    const summary = new Summary(stream);
    summary.add(await recordsOf(of, stream));
    summaries.push(summary.now);
  }
  return summaries;
}

export const isEmpty = (streams: readonly StreamSummary[]): boolean => streams.every(({ events }) => events === 0);

/** Of every table of a read model that is folded from the log as it is now. */
export async function readModelDigests({ nc, jsm, inboxPrefix }: Nats, dir: string, convStream = 0) {
  const path = join(dir, `${crypto.randomUUID()}.sqlite`);
  const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream });
  const model = new SqliteReadModel({ path, log: 'CONV' });
  await foldLog(reader, model, await reader.lastPos(), () => undefined);
  model.close();
  const snapshot = new ReadModelSnapshot(path);
  try {
    return snapshot.digests();
  } finally {
    snapshot.close();
  }
}

/** What does not change when an event goes to another place. */
export const essence = (records: readonly StoredRecord[]) =>
  records.map(({ at, subject, messageId, data }) => ({
    at,
    subject,
    messageId,
    data: Buffer.from(data).toString('hex'),
  }));
