/** A file with valid frames and digests, whatever stands in them: what an archive may be that no export has written. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { chained, frameHead, Kind, MAGIC, ORIGIN, packed } from '../../src/adapters/archive/frames.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';
import { blockOf } from './blocks.ts';

export interface Written {
  readonly header?: object | string;
  /** Records of one of the header's streams. */
  readonly blocks?: readonly (readonly [stream: number, records: readonly StoredRecord[]])[];
  /** Instead of what is true. */
  readonly end?: string;
}

export const HEADER = {
  ...{ format: 1, eventSchema: 1, writtenBy: 'a test', compression: 'gzip', convStreams: 1, selection: {} },
  streams: ['USER', 'CONV_0'].map((name) => ({ name, created: 'then', firstSeq: 1, lastSeq: 1_000_000 })),
};

export async function writeArchive(path: string, { header = HEADER, blocks = [], end }: Written): Promise<void> {
  const parts: Uint8Array[] = [MAGIC];
  let digest: Buffer = ORIGIN;
  const frame = (kind: number, body: Buffer, bytes = body.length): void => {
    const head = frameHead(kind, bytes, body.length);
    digest = chained(digest, head, body);
    parts.push(head, digest, body);
  };
  frame(Kind.header, textOf(header));
  const { streams } = (typeof header === 'object' ? header : HEADER) as typeof HEADER;
  const sums = (streams ?? []).map(({ name }) => ({
    ...{ name, events: 0, hash: createHash('sha256'), firstSeq: 0, lastSeq: 0 },
  }));
  for (const [stream, records] of blocks) {
    const { bytes, firstSeq, lastSeq } = blockOf(stream, records);
    const raw = Buffer.concat([Buffer.from([stream, 0]), bytes]);
    frame(Kind.records, await packed(raw, 'gzip'), raw.length);
    const sum = sums[stream];
    if (!sum) continue;
    if (sum.events === 0) sum.firstSeq = firstSeq;
    sum.lastSeq = lastSeq;
    sum.events += records.length;
    sum.hash.update(bytes);
  }
  const truly = sums.map(({ name, events, hash, firstSeq, lastSeq }) => ({
    ...{ name, events, digest: hash.digest('hex'), firstSeq, lastSeq },
  }));
  frame(Kind.end, textOf(end ?? { streams: truly }));
  writeFileSync(path, Buffer.concat(parts));
}

const textOf = (what: object | string): Buffer => Buffer.from(typeof what === 'string' ? what : JSON.stringify(what));
