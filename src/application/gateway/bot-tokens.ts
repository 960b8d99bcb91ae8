/**
 * Tokens of bots: `rkb.<user>.<id>.<secret>`. The account knows a hash of the secret, so whoever reads the log cannot come in. A
 * secret is 256 random bits, so a plain hash is enough: there is nothing to guess.
 */
import type { BotToken } from '../../domain/account.ts';
import { parseUserId, type UserId } from '../../domain/ids.ts';
import { idOfToken, tokenOf } from '../../protocol/subjects.ts';

const PREFIX = 'rkb.';
const ID_BYTES = 9;
const SECRET_BYTES = 32;

export interface BotCredential {
  readonly user: UserId;
  readonly id: string;
  readonly secret: string;
}

/** `token` is what the bot comes in with, known to nobody from then on; `botToken` what its account keeps. */
export async function mintBotToken(
  user: UserId,
  { name, createdAt, expiresAt }: Pick<BotToken, 'name' | 'createdAt' | 'expiresAt'>,
): Promise<{ readonly token: string; readonly botToken: BotToken }> {
  const [id, secret] = [randomText(ID_BYTES), randomText(SECRET_BYTES)];
  const botToken = { id, name, hash: await hashOfSecret(secret), createdAt, expiresAt };
  return { token: `${PREFIX}${tokenOf(user)}.${id}.${secret}`, botToken };
}

export const isBotToken = (token: string): boolean => token.startsWith(PREFIX);

/** Undefined for what cannot be one. */
export function parseBotToken(token: string): BotCredential | undefined {
  const [owner = '', id = '', secret = '', ...rest] = token.slice(PREFIX.length).split('.');
  if (rest.length > 0 || id === '' || secret === '') return undefined;
  try {
    const user = parseUserId(idOfToken(owner));
    return user && { user, id, secret };
  } catch {
    return undefined;
  }
}

export async function hashOfSecret(secret: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret))));
}

const randomText = (bytes: number): string => base64url(crypto.getRandomValues(new Uint8Array(bytes)));

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
