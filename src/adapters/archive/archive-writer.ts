/**
 * Writes an archive beside its place and puts it there when it is whole. What was interrupted, by whatever, is gone on with behind
 * its last whole block, if it is an export of the same; else it is begun anew. One writes at a time: whoever opens one holds a lock.
 */
import type { Stats } from 'node:fs';
import { type FileHandle, lstat, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ArchiveEnd, ArchiveHeader, ArchiveWriter, StoredRecord, StreamSummary } from '../../ports/archive.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { FileArchiveReader } from './archive-reader.ts';
import { BLOCK_BYTES, chained, frameHead, Kind, MAGIC, MAX_FRAME_BYTES, ORIGIN, packed, unusable } from './frames.ts';
import { roomFor, writeRecord } from './record-bytes.ts';
import { Summary } from './summary.ts';

/** Blocks that are being packed or wait to be written; at the bound `write` waits. */
const MAX_BLOCKS_AHEAD = 4;
const STREAM_NUMBER_BYTES = 2;
/** All that anybody has said stands in it, and the hashes of passwords. */
const OWNER_ALONE = 0o600;

export const partOf = (path: string): string => `${path}.part`;

export class FileArchiveWriter implements ArchiveWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #header: ArchiveHeader;
  readonly #summaries: readonly Summary[];
  #digest: Buffer;
  #position: number;
  /** What the block in the making holds. */
  #stream = 0;
  #events = 0;
  #firstSeq = 0;
  #lastSeq = 0;
  #buffer = Buffer.allocUnsafe(2 * BLOCK_BYTES);
  #used = STREAM_NUMBER_BYTES;
  /** Written one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #ahead = 0;
  #failed: RookeryError | undefined;

  private constructor(path: string, file: FileHandle, header: ArchiveHeader, from: Begun) {
    this.#path = path;
    this.#file = file;
    this.#header = header;
    this.#summaries = from.summaries;
    this.#digest = from.digest;
    this.#position = from.position;
  }

  /** @throws RookeryError FILE_UNUSABLE, also where something else than an archive stands in its place, which stays as it is */
  static async open(path: string, header: ArchiveHeader): Promise<FileArchiveWriter> {
    let file: FileHandle | undefined;
    await refuseOther(path);
    try {
      const begun = await begunBefore(partOf(path), header);
      file = await open(partOf(path), begun ? 'r+' : 'w', OWNER_ALONE);
      if (begun) {
        await file.truncate(begun.position);
        return new FileArchiveWriter(path, file, begun.header, begun);
      }
      const summaries = header.streams.map(({ name }) => new Summary(name));
      const writer = new FileArchiveWriter(path, file, header, { summaries, digest: ORIGIN, position: 0 });
      await writer.#append(MAGIC);
      await writer.#frame(Kind.header, Buffer.from(JSON.stringify(header)));
      return writer;
    } catch (cause) {
      await file?.close();
      throw unusable(partOf(path), cause);
    }
  }

  /** Of what is gone on with, as it was begun: up to where the log stood then. */
  get header(): ArchiveHeader {
    return this.#header;
  }

  get summaries(): readonly StreamSummary[] {
    return this.#summaries.map((summary) => summary.now);
  }

  async write(stream: number, records: readonly StoredRecord[]): Promise<void> {
    if (stream !== this.#stream) this.#close();
    this.#stream = stream;
    for (const record of records) {
      const room = roomFor(record);
      if (this.#used + room > this.#buffer.length) this.#close();
      if (room + STREAM_NUMBER_BYTES > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(2 * room);
      this.#used = writeRecord(this.#buffer, this.#used, record);
      if (this.#events === 0) this.#firstSeq = record.seq;
      this.#lastSeq = record.seq;
      this.#events += 1;
      if (this.#used >= BLOCK_BYTES) this.#close();
    }
    while (this.#ahead > MAX_BLOCKS_AHEAD) await this.#writing;
    if (this.#failed) throw this.#failed;
  }

  async finish(): Promise<ArchiveEnd> {
    this.#close();
    await this.#writing;
    if (this.#failed) throw this.#failed;
    const end = { streams: this.summaries };
    try {
      await this.#frame(Kind.end, Buffer.from(JSON.stringify(end)));
      await this.#file.sync();
      await this.#refuseReplaced();
      await this.#file.close();
      await rename(partOf(this.#path), this.#path);
      const folder = await open(dirname(this.#path), 'r');
      await folder.sync();
      await folder.close();
    } catch (cause) {
      throw unusable(this.#path, cause);
    }
    return end;
  }

  async abandon(): Promise<void> {
    if (!this.#failed) this.#close();
    await this.#writing;
    await this.#file.close().catch(() => undefined);
  }

  /** Whoever moves files about while they are written gets none that another export has written. @throws RookeryError FILE_UNUSABLE */
  async #refuseReplaced(): Promise<void> {
    const part = partOf(this.#path);
    const [ours, there] = [await this.#file.stat(), await standing(part, stat)];
    if (there?.dev === ours.dev && there.ino === ours.ino) return;
    throw new RookeryError('FILE_UNUSABLE', `${part} was moved away or replaced while it was written`);
  }

  /** Of the block's bytes a copy is packed, while the next block is filled. */
  #close(): void {
    const [events, firstSeq, lastSeq] = [this.#events, this.#firstSeq, this.#lastSeq];
    if (events === 0 || this.#failed) return;
    this.#buffer.writeUInt16LE(this.#stream, 0);
    const raw = Buffer.from(this.#buffer.subarray(0, this.#used));
    if (raw.length > MAX_FRAME_BYTES) throw new RookeryError('INTERNAL', 'a block grew beyond its bound');
    const summary = this.#summaries[this.#stream] as Summary;
    this.#events = 0;
    this.#used = STREAM_NUMBER_BYTES;
    this.#ahead += 1;
    const packing = packed(raw, this.#header.compression);
    // Looked at in its turn.
    packing.catch(() => undefined);
    this.#writing = this.#writing
      .then(async () => {
        if (this.#failed) return;
        await this.#frame(Kind.records, await packing, raw.length);
        summary.addBytes(raw.subarray(STREAM_NUMBER_BYTES), events, firstSeq, lastSeq);
      })
      .catch((cause: unknown) => {
        this.#failed ??= unusable(partOf(this.#path), cause);
      })
      .finally(() => (this.#ahead -= 1));
  }

  async #frame(kind: number, body: Buffer, bytes = body.length): Promise<void> {
    const head = frameHead(kind, bytes, body.length);
    const digest = chained(this.#digest, head, body);
    await this.#append(Buffer.concat([head, digest, body]));
    this.#digest = digest;
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#position);
      done += bytesWritten;
      this.#position += bytesWritten;
    }
  }
}

/**
 * An archive takes the place of one of before, and of nothing else: the rename in the end would replace a pipe, a link or
 * somebody's letter as well. What is begun is begun anew only where it is one of ours.
 * @throws RookeryError FILE_UNUSABLE
 */
async function refuseOther(path: string): Promise<void> {
  const at = await standing(path, lstat);
  if (at && !at.isFile()) throw new RookeryError('FILE_UNUSABLE', `${path} is there and is no regular file`);
  if (at && !(await beginsAsArchive(path))) throw new RookeryError('FILE_UNUSABLE', `${path} is there and ${NONE}`);
  const part = partOf(path);
  const begun = await standing(part, stat);
  // A link would take the archive's place in the end, and another export may write where it leads to.
  const isLink = (await standing(part, lstat))?.isSymbolicLink() === true && (begun?.isFile() ?? true);
  // To open a pipe waits for its other end, for ever.
  if (begun?.isFIFO() || begun?.isDirectory() || isLink)
    throw new RookeryError('FILE_UNUSABLE', `${part} is there and is no regular file`);
  if (begun?.isFile() && begun.size > 0 && !(await beginsAsArchive(part)))
    throw new RookeryError('FILE_UNUSABLE', `${part}, in which it would be written, is there and ${NONE}`);
}

const NONE = 'is no archive of Rookery: move it away, or name another file';

async function standing(path: string, look: (path: string) => Promise<Stats>): Promise<Stats | undefined> {
  try {
    return await look(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, cause);
  }
}

/** Also where it was cut off within what says so. */
async function beginsAsArchive(path: string): Promise<boolean> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const start = Buffer.alloc(MAGIC.length);
    const { bytesRead } = await file.read(start, 0, MAGIC.length, 0);
    return bytesRead > 0 && start.subarray(0, bytesRead).equals(MAGIC.subarray(0, bytesRead));
  } catch (cause) {
    throw unusable(path, cause);
  } finally {
    await file?.close();
  }
}

interface Begun {
  readonly summaries: readonly Summary[];
  readonly digest: Buffer;
  readonly position: number;
}

/** Up to its last whole block; undefined where there is none, or one of something else. */
async function begunBefore(
  part: string,
  wanted: ArchiveHeader,
): Promise<(Begun & { readonly header: ArchiveHeader }) | undefined> {
  let reader: FileArchiveReader;
  try {
    reader = await FileArchiveReader.open(part);
  } catch {
    return undefined;
  }
  try {
    if (!isSameExport(reader.header, wanted)) return undefined;
    const summaries = reader.header.streams.map(({ name }) => new Summary(name));
    let { position, digest } = reader.start;
    try {
      for await (const block of reader.blocks()) {
        (summaries[block.stream] as Summary).add(block.records);
        position = block.endsAt;
        digest = block.digest;
      }
    } catch (cause) {
      // Cut off in the middle of a block, as was to be expected; or damaged there, then it is written anew from there on.
      if (!(cause instanceof RookeryError) || cause.code !== 'ARCHIVE_DAMAGED') throw cause;
    }
    return { header: reader.header, summaries, digest, position };
  } finally {
    await reader.close();
  }
}

/** Of the same streams and the same part of them; how far they had come when it was begun may differ. */
function isSameExport(one: ArchiveHeader, other: ArchiveHeader): boolean {
  const what = ({ streams, writtenBy: _, ...rest }: ArchiveHeader): string =>
    JSON.stringify({ ...rest, streams: streams.map(({ name, created }) => [name, created]) });
  return what(one) === what(other);
}
