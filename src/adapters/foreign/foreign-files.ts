/** Opens what there is at a path. */
import { createReadStream } from 'node:fs';
import { glob, stat } from 'node:fs/promises';
import { basename, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import yauzl from 'yauzl';
import type { ForeignFiles } from '../../ports/foreign-files.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

interface Source {
  readonly bytes: number;
  open(): Promise<Readable>;
}

/** Files of an export that are looked at; what has more is no export of a messenger. */
const MAX_FILES = 1_000_000;

/** @throws RookeryError FILE_UNUSABLE */
export async function openForeignFiles(path: string): Promise<ForeignFiles> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return new OpenFiles(await filesIn(path), async () => undefined);
    // A pipe would be waited for; and all is read twice.
    if (!found.isFile()) throw new RookeryError('FILE_UNUSABLE', `${path} is neither a regular file nor a folder`);
    if (/\.zip$/i.test(path)) return await zipAt(path);
    return new OpenFiles(new Map([[basename(path), fileAt(path, found.size)]]), async () => undefined);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

class OpenFiles implements ForeignFiles {
  readonly paths: readonly string[];
  readonly bytes: number;
  readonly close: () => Promise<void>;
  readonly #sources: ReadonlyMap<string, Source>;
  #bytesRead = 0;

  constructor(sources: ReadonlyMap<string, Source>, close: () => Promise<void>) {
    this.#sources = sources;
    this.paths = [...sources.keys()].sort();
    this.bytes = [...sources.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    this.close = close;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  async *chunks(path: string): AsyncGenerator<Uint8Array> {
    try {
      const source = this.#sources.get(path);
      if (!source) throw new Error('there is no such file');
      for await (const chunk of await source.open()) {
        this.#bytesRead += (chunk as Uint8Array).length;
        yield chunk as Uint8Array;
      }
    } catch (cause) {
      throw unusable(path, cause);
    }
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.chunks(path)) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new RookeryError('FILE_UNUSABLE', `${path} is longer than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }
}

const fileAt = (path: string, bytes: number): Source => ({ bytes, open: async () => createReadStream(path) });

async function filesIn(folder: string): Promise<ReadonlyMap<string, Source>> {
  const root = resolve(folder);
  const sources = new Map<string, Source>();
  for await (const entry of glob('**/*', { cwd: root, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = resolve(root, entry.parentPath, entry.name);
    sources.set(relative(root, path).split(sep).join('/'), fileAt(path, (await stat(path)).size));
    if (sources.size > MAX_FILES) throw new Error(`more than ${MAX_FILES} files`);
  }
  return sources;
}

/** Nothing is unpacked onto the disk, so no name in it can do harm; each file's length is checked as it is read. */
async function zipAt(path: string): Promise<ForeignFiles> {
  const zip = await new Promise<yauzl.ZipFile>((resolve, reject) => {
    const options = { autoClose: false, lazyEntries: true };
    yauzl.open(path, options, (error, opened) => (opened ? resolve(opened) : reject(error)));
  });
  const sources = new Map<string, Source>();
  await new Promise<void>((resolve, reject) => {
    zip.once('error', reject);
    zip.once('end', resolve);
    zip.on('entry', (entry: yauzl.Entry) => {
      if (!entry.fileName.endsWith('/'))
        sources.set(entry.fileName, { bytes: entry.uncompressedSize, open: () => entryOf(zip, entry) });
      if (sources.size > MAX_FILES) reject(new Error(`more than ${MAX_FILES} files`));
      else zip.readEntry();
    });
    zip.readEntry();
  });
  return new OpenFiles(sources, async () => zip.close());
}

const entryOf = (zip: yauzl.ZipFile, entry: yauzl.Entry): Promise<Readable> =>
  new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (stream ? resolve(stream) : reject(error)));
  });

const unusable = (path: string, cause: unknown): RookeryError =>
  cause instanceof RookeryError
    ? cause
    : new RookeryError('FILE_UNUSABLE', `${path}: ${(cause as Error).message}`, { cause });
