/** Who is online, for a backend with its key: as it is, whatever its users let each other see. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseUserId, type UserId } from '../../domain/ids.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { MAX_ASKED_USERS } from '../../protocol/limits.ts';
import type { PresencePage } from '../../protocol/presence-frames.ts';
import { type Access, forBackend } from './authorization.ts';
import { typedQuery } from './typed-query.ts';

export interface PresenceRoutesParts {
  readonly access: Access;
  /** @throws RookeryError OVERLOADED, LOG_UNAVAILABLE */
  readonly presenceOf: (users: readonly UserId[]) => Promise<PresencePage>;
}

const querystring = Type.Object(
  {
    users: Type.Array(Type.String(), {
      ...{ minItems: 1, maxItems: MAX_ASKED_USERS },
      description: 'ids: `users=alice&users=bob`',
    }),
  },
  { additionalProperties: false },
);

const seenUser = Type.Object({
  user: Type.String(),
  online: Type.Boolean(),
  lastSeen: Type.Optional(
    Type.Integer({ description: 'milliseconds since 1970; absent while online, and where not known' }),
  ),
});

export function registerPresenceRoutes(http: FastifyInstance, { access, presenceOf }: PresenceRoutesParts): void {
  const asking = forBackend(access, 'accounts:read', {
    ...{ summary: 'Who of users is online, and when they were last', tags: ['users'], querystring },
    response: { 200: Type.Object({ presence: Type.Array(seenUser) }) },
  });
  const preValidation = async (request: FastifyRequest): Promise<void> => {
    request.query = typedQuery(request.query as Record<string, string | string[]>, querystring);
  };
  http.get('/v1/presence', { ...asking, preValidation }, async (request) =>
    presenceOf((request.query as { users: string[] }).users.map(idIn)),
  );
}

function idIn(text: string): UserId {
  const user = parseUserId(text);
  if (!user) throw new RookeryError('BAD_ID', '`users` must be ids');
  return user;
}
