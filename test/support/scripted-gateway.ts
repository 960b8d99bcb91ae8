/** A gateway by the book on a real socket, that does what a test tells it: answers, stays silent, refuses, closes. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { directConversationId } from '../../src/domain/ids.ts';
import { type Codec, codecs } from '../../src/protocol/codec.ts';
import { type ClientFrame, type HelloFrame, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK } from '../../src/protocol/frames.ts';
import { conversation, user } from './given.ts';
import { eventually } from './waiting.ts';

export interface Connection {
  readonly ws: WebSocket;
  readonly codec: Codec;
  readonly hello: HelloFrame;
  send(frame: object): void;
}

type Answer = (frame: ClientFrame, connection: Connection) => object | undefined;

export class ScriptedGateway {
  readonly url: string;
  readonly #http: ReturnType<typeof createServer>;
  readonly #wss: WebSocketServer;
  /** Frames that were read, hellos and pings included, in order. */
  readonly frames: ClientFrame[] = [];
  readonly connections: Connection[] = [];
  limits = { maxBodyBytes: 65_536, maxInFlight: 512, heartbeatMs: 30_000 };
  /** What a hello gets instead of its welcome. */
  refuseHello: ((hello: HelloFrame) => { readonly code: number } | undefined) | undefined;
  /** What a request gets; undefined: nothing. */
  answer: Answer;
  /** Positions of what it acked, by clientMsgId: a retry gets the same one. */
  readonly log = new Map<string, number>();

  static async start(): Promise<ScriptedGateway> {
    const http = createServer((request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(request.url === '/v1/dev/token' ? { token: 'a dev token' } : {}));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return new ScriptedGateway(http);
  }

  private constructor(http: ReturnType<typeof createServer>) {
    this.#http = http;
    this.url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/v1/ws`;
    this.answer = (frame) => this.ack(frame);
    const handleProtocols = (offered: Set<string>): string | false =>
      [SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON].find((one) => offered.has(one)) ?? false;
    this.#wss = new WebSocketServer({ server: http, path: '/v1/ws', handleProtocols });
    this.#wss.on('connection', (ws) => this.#take(ws));
  }

  /** The answer of a gateway with nothing to object. */
  ack(frame: ClientFrame): object | undefined {
    if (frame.t !== 'send' && frame.t !== 'command') return undefined;
    const known = this.log.get(frame.clientMsgId);
    const pos = known ?? this.log.size + 1;
    this.log.set(frame.clientMsgId, pos);
    const { id } = frame;
    if (frame.t === 'command') return { t: 'done', id, pos };
    const target = frame.conversation ?? directConversationId(user('me'), user(String(frame.to)));
    return { t: 'sent', id, conversation: target, pos, at: 1_000 + pos, ...(known && { duplicate: true }) };
  }

  /** The newest connection after its welcome. */
  get connection(): Connection {
    return this.connections.at(-1) as Connection;
  }

  /** `count` of messages to bob, `m<from>` … with positions and indexes from `from`, and a cursor behind them. */
  deliver(count: number, from = 1): void {
    const entries = Array.from({ length: count }, (_, i) => {
      const pos = from + i;
      const base = { type: 'message', pos, n: pos, at: pos, by: 'bob', id: `e${pos}` };
      return { ...base, contentType: 'text/plain', body: new TextEncoder().encode(`m${pos}`) };
    });
    this.connection.send({ t: 'deliver', conversation: conversation('direct:bob:me'), entries });
    this.cursor(from + count - 1);
  }

  cursor(seq: number): void {
    this.connection.send({ t: 'cursor', epoch: 'e', seq });
  }

  /** Waits for the `count`-th connection to be welcomed. */
  welcomed(count: number): Promise<unknown> {
    return eventually(() => this.connections.length >= count, `connection ${count}`);
  }

  frame<T extends ClientFrame['t']>(t: T, count = 1): Promise<Extract<ClientFrame, { t: T }>> {
    const found = () => this.frames.filter((frame) => frame.t === t)[count - 1] as Extract<ClientFrame, { t: T }>;
    return eventually(found, `a ${t} frame`);
  }

  async stop(): Promise<void> {
    for (const ws of this.#wss.clients) ws.terminate();
    this.#wss.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #take(ws: WebSocket): void {
    const codec = codecs.find(({ subprotocol }) => subprotocol === ws.protocol) as Codec;
    const send = (frame: object): void => ws.send(codec.encode(frame), { binary: codec.binary });
    let connection: Connection | undefined;
    ws.on('error', () => undefined);
    ws.on('message', (data) => {
      const frame = codec.decode(data as Buffer) as ClientFrame;
      this.frames.push(frame);
      if (frame.t === 'hello') {
        const refusal = this.refuseHello?.(frame);
        if (refusal) return ws.close(refusal.code, 'refused');
        const { id, device } = frame;
        connection = { ws, codec, hello: frame, send };
        send({ t: 'welcome', id, session: 's', user: 'me', device, serverTime: 1_000, limits: this.limits });
        send({ t: 'cursor', epoch: 'e', seq: typeof frame.resume === 'object' ? frame.resume.seq : 0 });
        this.connections.push(connection);
        return;
      }
      const answer = connection && this.answer(frame, connection);
      if (answer) send(answer);
    });
  }
}
