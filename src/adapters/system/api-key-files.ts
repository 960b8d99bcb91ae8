/**
 * API keys in a folder, a file each, named after it: so one is made and revoked without a word to the others, and a folder of
 * secrets that something else puts there will do as well. A file has the key's hash, never the key.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { type ApiKey, scopes } from '../../ports/api-keys.ts';
import type { Log } from '../../ports/log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { ensureSecretFile, writeSecretFile } from './secret-file.ts';

/** Each request is compared with all of them. */
const MAX_KEYS = 256;
const KEY_BYTES = 32;
/** A key that is made or revoked counts or counts no more after so long, at every gateway that reads the folder. */
const READ_EVERY_MS = 1_000;
const DEV_KEY = 'dev';
const FILE_NAME = /^([A-Za-z0-9_-]{1,64})\.json$/;

const strict = { additionalProperties: false };
const fileSchema = Type.Object(
  {
    hash: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'SHA-256 of the key, base64url' }),
    scopes: Type.Array(Type.Union([Type.Literal('all'), ...scopes.map((scope) => Type.Literal(scope))]), {
      minItems: 1,
    }),
    rate: Type.Optional(
      Type.Object(
        {
          requestsPerSecond: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }),
          burst: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
        },
        strict,
      ),
    ),
    createdAt: Type.Integer({ minimum: 0, description: 'milliseconds since 1970' }),
    expiresAt: Type.Integer({ minimum: 0, description: 'milliseconds since 1970; 0: never' }),
  },
  strict,
);
type KeyFile = Static<typeof fileSchema>;
export type StoredKey = ApiKey & Pick<KeyFile, 'createdAt'>;

/** A key is recognised by its beginning, by people and by what looks for secrets where they do not belong. */
export const newApiKey = (): string => `rkk.${randomBytes(KEY_BYTES).toString('base64url')}`;

export const hashOfApiKey = (key: string): string => createHash('sha256').update(key).digest('base64url');

/**
 * There whole or not at all.
 * @throws RookeryError CONFLICT where there is one of that name; CONFIGURATION_INVALID for a name or field that cannot be
 */
export function createApiKeyFile(dir: string, { name, ...fields }: StoredKey): void {
  const path = pathOf(dir, name);
  const temporary = `${path}.new-${process.pid}`;
  check(name, fields);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  try {
    writeSecretFile(temporary, `${JSON.stringify(fields, undefined, 2)}\n`);
    linkSync(temporary, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new RookeryError('CONFLICT', `there is a key ${name}: revoke it, or choose another name`, { cause });
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** One that may do everything, itself in a file beside: made at the first start, kept ever after. */
export function ensureDevKey(keyFile: string, dir: string): void {
  ensureSecretFile(keyFile, newApiKey);
  const hash = hashOfApiKey(readFileSync(keyFile, 'utf8').trim());
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = pathOf(dir, DEV_KEY);
  const isThere = existsSync(path) && readKey(dir, DEV_KEY).hash === hash;
  if (isThere) return;
  rmSync(path, { force: true });
  createApiKeyFile(dir, { name: DEV_KEY, hash, scopes: ['all'], createdAt: Date.now(), expiresAt: 0 });
}

/** @throws RookeryError NOT_FOUND */
export function removeApiKeyFile(dir: string, name: string): void {
  try {
    rmSync(pathOf(dir, name));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new RookeryError('NOT_FOUND', `there is no key ${name} in ${dir}`, { cause });
  }
}

/** @throws RookeryError CONFIGURATION_INVALID for a folder or file that cannot be read */
export const readApiKeyFiles = (dir: string): StoredKey[] => namesIn(dir).map((name) => readKey(dir, name));

/**
 * The keys of a folder as they change. A file that cannot be read leaves its key as it was, if there was one, and the others go on;
 * a folder that cannot be read leaves all. Each is told of once.
 * @throws RookeryError CONFIGURATION_INVALID where something cannot be read at the start
 */
export class ApiKeyFolder {
  readonly #dir: string;
  readonly #log: Log;
  readonly #onChange: (keys: readonly StoredKey[]) => void;
  readonly #timer: NodeJS.Timeout;
  #keys: readonly StoredKey[];
  #seen: string;

  constructor(dir: string, log: Log, onChange: (keys: readonly StoredKey[]) => void) {
    this.#dir = dir;
    this.#log = log;
    this.#onChange = onChange;
    // Before the files are read: what changes while they are is seen the next time.
    this.#seen = stampOf(dir);
    this.#keys = readApiKeyFiles(dir);
    this.#take(this.#keys);
    this.#timer = setInterval(() => this.#look(), READ_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const stamp = stampOf(this.#dir);
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    const before = new Map(this.#keys.map((key) => [key.name, key]));
    try {
      this.#take(
        namesIn(this.#dir).flatMap((name) => {
          try {
            return readKey(this.#dir, name);
          } catch (error) {
            this.#log.error({ what: 'API key not read', key: name, reason: String(error) });
            return before.get(name) ?? [];
          }
        }),
      );
    } catch (error) {
      this.#log.error({ what: 'API keys not read', reason: String(error) });
    }
  }

  #take(keys: readonly StoredKey[]): void {
    this.#keys = keys;
    this.#onChange(keys);
    this.#log.info({ what: 'API keys in force', keys: keys.map(({ name }) => name) });
  }
}

/** Changes whenever a file comes, goes or is written. */
function stampOf(dir: string): string {
  try {
    const stamps = namesIn(dir).map((name) => {
      const { ino, size, mtimeMs } = statSync(pathOf(dir, name));
      return `${name} ${ino} ${size} ${mtimeMs}`;
    });
    return stamps.join('\n');
  } catch (error) {
    return String(error);
  }
}

/** In their order, and no more than are compared in no time. */
function namesIn(dir: string): string[] {
  try {
    const names = readdirSync(dir).flatMap((file) => FILE_NAME.exec(file)?.[1] ?? []);
    if (names.length > MAX_KEYS) throw new Error(`more than ${MAX_KEYS} keys`);
    return names.sort();
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `API keys in ${dir}: ${(cause as Error).message}`, { cause });
  }
}

function readKey(dir: string, name: string): StoredKey {
  let fields: unknown;
  try {
    fields = JSON.parse(readFileSync(pathOf(dir, name), 'utf8'));
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `API key ${name}: ${(cause as Error).message}`, { cause });
  }
  return { name, ...check(name, fields) };
}

function check(name: string, fields: unknown): KeyFile {
  if (Value.Check(fileSchema, fields)) return fields;
  const [problem] = Value.Errors(fileSchema, fields);
  const where = problem?.instancePath.slice(1).replaceAll('/', '.') || 'the file';
  throw new RookeryError('CONFIGURATION_INVALID', `API key ${name}: ${where}: ${problem?.message ?? 'wrong'}`);
}

function pathOf(dir: string, name: string): string {
  if (FILE_NAME.test(`${name}.json`)) return join(dir, `${name}.json`);
  throw new RookeryError('CONFIGURATION_INVALID', `${name}: a key's name has 1 to 64 of A-Z, a-z, 0-9, - and _`);
}
