/** The built-in login over HTTP. Passwords never go through a client's outbox, which keeps what it sends. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { parseUserId, type UserId } from '../../domain/ids.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { type Access, forBackend } from './authorization.ts';

/** Of a password that is set; one that is tried may have any length up to the greater. */
const MIN_PASSWORD_CHARS = 8;
const MAX_PASSWORD_CHARS = 256;

export interface LoginRoutesParts {
  readonly access: Access;
  readonly logins: {
    login(
      user: UserId,
      password: string,
      address: string,
    ): Promise<{ readonly token: string; readonly expiresAt: number }>;
    change(user: UserId, password: string, next: string, address: string): Promise<void>;
    set(user: UserId, next: string): Promise<void>;
  };
}

const userField = Type.String({ description: 'id of the user' });
const passwordField = Type.String({ maxLength: MAX_PASSWORD_CHARS });
const newPasswordField = Type.String({ minLength: MIN_PASSWORD_CHARS, maxLength: MAX_PASSWORD_CHARS });
const strict = { additionalProperties: false };

const loginBody = Type.Object({ user: userField, password: passwordField }, strict);
const changeBody = Type.Object({ user: userField, password: passwordField, newPassword: newPasswordField }, strict);
const setBody = Type.Object({ password: newPasswordField }, strict);

type Body = Record<string, string>;

export function registerLoginRoutes(http: FastifyInstance, { access, logins }: LoginRoutesParts): void {
  const open = { tags: ['login'], security: [] };
  const login = { ...open, summary: 'A password against a token', body: loginBody };
  http.post('/v1/login', { schema: login }, async ({ body, ip }) => {
    const { user, password = '' } = body as Body;
    return logins.login(userOf(user), password, ip);
  });
  const change = { ...open, summary: 'Another password; all sessions end', body: changeBody };
  http.post('/v1/password', { schema: change }, async ({ body, ip }, reply) => {
    const { user, password = '', newPassword = '' } = body as Body;
    await logins.change(userOf(user), password, newPassword, ip);
    return reply.code(204).send();
  });
  const setting = { summary: 'Give a user a password; their sessions end', tags: ['login'], body: setBody };
  const bySetting = forBackend(access, 'passwords:write', setting);
  http.put('/v1/accounts/:user/password', bySetting, async ({ params, body }, reply) => {
    await logins.set(userOf((params as Body).user), (body as Body).password ?? '');
    return reply.code(204).send();
  });
}

function userOf(value: unknown): UserId {
  const user = parseUserId(value);
  if (!user) throw new RookeryError('BAD_ID', '`user` must be an id');
  return user;
}
