/** Reads an archive: each frame is checked before anything of it is believed. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import type {
  ArchiveBlock,
  ArchiveEnd,
  ArchiveHeader,
  ArchiveReader,
  RecordInPlace,
  StoredRecord,
} from '../../ports/archive.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { endIn, headerIn } from './described.ts';
import {
  chained,
  DIGEST_BYTES,
  FORMAT,
  FRAME_HEAD_BYTES,
  Kind,
  MAGIC,
  MAX_FRAME_BYTES,
  ORIGIN,
  unpacked,
  unusable,
} from './frames.ts';
import { extentOf, RecordsInPlace, wholeRecords } from './records-in-place.ts';
import { Summary } from './summary.ts';

/** Blocks that are unpacked ahead of whoever iterates. */
const MAX_AHEAD = 3;

interface Frame {
  readonly kind: number;
  readonly number: number;
  readonly start: number;
  readonly end: number;
  readonly digest: Buffer;
  readonly bytes: number;
  readonly body: Buffer;
}

interface Unpacked {
  readonly frame: Frame;
  readonly stream: number;
  /** Records as bytes. */
  readonly raw: Buffer;
}

/** A block, and where in the file it ends. */
export class PlacedBlock implements ArchiveBlock {
  readonly stream: number;
  readonly events: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly endsAt: number;
  readonly digest: Buffer;
  readonly bytes: Buffer;

  /** @throws RangeError where something in it is no record */
  constructor({ frame, stream, raw }: Unpacked) {
    this.stream = stream;
    ({ events: this.events, firstSeq: this.firstSeq, lastSeq: this.lastSeq } = extentOf(raw));
    this.endsAt = frame.end;
    this.digest = frame.digest;
    this.bytes = raw;
  }

  get records(): readonly StoredRecord[] {
    return wholeRecords(this.bytes);
  }

  inPlace(): () => RecordInPlace | undefined {
    const records = new RecordsInPlace(this.bytes);
    return () => records.next();
  }

  release(): void {
    // A smaller one may share its memory with others.
    if (this.bytes.length > Buffer.poolSize) (this.bytes.buffer as ArrayBuffer).transfer(0);
  }
}

export class FileArchiveReader implements ArchiveReader {
  readonly path: string;
  readonly header: ArchiveHeader;
  readonly bytes: number;
  /** Where the first block begins, and the digest before it. */
  readonly start: { readonly position: number; readonly digest: Buffer };
  readonly #file: FileHandle;
  #position = 0;
  #end: ArchiveEnd | undefined;
  #seal: string | undefined;

  private constructor(path: string, file: FileHandle, bytes: number, header: ArchiveHeader, first: Frame) {
    this.path = path;
    this.header = header;
    this.bytes = bytes;
    this.start = { position: first.end, digest: first.digest };
    this.#file = file;
  }

  /** @throws RookeryError FILE_UNUSABLE, ARCHIVE_UNSUPPORTED (no archive, or a newer form), ARCHIVE_DAMAGED */
  static async open(path: string): Promise<FileArchiveReader> {
    let file: FileHandle | undefined;
    try {
      // Before it is opened: who opens a pipe waits for somebody to write into it. And a file is read more than once.
      if (!(await stat(path)).isFile()) throw new RookeryError('FILE_UNUSABLE', `${path} is no regular file`);
      file = await open(path, 'r');
      const { size } = await file.stat();
      const magic = Buffer.alloc(MAGIC.length);
      await file.read(magic, 0, MAGIC.length, 0);
      if (!magic.equals(MAGIC)) throw new RookeryError('ARCHIVE_UNSUPPORTED', `${path} is no archive of Rookery`);
      const first = await frameAt(path, file, size, { position: MAGIC.length, number: 0, digest: ORIGIN });
      const header = first && first.kind === Kind.header ? headerOf(path, first) : undefined;
      if (!header || !first) throw damaged(path, 0, MAGIC.length, 'the header is missing');
      return new FileArchiveReader(path, file, size, header, first);
    } catch (cause) {
      await file?.close();
      throw unusable(path, cause);
    }
  }

  get position(): number {
    return this.#position;
  }

  get end(): ArchiveEnd | undefined {
    return this.#end;
  }

  get seal(): string | undefined {
    return this.#seal;
  }

