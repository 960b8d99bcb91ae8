/**
 * The door: an HTTP server whose `/v1/ws` becomes a WebSocket. It chooses the codec, bounds frames, and finds connections
 * that are half-open; what frames mean is their handler's matter.
 *
 * Tens of thousands of idle connections are the normal case, so nothing is made per connection that all can share: the
 * listeners are functions on the socket, the heartbeat is one sweep, and what the upgrade needed is let go of.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import websocket from '@fastify/websocket';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { WebSocket } from 'ws';
import { MAX_ID_BYTES } from '../../domain/ids.ts';
import type { ClientConnection } from '../../ports/client-connection.ts';
import { type CloseReason, closeCodes } from '../../protocol/close-codes.ts';
import { type Codec, codecs } from '../../protocol/codec.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { MAX_FRAME_OVERHEAD_BYTES, MAX_HELLO_FRAME_BYTES } from '../../protocol/limits.ts';
import { ClosingSockets } from './closing-sockets.ts';
import { type FrameBounds, WebSocketConnection } from './connection.ts';
import { answerDamaged, answerUnderWay, answerUnreadable, answerWith } from './http-refusals.ts';

/** How long a peer may take to answer a close frame before the socket is destroyed. */
const CLOSE_WITHIN_MS = 5_000;
/** Fragments of one message: a client of ours sends a frame whole, a proxy may cut it. */
const MAX_FRAGMENTS = 128;
/** What a stranger may hold: a hello, in pieces of a slow network. */
const HELLO_BOUNDS: FrameBounds = { maxPayload: MAX_HELLO_FRAME_BYTES, maxBufferedChunks: 256 };
/** Of a frame of the largest size, in the smallest pieces that a network makes of it: 536 bytes. */
const MAX_BUFFERED_CHUNKS = 4_096;
/** A request over HTTP is here whole within this time, or its connection is closed. */
const HTTP_REQUEST_WITHIN_MS = 30_000;
/** An id in a path: 128 bytes, each escaped. */
const MAX_PATH_ID_CHARS = 3 * MAX_ID_BYTES;
/** Base64 in a body over HTTP. */
const BASE64_GROWTH = 4 / 3;

/** The application's side of one connection. */
export interface ConnectionHandler {
  /** One WebSocket message. `data` may be kept. Never throws. */
  receive(data: Uint8Array, isBinary: boolean): void;
  /** The socket is gone. Called once. */
  closed(): void;
}

export interface ServerOptions {
  readonly maxBodyBytes: number;
  /** Of TCP, WebSockets among them. Beyond, one is closed unanswered: there is no memory to be had by connecting and saying nothing. */
  readonly maxConnections: number;
  /** Addresses or networks whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
  /** Unsent bytes at which a connection is read no further until they are gone: who does not read gets no answers. */
  readonly maxBufferedBytes: number;
  /** Silent for so long a connection is pinged, for twice as long it is closed. */
  readonly heartbeatMs: number;
  /** A request over HTTP was answered with this code, or a connection turned away with it. */
  readonly onRefused: (code: string) => void;
  /** A connection with a codec; or why it is turned away. */
  open(connection: ClientConnection): ConnectionHandler | CloseReason;
}

export interface Server {
  readonly http: FastifyInstance;
  /** Unsent bytes of all connections. */
  readonly bufferedBytes: number;
  /** Pings what is silent and closes what stays so. To be called four times a heartbeat, or more often. */
  sweep(): void;
}

/** What hangs on a socket. */
interface Attached {
  readonly server: WebSocketServer;
  readonly connection: WebSocketConnection;
  readonly handler: ConnectionHandler;
  heardAt: number;
  pinged: boolean;
}

const attachedTo = Symbol('attached');
type Held = WebSocket & { [attachedTo]?: Attached | undefined };

export async function createServer(options: ServerOptions): Promise<Server> {
  const { onRefused } = options;
  const http = Fastify({
    bodyLimit: Math.ceil(options.maxBodyBytes * BASE64_GROWTH) + MAX_FRAME_OVERHEAD_BYTES,
    // A field of the wrong type is told so, not bent into shape.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    logger: false,
    trustProxy: options.trustedProxies?.length ? [...options.trustedProxies] : false,
    routerOptions: { maxParamLength: MAX_PATH_ID_CHARS },
    requestTimeout: HTTP_REQUEST_WITHIN_MS,
    // What comes while we stop is answered like what came before.
    return503OnClosing: false,
    http: {
      // A request without it gets an answer of ours.
      requireHostHeader: false,
      // Who offers another protocol (`h2c`, as many a client does) is answered in this one; and who has not waited for an answer
      // gets that first.
      shouldUpgradeCallback: ({ headers, socket }) =>
        headers.upgrade?.toLowerCase() === 'websocket' && !answerUnderWay(socket),
    },
    // Of paths that no route is even looked for.
    frameworkErrors: (error, _request, reply) => answerWith(error, reply, onRefused),
    clientErrorHandler: (error, socket) => answerUnreadable(error, socket, onRefused),
  });
  http.setErrorHandler((error: FastifyError, _request, reply) => answerWith(error, reply, onRefused));
  http.setNotFoundHandler(() => {
    throw new RookeryError('NOT_FOUND', 'no such path');
  });
  const ws = {
    ...HELLO_BOUNDS,
    maxFragments: MAX_FRAGMENTS,
    perMessageDeflate: false,
    // The JSON codec checks it; here it would be a second pass over each frame.
    skipUTF8Validation: true,
    clientTracking: false,
    autoPong: false,
    // Not in ws's types.
    closeTimeout: CLOSE_WITHIN_MS,
    handleProtocols: chooseProtocol,
  };
  // Sessions end by themselves, after their answers; the plugin would close all at once.
  await http.register(websocket, {
    options: ws,
    preClose: (done) => done(),
    errorHandler: (_error, socket) => socket.terminate(),
  });
  http.server.maxConnections = options.maxConnections;
  http.server.on('drop', () => onRefused('OVERLOADED'));
  answerDamaged(http, onRefused);
  const server = new WebSocketServer(http, options);
  http.route({
    ...{ method: 'GET', url: '/v1/ws', exposeHeadRoute: false, schema: { hide: true } },
    handler() {
      throw new RookeryError('UPGRADE_REQUIRED', 'a WebSocket is opened here');
    },
    wsHandler: (ws) => server.take(ws),
  });
  return server;
}

