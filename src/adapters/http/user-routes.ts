/** What the WebSocket's queries and commands do, over HTTP: for a backend as one of its users, or a user with a token. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type TObject, type TProperties, Type } from 'typebox';
import { type ClientMsgId, parseClientMsgId, parseUserId, type UserId } from '../../domain/ids.ts';
import { jsonCodec } from '../../protocol/codec.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Command, Query, QueryResult } from '../../protocol/frames.ts';
import { parseCommand, parseQuery } from '../../protocol/validation.ts';
import { type Access, requireSpeaksFor } from './authorization.ts';

export interface UserRoutesParts {
  readonly access: Access;
  readonly maxBodyBytes: number;
  readonly requests: {
    answer(user: UserId, query: Query): Promise<QueryResult>;
    command(user: UserId, id: ClientMsgId, command: Command): Promise<{ pos: number; duplicate: boolean }>;
  };
}

interface Read {
  readonly path: string;
  readonly type: Query['type'];
  readonly summary: string;
  readonly querystring?: TProperties;
}

const optionalNumber = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }));
const optionalText = (description: string) => Type.Optional(Type.String({ description }));
const page = {
  cursor: optionalText('of the page before this one'),
  limit: optionalNumber('entries of a page'),
};

/** Each is one query of docs/PROTOCOL.md: its fields come from path and query string, its answer is the query's own. */
const READS: readonly Read[] = [
  {
    path: '/v1/users/:user/conversations',
    type: 'conversations',
    summary: 'The conversation list, newest first, with last message and unread',
    querystring: { archived: Type.Optional(Type.Boolean({ description: 'those in the archive' })), ...page },
  },
  {
    path: '/v1/users/:user/changes',
    type: 'changes',
    summary: 'The conversations that have changed since a time',
    querystring: { since: Type.Integer({ minimum: 0, description: 'milliseconds since 1970' }), ...page },
  },
  {
    path: '/v1/users/:user/conversations/:conversation',
    type: 'conversation',
    summary: 'A conversation as its user sees it: members, roles, settings',
  },
  {
    path: '/v1/users/:user/conversations/:conversation/messages',
    type: 'history',
    summary: 'A page of history',
    querystring: {
      before: optionalNumber('index'),
      after: optionalNumber('index'),
      around: optionalNumber('index'),
      since: optionalNumber('milliseconds since 1970'),
      limit: page.limit,
    },
  },
  {
    path: '/v1/users/:user/conversations/:conversation/messages/:n/edits',
    type: 'edits',
    summary: 'What a message said before it was edited',
    querystring: { before: optionalNumber('position'), limit: page.limit },
  },
  {
    path: '/v1/users/:user/conversations/:conversation/messages/:n/receipts',
    type: 'receipts',
    summary: 'Who has read a message',
  },
  {
    path: '/v1/users/:user/conversations/:conversation/members',
    type: 'members',
    summary: 'The members of a group, a page at a time',
    querystring: page,
  },
  {
    path: '/v1/users/:user/search',
    type: 'search',
    summary: 'Full-text search over what the user may see',
    querystring: {
      words: Type.String({ description: 'all must occur' }),
      conversation: optionalText('only in this one'),
      by: optionalText('only of this sender'),
      since: optionalNumber('milliseconds since 1970'),
      until: optionalNumber('milliseconds since 1970'),
      ...page,
    },
  },
];

const commandBody = Type.Object(
  {
    clientMsgId: Type.String({ description: 'idempotency key: the same id again is the same command' }),
    command: Type.Object(
      { type: Type.String({ description: 'createGroup, addMembers, markRead, editMessage, … : docs/PROTOCOL.md' }) },
      { additionalProperties: true },
    ),
  },
  { additionalProperties: false },
);

export async function registerUserRoutes(http: FastifyInstance, parts: UserRoutesParts): Promise<void> {
  for (const read of READS) registerRead(http, read, parts);
  // A scope of its own: bodies of messages are read as the WebSocket's JSON reads them.
  await http.register(async (scope) => {
    scope.removeContentTypeParser('application/json');
    scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, data: Buffer) =>
      jsonCodec.decode(data),
    );
    const schema = { summary: 'Any command, as its user', tags: ['users'], body: commandBody };
    scope.post('/v1/users/:user/commands', { schema }, async (request) => {
      const user = await speakingFor(request, parts.access);
      const body = request.body as { clientMsgId: string; command: Record<string, unknown> };
      const id = parseClientMsgId(body.clientMsgId);
      if (!id) throw new RookeryError('BAD_ID', '`clientMsgId` must be an id');
      const command = parseCommand(body.command, parts.maxBodyBytes);
      const { pos, duplicate } = await parts.requests.command(user, id, command);
      return duplicate ? { pos, duplicate } : { pos };
    });
  });
}

function registerRead(http: FastifyInstance, read: Read, { access, requests }: UserRoutesParts): void {
  const querystring = Type.Object(read.querystring ?? {}, { additionalProperties: false });
  const schema = { summary: read.summary, tags: ['users'], querystring };
  const preValidation = async (request: FastifyRequest): Promise<void> => {
    request.query = typed(request.query as Record<string, string>, querystring);
  };
  http.get(read.path, { schema, preValidation }, async (request, reply) => {
    const user = await speakingFor(request, access);
    const { user: _user, n, ...place } = request.params as Record<string, string>;
    const fields = {
      type: read.type,
      ...place,
      ...(n !== undefined && { n: numberIn(n) }),
      ...(request.query as object),
    };
    const result = await requests.answer(user, parseQuery(fields));
    return reply.type('application/json; charset=utf-8').send(Buffer.from(jsonCodec.encode(result)));
  });
}

async function speakingFor(request: FastifyRequest, access: Access): Promise<UserId> {
  const user = parseUserId((request.params as { user: string }).user);
  if (!user) throw new RookeryError('BAD_ID', 'the user in the path must be an id');
  await requireSpeaksFor(user, request, access);
  return user;
}

/** A query string is all text: what the schema has as a number or a boolean is read as one, else left for it to refuse. */
function typed(query: Record<string, string>, { properties }: TObject): Record<string, unknown> {
  const read = Object.entries(query).map(([name, text]) => {
    const type = (properties[name] as { type?: string } | undefined)?.type;
    if (type === 'integer') return [name, numberIn(text)];
    if (type === 'boolean') return [name, text === 'true' ? true : text === 'false' ? false : text];
    return [name, text];
  });
  return Object.fromEntries(read);
}

const numberIn = (text: string): unknown => (/^\d{1,16}$/.test(text) ? Number(text) : text);