  /** @throws RookeryError ARCHIVE_DAMAGED, also where the file ends without its end */
  async *blocks(seal?: string): AsyncGenerator<PlacedBlock> {
    const summaries = this.header.streams.map(({ name }) => new Summary(name));
    const ahead: Promise<Unpacked>[] = [];
    // Unpacked side by side, read and counted in order.
    const counted = async (block: Promise<Unpacked>): Promise<PlacedBlock> => {
      const unpackedOne = await block;
      const placed = this.#placed(unpackedOne);
      if (seal !== undefined) return placed;
      const { stream, events, firstSeq, lastSeq } = placed;
      (summaries[stream] as Summary).addBytes(unpackedOne.raw, events, firstSeq, lastSeq);
      return placed;
    };
    let last: Frame | undefined;
    for await (const frame of this.#frames()) {
      last = frame;
      if (frame.kind !== Kind.records) break;
      const block = this.#block(frame);
      // Whoever iterates hears of it in its turn.
      block.catch(() => undefined);
      ahead.push(block);
      if (ahead.length > MAX_AHEAD) yield counted(ahead.shift() as Promise<Unpacked>);
    }
    for (const block of ahead) yield counted(block);
    if (last?.kind !== Kind.end) {
      const number = last ? last.number + 1 : 1;
      throw damaged(this.path, number, this.bytes, 'the file was cut off: its end is missing');
    }
    const end = this.#endOf(last);
    if (last.end !== this.bytes) throw damaged(this.path, last.number + 1, last.end, 'something follows the end');
    // The digest of each frame is also one of all before it.
    const sealed = last.digest.toString('hex');
    if (seal !== undefined && seal !== sealed) {
      throw damaged(this.path, last.number, last.start, 'it was changed since it was checked');
    }
    if (seal === undefined && JSON.stringify(end.streams) !== JSON.stringify(summaries.map(({ now }) => now))) {
      throw damaged(this.path, last.number, last.start, 'it holds something else than its end says');
    }
    this.#end = end;
    this.#seal = sealed;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async *#frames(): AsyncGenerator<Frame> {
    let at = { position: this.start.position, number: 1, digest: this.start.digest };
    for (;;) {
      const frame = await frameAt(this.path, this.#file, this.bytes, at);
      if (!frame) return;
      this.#position = frame.end;
      yield frame;
      at = { position: frame.end, number: frame.number + 1, digest: frame.digest };
    }
  }

  async #block(frame: Frame): Promise<Unpacked> {
    try {
      const raw = await unpacked(frame.body, frame.bytes, this.header.compression);
      const stream = raw.readUInt16LE(0);
      if (!this.header.streams[stream]) throw new RangeError(`there is no stream ${stream}`);
      return { frame, stream, raw: raw.subarray(2) };
    } catch (cause) {
      throw asDamage(this.path, frame.number, frame.start, cause);
    }
  }

  #placed(block: Unpacked): PlacedBlock {
    try {
      return new PlacedBlock(block);
    } catch (cause) {
      throw asDamage(this.path, block.frame.number, block.frame.start, cause);
    }
  }

  #endOf({ body, number, start }: Frame): ArchiveEnd {
    try {
      return endIn(body);
    } catch (cause) {
      throw asDamage(this.path, number, start, cause);
    }
  }
}

/** Undefined at the file's very end. @throws RookeryError ARCHIVE_DAMAGED */
async function frameAt(
  path: string,
  file: FileHandle,
  size: number,
  { position, number, digest: before }: { position: number; number: number; digest: Buffer },
): Promise<Frame | undefined> {
  if (position === size) return undefined;
  const head = Buffer.alloc(FRAME_HEAD_BYTES + DIGEST_BYTES);
  const cutOff = (): RookeryError => damaged(path, number, position, 'the file was cut off in the middle of it');
  if ((await file.read(head, 0, head.length, position)).bytesRead < head.length) throw cutOff();
  const [kind, bytes, packedBytes] = [head.readUInt8(0), head.readUInt32LE(1), head.readUInt32LE(5)];
  if (bytes > MAX_FRAME_BYTES || packedBytes > MAX_FRAME_BYTES)
    throw damaged(path, number, position, 'its length is wrong');
  const body = Buffer.allocUnsafe(packedBytes);
  const start = position + head.length;
  if ((await file.read(body, 0, packedBytes, start)).bytesRead < packedBytes) throw cutOff();
  const digest = chained(before, head.subarray(0, FRAME_HEAD_BYTES), body);
  if (!digest.equals(head.subarray(FRAME_HEAD_BYTES)))
    throw damaged(path, number, position, 'its digest is another one');
  return { kind, number, start: position, end: start + packedBytes, digest, bytes, body };
}

function headerOf(path: string, { body, number, start }: Frame): ArchiveHeader {
  try {
    return headerIn(body, (format, writtenBy) => {
      if (format <= FORMAT) return;
      const form = `${path} has form ${format}, written by ${writtenBy}; this Rookery reads up to ${FORMAT}`;
      throw new RookeryError('ARCHIVE_UNSUPPORTED', form);
    });
  } catch (cause) {
    throw asDamage(path, number, start, cause);
  }
}

const damaged = (path: string, block: number, offset: number, reason: string): RookeryError =>
  new RookeryError('ARCHIVE_DAMAGED', `${path}: block ${block}, at byte ${offset}: ${reason}`);

const asDamage = (path: string, block: number, offset: number, cause: unknown): RookeryError =>
  cause instanceof RookeryError ? cause : damaged(path, block, offset, String(cause));
