/** Who asks over HTTP: a backend with an API key, which may speak for anybody, or a user with a token, for that user alone. */
import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { UserId } from '../../domain/ids.ts';
import type { Tokens } from '../../ports/tokens.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

export interface Access {
  readonly apiKeys: readonly string[];
  readonly tokens: Pick<Tokens, 'verify'>;
}

/** @throws RookeryError TOKEN_INVALID unless a backend asks, with its key */
export function requireApiKey(request: FastifyRequest, apiKeys: readonly string[]): void {
  if (!isApiKey(credentialOf(request), apiKeys)) throw new RookeryError('TOKEN_INVALID', 'no API key of ours');
}

/**
 * @returns whose token it is; undefined for a backend
 * @throws RookeryError TOKEN_INVALID, TOKEN_EXPIRED, ACCOUNT_DEACTIVATED
 */
export async function tokenHolder(request: FastifyRequest, { apiKeys, tokens }: Access): Promise<UserId | undefined> {
  const credential = credentialOf(request);
  return isApiKey(credential, apiKeys) ? undefined : (await tokens.verify(credential)).user;
}

/** @throws RookeryError FORBIDDEN, and as `tokenHolder` */
export async function requireSpeaksFor(user: UserId, request: FastifyRequest, access: Access): Promise<void> {
  const holder = await tokenHolder(request, access);
  if (holder !== undefined && holder !== user)
    throw new RookeryError('FORBIDDEN', 'a user token speaks for its own user only');
}

function credentialOf({ headers }: FastifyRequest): string {
  const [scheme, credential = ''] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer')
    throw new RookeryError('TOKEN_INVALID', 'an Authorization header with a Bearer token is needed');
  return credential;
}

const isApiKey = (credential: string, apiKeys: readonly string[]): boolean =>
  apiKeys.some((key) => isSameText(key, credential));

/** Takes the same time wherever two texts of one length differ. */
function isSameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
