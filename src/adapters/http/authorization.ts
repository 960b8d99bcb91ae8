/**
 * Who asks over HTTP: a backend with an API key, which may speak for anybody within the key's scopes, or a user with a token, for that
 * user alone. Asked before the body of a request is read. Each route says with its schema whom it takes, so that the
 * description of the API says the same.
 */
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify';
import { parseUserId, type UserId } from '../../domain/ids.ts';
import { type ApiKey, mayDo, type Scope } from '../../ports/api-keys.ts';
import type { Tokens } from '../../ports/tokens.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

export interface Access {
  readonly keys: {
    /** Undefined for what is no key. @throws RookeryError TOKEN_EXPIRED, RATE_LIMITED */
    admit(credential: string): ApiKey | undefined;
  };
  readonly tokens: Pick<Tokens, 'verify'>;
  /** A request with a key was answered. */
  readonly onAnswered: (answered: AnsweredRequest) => void;
}

export interface AnsweredRequest {
  /** The key's name. */
  readonly key: string;
  readonly method: string;
  /** As the route is declared: without ids. */
  readonly route: string;
  readonly status: number;
}

export type Caller = { readonly key: ApiKey } | { readonly user: UserId };

/** `onRequest` and what describes it, to be spread into a route's options. */
export interface Guarded {
  readonly onRequest: (request: FastifyRequest) => Promise<void>;
  readonly schema: FastifySchema;
}

/** Of a request that was admitted. */
const callers = new WeakMap<FastifyRequest, Caller>();

export function tellOfBackends(http: FastifyInstance, { onAnswered }: Access): void {
  http.addHook('onResponse', async (request, reply) => {
    const caller = callers.get(request);
    if (!caller || !('key' in caller)) return;
    const route = request.routeOptions.url ?? '';
    onAnswered({ key: caller.key.name, method: request.method, route, status: reply.statusCode });
  });
}

/** A backend alone. @throws RookeryError TOKEN_INVALID, TOKEN_EXPIRED, RATE_LIMITED, SCOPE_MISSING */
export function forBackend({ keys }: Access, scope: Scope, schema: FastifySchema): Guarded {
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    const key = keys.admit(credentialOf(request));
    if (!key) throw new RookeryError('TOKEN_INVALID', 'no API key of ours');
    callers.set(request, { key });
    requireScope(request, scope);
  };
  return { onRequest, schema: { ...schema, security: [{ apiKey: [scope] }] } };
}

/**
 * A backend, or a user. Where there is a choice of scopes, the route asks for its one by `requireScope`.
 * @throws RookeryError TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED, ACCOUNT_DEACTIVATED, ACCOUNT_UNKNOWN, RATE_LIMITED, SCOPE_MISSING
 */
export function forBackendOrUser({ keys, tokens }: Access, scopes: readonly Scope[], schema: FastifySchema): Guarded {
  const [only, another] = scopes;
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    const credential = credentialOf(request);
    const key = keys.admit(credential);
    callers.set(request, key ? { key } : { user: (await tokens.verify(credential)).user });
    if (only && !another) requireScope(request, only);
  };
  const security = [...scopes.map((scope) => ({ apiKey: [scope] })), { userToken: [] }];
  return { onRequest, schema: { ...schema, security } };
}

/** @throws RookeryError SCOPE_MISSING for a key without it; a user's own token has no scopes */
export function requireScope(request: FastifyRequest, scope: Scope): void {
  const caller = callers.get(request);
  if (caller && 'key' in caller && !mayDo(caller.key, scope))
    throw new RookeryError('SCOPE_MISSING', `the API key ${caller.key.name} has not the scope ${scope}`);
}

/**
 * Whom the request speaks for: the one a backend names, or the user whose token it is.
 * @param name where the user is named, for the refusal
 * @throws RookeryError BAD_ID, FORBIDDEN
 */
export function speaksFor(request: FastifyRequest, named: unknown, name: string): UserId {
  const caller = callers.get(request);
  const user = parseUserId(named);
  if (caller && 'user' in caller && (named === undefined || user !== undefined)) {
    if (user !== undefined && user !== caller.user)
      throw new RookeryError('FORBIDDEN', 'a user token speaks for its own user only');
    return caller.user;
  }
  if (!caller || !user) throw new RookeryError('BAD_ID', `${name} must be an id`);
  return user;
}

function credentialOf({ headers }: FastifyRequest): string {
  const [scheme, credential = ''] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer')
    throw new RookeryError('TOKEN_INVALID', 'an Authorization header with a Bearer token is needed');
  return credential;
}
