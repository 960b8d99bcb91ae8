/** Files with secrets: there whole, on the disk, or not at all; only their owner reads them. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export function writeSecretFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/** Made at the first start, kept ever after. */
export function ensureSecretFile(path: string, make: () => string): void {
  if (!existsSync(path)) writeSecretFile(path, make());
}
