/** Blocks of an archive that nobody has written to a file. */
import { roomFor, writeRecord } from '../../src/adapters/archive/record-bytes.ts';
import { RecordsInPlace } from '../../src/adapters/archive/records-in-place.ts';
import type { ArchiveBlock, StoredRecord } from '../../src/ports/archive.ts';

export function blockOf(stream: number, records: readonly StoredRecord[]): ArchiveBlock {
  const buffer = Buffer.alloc(records.reduce((sum, record) => sum + roomFor(record), 0));
  let used = 0;
  for (const record of records) used = writeRecord(buffer, used, record);
  const inPlace = () => {
    const all = new RecordsInPlace(buffer.subarray(0, used));
    return () => all.next();
  };
  const [firstSeq, lastSeq] = [records[0]?.seq ?? 0, records.at(-1)?.seq ?? 0];
  return {
    stream,
    records,
    bytes: buffer.subarray(0, used),
    events: records.length,
    firstSeq,
    lastSeq,
    inPlace,
    release: () => undefined,
  };
}
