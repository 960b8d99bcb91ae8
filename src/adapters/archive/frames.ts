/**
 * The form of an archive: 8 bytes that say what it is, then frames, each checked by itself and with all before it.
 *
 * A frame: kind u8 · bytes unpacked u32 · bytes packed u32 (little-endian) · SHA-256 of the digest before it, these nine bytes and
 * the packed ones · the packed ones. So a frame that was changed, lost, doubled or moved is found, and named by its number. The
 * first frame is the header, in JSON; the last one the end; between them blocks of records of one stream, whose number stands
 * before them as u16.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { RookeryError } from '../../protocol/error-codes.ts';

/** The high bit and both line ends: a file that went through something that takes it for text is none any more. */
export const MAGIC = Buffer.from([0x89, 0x52, 0x4b, 0x4c, 0x4f, 0x47, 0x0d, 0x0a]);
export const FORMAT = 1;

export const Kind = { header: 1, records: 2, end: 3 } as const;
export const FRAME_HEAD_BYTES = 9;
export const DIGEST_BYTES = 32;
/** A block is closed when it is as large, so no larger than this and one record; what says it were more is damaged. */
export const BLOCK_BYTES = 1_048_576;
export const MAX_FRAME_BYTES = 16 * BLOCK_BYTES;

export type Compression = 'zstd' | 'gzip';

/** zstd is three times as fast and smaller; Node has it from 22.15 on. */
export const bestCompression: Compression = typeof zlib.zstdCompress === 'function' ? 'zstd' : 'gzip';
const ZSTD_LEVEL = 1;
const GZIP_LEVEL = 1;
/** What a block becomes; with what zlib takes by itself it would come in dozens of pieces, each of them a call. */
const PACKED_BYTES = BLOCK_BYTES / 4;
/** Behind what a block becomes: where all of a piece is filled, Node makes another one for what might follow. */
const LEAST_CHUNK_BYTES = 64;

export async function packed(data: Uint8Array, compression: Compression): Promise<Buffer> {
  if (compression === 'gzip') return promisify(zlib.gzip)(data, { level: GZIP_LEVEL, chunkSize: PACKED_BYTES });
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
  return promisify(zlib.zstdCompress)(data, { params, chunkSize: PACKED_BYTES });
}

/** @throws whatever is wrong with it; it may not be more than it says */
export async function unpacked(data: Uint8Array, bytes: number, compression: Compression): Promise<Buffer> {
  const options = { maxOutputLength: Math.max(1, bytes), chunkSize: bytes + LEAST_CHUNK_BYTES };
  if (compression === 'zstd' && bestCompression !== 'zstd') {
    throw new RookeryError('ARCHIVE_UNSUPPORTED', 'the file is compressed with zstd, which Node has from 22.15 on');
  }
  const whole = await (compression === 'gzip'
    ? promisify(zlib.gunzip)(data, options)
    : promisify(zlib.zstdDecompress)(data, options));
  if (whole.length !== bytes) throw new Error(`${whole.length} bytes instead of ${bytes}`);
  return whole;
}

export function frameHead(kind: number, bytes: number, packedBytes: number): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt8(kind, 0);
  head.writeUInt32LE(bytes, 1);
  head.writeUInt32LE(packedBytes, 5);
  return head;
}

/** The digest before the first frame. */
export const ORIGIN = createHash('sha256').update(MAGIC).digest();

export const chained = (before: Buffer, head: Buffer, body: Uint8Array): Buffer =>
  createHash('sha256').update(before).update(head).update(body).digest();

/** What the file system refused, told by the file and the reason. */
export const unusable = (path: string, cause: unknown): RookeryError => {
  if (cause instanceof RookeryError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = code === 'ENOSPC' ? 'the disk is full' : message;
  return new RookeryError('FILE_UNUSABLE', `${path}: ${reason}`, { cause });
};
