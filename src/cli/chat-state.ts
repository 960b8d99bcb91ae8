/** Where `rookery chat` keeps outbox, cursor and device id: a folder a gateway and user, so that nothing goes to another deployment. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UserId } from '../domain/ids.ts';
import { RookeryError } from '../protocol/error-codes.ts';

const DEVICE = 'device';
const DEFAULT_PATH = '/v1/ws';
const MAX_FILE_NAME_CHARS = 255;

interface StateFolder {
  readonly dir: string;
  /** What is to be told of a folder of before, which does not say whose gateway's it is. */
  readonly left?: string;
}

/** @throws RookeryError BAD_REQUEST */
export function stateFolder(root: string, url: string, user: UserId): StateFolder {
  const dir = join(root, fileNameOf(gatewayOf(url)), fileNameOf(user));
  const before = join(root, fileNameOf(user));
  const isFirst = !existsSync(join(dir, DEVICE));
  if (!isFirst || !existsSync(join(before, DEVICE))) return { dir };
  const left = `${before} does not say which gateway it is of and is left alone; if it is of this one, move it to ${dir}`;
  return { dir, left };
}

/** By its address: it is needed before there is a connection. Whoever names one gateway in two ways is two devices. */
function gatewayOf(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return pathname === DEFAULT_PATH ? host : `${host}${pathname}`;
  } catch (cause) {
    throw new RookeryError('BAD_REQUEST', `--url ${url}: no URL`, { cause });
  }
}

/** `.` and `..` are names that encodeURIComponent leaves as they are. A longest id takes three times what a file may be called by. */
function fileNameOf(name: string): string {
  const encoded = encodeURIComponent(name).replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
  if (encoded.length <= MAX_FILE_NAME_CHARS) return encoded;
  return `%~${createHash('sha256').update(name).digest('hex')}`;
}

/** Chosen once for a state folder: two of them on one machine are two devices. */
export function deviceIn(dir: string): string {
  const file = join(dir, DEVICE);
  if (!existsSync(file)) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeFileSync(file, `terminal-${crypto.randomUUID()}`);
  }
  return readFileSync(file, 'utf8').trim();
}
