/** HTTP beside the WebSocket: health, sending as a backend, tokens for development, metrics. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { MessageContent } from '../../domain/conversation.ts';
import type { ClientMsgId, ConversationId } from '../../domain/ids.ts';
import { parseClientMsgId, parseConversationId, parseUserId, type UserId } from '../../domain/ids.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { parseContent } from '../../protocol/validation.ts';
import { type Access, forBackendOrUser, speaksFor } from './authorization.ts';
import { judgedAnswers, sendJudged } from './judged-answers.ts';

export interface HttpParts {
  readonly maxBodyBytes: number;
  readonly access: Access;
  readonly isReady: () => boolean;
  readonly metrics: () => Promise<string>;
  /** Absent outside development: then there is no such route. */
  readonly devToken?: (user: string) => Promise<string>;
  readonly send: (
    by: UserId,
    id: ClientMsgId,
    address: { conversation: ConversationId } | { to: UserId },
    content: MessageContent,
  ) => Promise<{ conversation: ConversationId; pos: number; at: number; duplicate: boolean; pending?: true }>;
}

/** Metrics are for who watches this machine: a collector elsewhere comes through a proxy on it. */
const LOOPBACK = /^(::ffff:)?127\.|^::1$/;

const messageBody = Type.Object(
  {
    from: Type.Optional(Type.String({ description: 'who sends; required with an API key, implied by a user token' })),
    conversation: Type.Optional(Type.String({ description: 'id of a conversation; or `to`' })),
    to: Type.Optional(Type.String({ description: 'the other user of a direct conversation; or `conversation`' })),
    clientMsgId: Type.String({ description: 'idempotency key: the same id again is the same message' }),
    contentType: Type.String({ default: 'text/plain' }),
    text: Type.Optional(Type.String({ description: 'the body as text; or `base64`' })),
    base64: Type.Optional(
      Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$', description: 'the body as base64; or `text`' }),
    ),
    keyId: Type.Optional(Type.String()),
    replyTo: Type.Optional(Type.Integer({ minimum: 0 })),
    mentions: Type.Optional(Type.Array(Type.String())),
    mentionsAll: Type.Optional(Type.Literal(true, { description: 'everybody is meant' })),
    expiresAt: Type.Optional(Type.Integer({ minimum: 0, description: 'milliseconds since 1970' })),
  },
  {
    additionalProperties: false,
    examples: [{ from: 'alice', to: 'bob', clientMsgId: 'order-17', contentType: 'text/plain', text: 'hello' }],
  },
);

interface MessageBody extends Record<string, unknown> {
  readonly from?: string;
  readonly conversation?: string;
  readonly to?: string;
  readonly clientMsgId: string;
  readonly text?: string;
  readonly base64?: string;
}

const answered = { conversation: Type.String(), at: Type.Integer({ description: 'milliseconds since 1970' }) };
const sending = {
  ...{ summary: 'Send a message as a user', tags: ['messages'], body: messageBody },
  response: judgedAnswers(answered),
};

export function registerRoutes(http: FastifyInstance, parts: HttpParts): void {
  const watching = { tags: ['operation'], security: [] };
  http.get('/healthz', { schema: { ...watching, summary: 'The process lives' } }, async () => ({ status: 'ok' }));
  http.get('/readyz', { schema: { ...watching, summary: 'Ready for clients' } }, async (_request, reply) => {
    const ready = parts.isReady();
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready' });
  });
  const metrics = { ...watching, summary: 'Metrics for Prometheus, to the same machine alone' };
  http.get('/metrics', { schema: metrics }, async (request, reply) => {
    if (!LOOPBACK.test(request.socket.remoteAddress ?? '')) throw new RookeryError('NOT_FOUND', 'no such path');
    return reply.type('text/plain; version=0.0.4').send(await parts.metrics());
  });
  http.post('/v1/messages', forBackendOrUser(parts.access, ['messages:write'], sending), async (request, reply) => {
    const body = request.body as MessageBody;
    const by = speaksFor(request, body.from, '`from`');
    const { conversation, pos, at, ...judged } = await parts.send(
      by,
      idOf(body),
      addressOf(body),
      contentOf(body, parts.maxBodyBytes),
    );
    return sendJudged(reply, { conversation, pos, at, ...judged });
  });
  const { devToken } = parts;
  if (!devToken) return;
  http.post('/v1/dev/token', { schema: { body: Type.Object({ user: Type.String() }) } }, async (request) => {
    const user = parseUserId((request.body as { user: string }).user);
    if (!user) throw new RookeryError('BAD_ID', '`user` must be an id');
    return { token: await devToken(user) };
  });
}

function idOf({ clientMsgId }: MessageBody): ClientMsgId {
  const id = parseClientMsgId(clientMsgId);
  if (!id) throw new RookeryError('BAD_ID', '`clientMsgId` must be an id');
  return id;
}

function addressOf({ conversation, to }: MessageBody): { conversation: ConversationId } | { to: UserId } {
  if ((conversation === undefined) === (to === undefined))
    throw new RookeryError('BAD_REQUEST', 'give `conversation` or `to`');
  const user = parseUserId(to);
  const id = parseConversationId(conversation);
  if (user) return { to: user };
  if (id) return { conversation: id };
  throw new RookeryError('BAD_ID', '`conversation` or `to` must be an id');
}

function contentOf({ text, base64, ...rest }: MessageBody, maxBodyBytes: number): MessageContent {
  if ((text === undefined) === (base64 === undefined)) throw new RookeryError('BAD_REQUEST', 'give `text` or `base64`');
  const body = text === undefined ? Buffer.from(base64 as string, 'base64') : Buffer.from(text, 'utf8');
  return parseContent({ ...rest, body }, maxBodyBytes);
}