class WebSocketServer implements Server {
  readonly http: FastifyInstance;
  readonly #options: ServerOptions;
  readonly #open = new Set<Attached>();
  readonly #closing = new ClosingSockets();
  readonly #whole: FrameBounds;
  /** Time in which we could hear, as of the last sweep: exact enough, and costs no clock on the path of a message. */
  #nowMs = 0;
  #sweptAt = performance.now();

  constructor(http: FastifyInstance, options: ServerOptions) {
    this.http = http;
    this.#options = options;
    this.#whole = {
      maxPayload: options.maxBodyBytes + MAX_FRAME_OVERHEAD_BYTES,
      maxBufferedChunks: MAX_BUFFERED_CHUNKS,
    };
  }

  get bufferedBytes(): number {
    let bytes = 0;
    for (const { connection } of this.#open) bytes += connection.bufferedBytes;
    return bytes;
  }

  sweep(): void {
    const { heartbeatMs } = this.#options;
    const now = performance.now();
    // A sweep that comes late tells of a process that stood still: what was sent to it meanwhile is yet to be read.
    this.#nowMs += Math.min(now - this.#sweptAt, heartbeatMs / 4);
    this.#sweptAt = now;
    for (const attached of this.#open) {
      const silentMs = this.#nowMs - attached.heardAt;
      if (silentMs >= 2 * heartbeatMs) {
        attached.connection.close(closeCodes.HEARTBEAT_TIMEOUT, 'nothing was heard for two heartbeats');
      } else if (silentMs >= heartbeatMs && !attached.pinged) {
        attached.pinged = true;
        attached.connection.ping();
      }
    }
  }

  take(ws: Held): void {
    letGoOfUpgrade(ws);
    const codec = codecOf(ws);
    if (!codec) return this.#refuse(ws, 'UNSUPPORTED_SUBPROTOCOL', 'offer rookery.v1.msgpack or rookery.v1.json');
    const connection = new WebSocketConnection(ws, codec, this.#closing, this.#whole);
    const handler = this.#options.open(connection);
    if (typeof handler === 'string') return this.#refuse(ws, handler, 'too many connections');
    const attached: Attached = { server: this, connection, handler, heardAt: this.#nowMs, pinged: false };
    ws[attachedTo] = attached;
    this.#open.add(attached);
    ws.on('message', onMessage);
    ws.on('ping', onPing);
    ws.on('pong', onPong);
    ws.on('close', onClose);
  }

  #refuse(ws: WebSocket, reason: CloseReason, text: string): void {
    this.#options.onRefused(reason);
    this.#closing.close(ws, closeCodes[reason], text);
  }

  heard(attached: Attached): void {
    attached.heardAt = this.#nowMs;
    attached.pinged = false;
    const { connection } = attached;
    if (connection.bufferedBytes > this.#options.maxBufferedBytes) connection.pauseReading();
  }

  gone(attached: Attached): void {
    this.#open.delete(attached);
    attached.handler.closed();
  }
}

function onMessage(this: Held, data: unknown, isBinary: boolean): void {
  const attached = this[attachedTo];
  if (!attached) return;
  attached.server.heard(attached);
  attached.handler.receive(data as Uint8Array, isBinary);
}

function onPing(this: Held, data: Buffer): void {
  const attached = this[attachedTo];
  if (!attached) return;
  attached.server.heard(attached);
  attached.connection.pong(data);
}

function onPong(this: Held): void {
  const attached = this[attachedTo];
  if (attached) attached.server.heard(attached);
}

function onClose(this: Held): void {
  const attached = this[attachedTo];
  if (!attached) return;
  this[attachedTo] = undefined;
  attached.server.gone(attached);
}

/** A broken frame, one too long, a reset: ws closes the socket by itself with the right code. */
const ignoreError = (): void => undefined;

/**
 * Of those we know the more compact one. Where all are unknown the first is echoed: a client that gets none of what it
 * offered ends the handshake by itself, and would never see the close code that tells it why.
 */
function chooseProtocol(offered: Set<string>): string | false {
  for (const { subprotocol } of codecs) if (offered.has(subprotocol)) return subprotocol;
  const [first = false] = offered;
  return first;
}

const codecOf = ({ protocol }: WebSocket): Codec | undefined =>
  codecs.find(({ subprotocol }) => subprotocol === protocol);

/** The plugin's listener and the response that Node hung on the socket would keep the whole request alive with it. */
function letGoOfUpgrade(ws: WebSocket): void {
  ws.removeAllListeners('error');
  ws.on('error', ignoreError);
  const socket = (ws as unknown as { _socket: Socket & { _httpMessage?: ServerResponse | null } })._socket;
  socket._httpMessage?.detachSocket(socket);
}
