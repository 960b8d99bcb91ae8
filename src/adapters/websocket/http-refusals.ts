/**
 * Whatever is wrong with a request over HTTP, the answer is JSON with a code of ours: also where Node's parser, the framework or
 * one of its plugins refuses it before anything of ours has seen it.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { asRookeryError, type ErrorCode, RookeryError } from '../../protocol/error-codes.ts';

const MS_PER_SECOND = 1_000;

/** Of refusals that come with a status alone: files that are served, plugins. */
const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  403: 'NOT_FOUND',
  404: 'NOT_FOUND',
  408: 'REQUEST_TIMEOUT',
  412: 'PRECONDITION_FAILED',
  413: 'FRAME_TOO_LARGE',
  416: 'RANGE_NOT_SATISFIABLE',
  426: 'UPGRADE_REQUIRED',
  431: 'HEADERS_TOO_LARGE',
};

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

type OnRefused = (code: string) => void;

/** Where the framework lets us answer. */
export function answerWith(error: FastifyError, reply: FastifyReply, onRefused: OnRefused): void {
  const refused = errorOfHttp(error);
  onRefused(refused.code);
  const { retryAfterMs } = refused;
  if (retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(retryAfterMs / MS_PER_SECOND));
  if (refused.code === 'UPGRADE_REQUIRED') reply.header('upgrade', 'websocket');
  // Of an upgrade nobody else looks after the socket: it would stay open for as long as its peer likes.
  const { raw } = reply.request as { readonly raw: IncomingMessage & { readonly upgrade?: boolean } };
  if (raw.upgrade) reply.raw.once('finish', () => raw.socket.destroySoon());
  void reply.code(refused.status).send(bodyOf(refused));
}

/** Fastify's own refusals as codes of ours. */
function errorOfHttp(error: FastifyError): RookeryError {
  if (error instanceof RookeryError) return error;
  if (error.validation || error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new RookeryError('BAD_REQUEST', error.message);
  }
  if (error.code === 'FST_ERR_BAD_URL') return new RookeryError('BAD_REQUEST', 'the path is not well-formed');
  if (error.code === 'FST_ERR_MAX_PARAM_LENGTH') return new RookeryError('BAD_ID', 'an id in the path is too long');
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new RookeryError('FRAME_TOO_LARGE', 'the request is too long');
  const { statusCode = 500 } = error;
  const code = CODE_OF_STATUS[statusCode];
  if (code) return new RookeryError(code, STATUS_CODES[statusCode]?.toLowerCase() ?? code);
  if (statusCode === 400) return new RookeryError('BAD_FRAME', 'the body is not valid JSON');
  if (statusCode > 400 && statusCode < 500) return new RookeryError('BAD_REQUEST', 'the request cannot be answered');
  return asRookeryError(error);
}

/** What Node sees before there is a request, or has no answer of ours for. */
export function answerDamaged(http: FastifyInstance, onRefused: OnRefused): void {
  const refuse = (write: typeof writeRefusal, socket: Duplex, message: string): void => {
    const refused = new RookeryError('BAD_REQUEST', message);
    onRefused(refused.code);
    write(socket, refused);
  };
  http.server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const refused = new RookeryError('BAD_REQUEST', 'nothing can be expected of us but 100-continue');
    onRefused(refused.code);
    const body = JSON.stringify(bodyOf(refused));
    response.writeHead(refused.status, {
      ...JSON_TYPE,
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    });
    response.end(body);
  });
  http.server.on('connect', (_request, socket) => refuse(refuseInTurn, socket, 'this is no proxy'));
  // No upgrade begins while an answer is under way: what the socket holds is its own.
  http.websocketServer.on('wsClientError', (error, socket) => refuse(writeRefusal, socket, error.message));
  http.addHook('onRequest', async ({ ws, raw, routeOptions }) => {
    if (raw.headers.host === undefined && raw.httpVersion === '1.1')
      throw new RookeryError('BAD_REQUEST', 'the header `host` is missing');
    // Of all routes the plugin would make sockets, to close them again.
    if (ws && routeOptions.url !== '/v1/ws') throw new RookeryError('NOT_FOUND', 'no such path for a WebSocket');
  });
}

/** Sockets whose last words are planned: whatever else comes over them. */
const lastWords = new WeakSet<Duplex>();

/** Fastify's `clientErrorHandler`: what Node's parser refuses, or has waited for too long. */
export function answerUnreadable(
  error: Error & { readonly code?: string },
  socket: Duplex,
  onRefused: OnRefused,
): void {
  // The peer is gone: nobody reads what we say.
  if (error.code === 'ECONNRESET' || socket.destroyed) return void socket.destroy();
  if (lastWords.has(socket)) return;
  const refused = unreadable(error.code);
  onRefused(refused.code);
  refuseInTurn(socket, refused);
}

function unreadable(code: string | undefined): RookeryError {
  if (code === 'HPE_HEADER_OVERFLOW') return new RookeryError('HEADERS_TOO_LARGE', 'path and headers are too long');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return new RookeryError('FRAME_TOO_LARGE', 'chunk extensions are too long');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new RookeryError('REQUEST_TIMEOUT', 'the request did not come whole');
  return new RookeryError('BAD_REQUEST', 'this is no HTTP that can be read');
}

/**
 * Whose answer the socket is to take next, of a request that is here whole: Node gives the socket to one after the other. Where a
 * request is damaged itself the refusal takes the place of its answer.
 */
export function answerUnderWay(socket: Duplex): ServerResponse | undefined {
  const { _httpMessage: answer } = socket as Duplex & { readonly _httpMessage?: ServerResponse | null };
  return answer?.req.complete ? answer : undefined;
}

/** Behind the answers to what was asked before. */
function refuseInTurn(socket: Duplex, refused: RookeryError): void {
  lastWords.add(socket);
  const before = answerUnderWay(socket);
  // Node's own listener has given the socket to the next one by then.
  if (before) before.once('finish', () => refuseInTurn(socket, refused));
  else writeRefusal(socket, refused);
}

/** The last that the socket says. */
function writeRefusal(socket: Duplex, refused: RookeryError): void {
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify(bodyOf(refused));
  const { status } = refused;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.on('error', () => undefined);
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

const bodyOf = ({ code, message, retryAfterMs }: RookeryError): object => ({
  ...{ code, message },
  ...(retryAfterMs !== undefined && { retryAfterMs }),
});
