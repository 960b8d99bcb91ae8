/** JSON Web Tokens: HS256 with a shared secret, or the public keys of an identity provider. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  type ExportedJWKSCache,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwksCache,
  jwtVerify,
  SignJWT,
} from 'jose';
import { LRUCache } from 'lru-cache';
import { parseDeviceId, parseUserId } from '../../domain/ids.ts';
import type { Identity, Tokens } from '../../ports/tokens.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

/** A reconnect storm brings the same tokens again: what was verified is remembered, by hash. */
const MAX_REMEMBERED = 20_000;
/**
 * A key that is no longer in the key server's JWKS counts for that long at most: an older set is fetched again before anything is judged by
 * it, also a token that is remembered. A token with a key that is not in the set fetches it at once, every 30 s at most (jose's cooldown).
 */
const MAX_KEYS_AGE_MS = 600_000;
const MIN_SECRET_BYTES = 32;
/** Only what a public key can verify: a token that names HS256 with a public key as its secret is the classic forgery. */
const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];

export interface TokenOptions {
  readonly mode: 'secret' | 'jwks';
  readonly secretFile: string;
  /** URL or path of a JWKS. */
  readonly jwks: string;
  /** Empty: not checked. */
  readonly issuer: string;
  readonly audience: string;
}

interface Verifier {
  verify(token: string): Promise<JWTPayload>;
  /** Which keys are in force: what was verified under others has to be again. Undefined: they are too old to judge by. */
  keys(): string | undefined;
}

interface Remembered {
  readonly identity: Identity;
  readonly keys: string;
}

export class JwtTokens implements Tokens {
  readonly #verifier: Verifier;
  readonly #known = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED });

  /** @throws RookeryError CONFIGURATION_INVALID */
  constructor(options: TokenOptions) {
    this.#verifier = verifierOf(options);
  }

  async verify(token: string): Promise<Identity> {
    const hash = createHash('sha256').update(token).digest('base64');
    const keys = this.#verifier.keys();
    const known = this.#known.get(hash);
    if (known && known.keys === keys) {
      if (known.identity.expiresAt <= Date.now()) throw new RookeryError('TOKEN_EXPIRED', 'the token has expired');
      return known.identity;
    }
    let claims: JWTPayload;
    try {
      claims = await this.#verifier.verify(token);
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw new RookeryError('TOKEN_EXPIRED', 'the token has expired', { cause });
      if (isUnreachable(cause)) throw new RookeryError('INTERNAL', 'the keys cannot be had now', { cause });
      throw new RookeryError('TOKEN_INVALID', 'the token is not valid', { cause });
    }
    const identity = identityOf(claims);
    // Fetched meanwhile: the key may have been one of the old set.
    if (keys !== undefined && keys === this.#verifier.keys()) this.#known.set(hash, { identity, keys });
    return identity;
  }
}

/** A token as `rookery dev` and `rookery token` give it. */
export const signDevToken = (secretFile: string, user: string, lifetimeMs: number): Promise<string> =>
  signToken({ secretFile, issuer: '', audience: '' }, user, Date.now() + lifetimeMs);

/** One that we take ourselves in mode `secret`. @param expiresAt milliseconds since 1970 */
export function signToken(
  { secretFile, issuer, audience }: Pick<TokenOptions, 'secretFile' | 'issuer' | 'audience'>,
  user: string,
  expiresAt: number,
): Promise<string> {
  return (
    new SignJWT({ ...(issuer && { iss: issuer }), ...(audience && { aud: audience }) })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user)
      // To the millisecond: a token made right after a sign-out is not one from before it.
      .setIssuedAt(Date.now() / 1_000)
      .setExpirationTime(Math.floor(expiresAt / 1_000))
      .sign(secretIn(secretFile))
  );
}

/** The key server is away or answers nonsense: that is no judgement on the token. */
const isUnreachable = (thrown: unknown): boolean =>
  thrown instanceof errors.JWKSTimeout ||
  thrown instanceof errors.JWKSInvalid ||
  !(thrown instanceof errors.JOSEError) ||
  thrown.code === 'ERR_JOSE_GENERIC';

function identityOf({ sub, exp, iat = 0, device }: JWTPayload): Identity {
  const user = parseUserId(sub);
  if (!user || exp === undefined)
    throw new RookeryError('TOKEN_INVALID', 'the token needs `sub`, a user id, and `exp`');
  const identity = { user, expiresAt: exp * 1_000, credential: { issuedAt: iat * 1_000 } };
  if (device === undefined) return identity;
  const parsed = parseDeviceId(device);
  if (!parsed) throw new RookeryError('TOKEN_INVALID', "the token's `device` is no id");
  return { ...identity, device: parsed };
}

function verifierOf({ mode, secretFile, jwks, issuer, audience }: TokenOptions): Verifier {
  const checks = { ...(issuer && { issuer }), ...(audience && { audience }), requiredClaims: ['sub', 'exp'] };
  if (mode === 'secret') {
    // Once: made anew for each token it costs as much as the rest of the check.
    const key = crypto.subtle.importKey('raw', secretIn(secretFile), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'verify',
    ]);
    return {
      verify: async (token) => (await jwtVerify(token, await key, { ...checks, algorithms: ['HS256'] })).payload,
      keys: () => 'the secret',
    };
  }
  const set = /^https?:/.test(jwks) ? serverKeys(new URL(jwks)) : fileKeys(jwks);
  const verifying = { ...checks, algorithms: PUBLIC_KEY_ALGORITHMS };
  return { ...set, verify: async (token) => (await jwtVerify(token, set.keyOf, verifying)).payload };
}

type KeySet = Pick<Verifier, 'keys'> & { readonly keyOf: JWTVerifyGetKey };

function serverKeys(url: URL): KeySet {
  const cache: Partial<ExportedJWKSCache> = {};
  const keyOf = createRemoteJWKSet(url, {
    cacheMaxAge: MAX_KEYS_AGE_MS,
    [jwksCache]: cache as ExportedJWKSCache,
  });
  let fetched: unknown;
  let text: string | undefined;
  const keys = (): string | undefined => {
    if (!keyOf.fresh) return undefined;
    // The same set fetched again is the same text: nobody has to be verified anew for that.
    if (cache.jwks !== fetched) text = JSON.stringify(cache.jwks);
    fetched = cache.jwks;
    return text;
  };
  return { keyOf, keys };
}

/** Read once: another set counts from the next start on. */
const fileKeys = (file: string): KeySet => ({ keyOf: createLocalJWKSet(jsonIn(file)), keys: () => 'the file' });

function secretIn(file: string): Uint8Array<ArrayBuffer> {
  try {
    const secret = new Uint8Array(readFileSync(file));
    if (secret.length < MIN_SECRET_BYTES) throw new Error(`shorter than ${MIN_SECRET_BYTES} bytes`);
    return secret;
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `auth.secretFile ${file}: ${String(cause)}`, { cause });
  }
}

function jsonIn(file: string): Parameters<typeof createLocalJWKSet>[0] {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `auth.jwks ${file}: ${String(cause)}`, { cause });
  }
}
