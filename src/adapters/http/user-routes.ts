/** What the WebSocket's queries and commands do, over HTTP: for a backend as one of its users, or a user with a token. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type ClientMsgId, parseClientMsgId, type UserId } from '../../domain/ids.ts';
import type { Scope } from '../../ports/api-keys.ts';
import { jsonCodec } from '../../protocol/codec.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Command, Query, QueryResult } from '../../protocol/frames.ts';
import { parseCommand, parseQuery } from '../../protocol/validation.ts';
import { type Access, forBackendOrUser, requireScope, speaksFor } from './authorization.ts';
import { commandScopes } from './command-scopes.ts';
import { judgedAnswers, sendJudged } from './judged-answers.ts';
import { type Read, reads } from './reads.ts';
import { numberIn, typedQuery } from './typed-query.ts';

export interface UserRoutesParts {
  readonly access: Access;
  readonly maxBodyBytes: number;
  readonly requests: {
    answer(user: UserId, query: Query): Promise<QueryResult>;
    command(
      user: UserId,
      id: ClientMsgId,
      command: Command,
    ): Promise<{ pos: number; duplicate: boolean; pending?: true }>;
  };
}

const commandBody = Type.Object(
  {
    clientMsgId: Type.String({ description: 'idempotency key: the same id again is the same command' }),
    command: Type.Object(
      { type: Type.String({ description: 'createGroup, addMembers, markRead, editMessage, … : docs/PROTOCOL.md' }) },
      { additionalProperties: true },
    ),
  },
  {
    additionalProperties: false,
    examples: [{ clientMsgId: 'team-7', command: { type: 'createGroup', conversation: 'team-7', name: 'Team 7' } }],
  },
);
const COMMAND_SCOPES: readonly Scope[] = [...new Set(Object.values(commandScopes))].sort();

export async function registerUserRoutes(http: FastifyInstance, parts: UserRoutesParts): Promise<void> {
  for (const [type, read] of Object.entries(reads)) registerRead(http, type as Query['type'], read, parts);
  // A scope of its own: bodies of messages are read as the WebSocket's JSON reads them.
  await http.register(async (scope) => {
    scope.removeContentTypeParser('application/json');
    scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, data: Buffer) =>
      jsonCodec.decode(data),
    );
    const schema = {
      ...{ summary: 'Any command, as its user', tags: ['users'], body: commandBody },
      response: judgedAnswers({}),
    };
    const commanding = forBackendOrUser(parts.access, COMMAND_SCOPES, schema);
    scope.post('/v1/users/:user/commands', commanding, async (request, reply) => {
      const user = userOf(request);
      const body = request.body as { clientMsgId: string; command: Record<string, unknown> };
      const id = parseClientMsgId(body.clientMsgId);
      if (!id) throw new RookeryError('BAD_ID', '`clientMsgId` must be an id');
      const command = parseCommand(body.command, parts.maxBodyBytes);
      requireScope(request, commandScopes[command.type]);
      return sendJudged(reply, await parts.requests.command(user, id, command));
    });
  });
}

function registerRead(http: FastifyInstance, type: Query['type'], read: Read, { access, requests }: UserRoutesParts) {
  const querystring = Type.Object(read.querystring ?? {}, { additionalProperties: false });
  const schema = { summary: read.summary, tags: ['users'], querystring };
  const preValidation = async (request: FastifyRequest): Promise<void> => {
    request.query = typedQuery(request.query as Record<string, string | string[]>, querystring);
  };
  const reading = forBackendOrUser(access, [read.scope], schema);
  http.get(read.path, { ...reading, preValidation }, async (request, reply) => {
    const user = userOf(request);
    const { user: _user, n, ...place } = request.params as Record<string, string>;
    const fields = {
      type,
      ...read.defaults,
      ...place,
      ...(n !== undefined && { n: numberIn(n) }),
      ...(request.query as object),
    };
    const result = await requests.answer(user, parseQuery(fields));
    return reply.type('application/json; charset=utf-8').send(Buffer.from(jsonCodec.encode(result)));
  });
}

const userOf = (request: FastifyRequest): UserId =>
  speaksFor(request, (request.params as { user: string }).user, 'the user in the path');
