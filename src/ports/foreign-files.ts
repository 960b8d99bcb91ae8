/** The files of somebody else's export: one, a folder of them, or a zip file with one in it. */

export interface ForeignFiles {
  /** Of all files, with `/`, sorted. */
  readonly paths: readonly string[];
  /** Of all files, and how many of them were read; a file that is read twice counts twice. */
  readonly bytes: number;
  readonly bytesRead: number;
  /** In order, as many as are there. @throws RookeryError FILE_UNUSABLE */
  chunks(path: string): AsyncIterable<Uint8Array>;
  /** @throws RookeryError FILE_UNUSABLE; also where it is longer than `maxBytes` */
  read(path: string, maxBytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}
