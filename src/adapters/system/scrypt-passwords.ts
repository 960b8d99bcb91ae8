/**
 * Passwords by scrypt (RFC 7914), which Node brings itself: nothing to install. The parameters are one of the choices of OWASP's
 * password storage cheat sheet; they stand in the hash (PHC string format), so another choice later leaves old hashes good.
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import type { PasswordHasher } from '../../ports/passwords.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

/** 16 MiB and some 100 ms of one core. */
const COST_BITS = 14;
const BLOCK_SIZE = 8;
const PARALLELIZATION = 5;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Of a hash from elsewhere: no more memory than this, and no more work. */
const MAX_COST_BITS = 17;
const MAX_PARALLELIZATION = 16;
const BYTES_PER_BLOCK = 128;

const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,88})\$([A-Za-z0-9+/]{43})$/;
/** Compared with where there is none. */
const NO_SALT = Buffer.alloc(SALT_BYTES);

/** scrypt itself: how much work it is follows from the numbers alone. */
export type Derive = (password: string, salt: Buffer, costBits: number, r: number, p: number) => Promise<Buffer>;

export class ScryptPasswords implements PasswordHasher {
  readonly #derive: Derive;

  constructor(derive: Derive = scrypted) {
    this.#derive = derive;
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const hash = await this.#derive(password, salt, COST_BITS, BLOCK_SIZE, PARALLELIZATION);
    return `$scrypt$ln=${COST_BITS},r=${BLOCK_SIZE},p=${PARALLELIZATION}$${base64(salt)}$${base64(hash)}`;
  }

  /** @throws RookeryError EVENT_UNREADABLE for a hash that is none of ours */
  async verify(password: string, stored: string | undefined): Promise<boolean> {
    if (stored === undefined) {
      await this.#derive(password, NO_SALT, COST_BITS, BLOCK_SIZE, PARALLELIZATION);
      return false;
    }
    const [, bits = '', block = '', parallel = '', salt = '', hash = ''] = PHC.exec(stored) ?? [];
    const [cost, blockSize, parallelization] = [Number(bits), Number(block), Number(parallel)];
    const isOurs = hash !== '' && cost >= 1 && cost <= MAX_COST_BITS && blockSize === BLOCK_SIZE;
    if (!isOurs || parallelization < 1 || parallelization > MAX_PARALLELIZATION) {
      throw new RookeryError('EVENT_UNREADABLE', 'the hash of the password is of no known form');
    }
    const given = await this.#derive(password, Buffer.from(salt, 'base64'), cost, blockSize, parallelization);
    return timingSafeEqual(given, Buffer.from(hash, 'base64'));
  }
}

/** The same password typed on another keyboard may come as other code points. */
function scrypted(password: string, salt: Buffer, costBits: number, r: number, p: number): Promise<Buffer> {
  const N = 2 ** costBits;
  const options: ScryptOptions = { N, r, p, maxmem: 2 * BYTES_PER_BLOCK * N * r };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, options, (error, hash) =>
      error ? reject(error) : resolve(hash),
    );
  });
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
