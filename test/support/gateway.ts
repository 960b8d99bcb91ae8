/** A real gateway, with a fan-out worker beside it, and clients that see every frame. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import WebSocket from 'ws';
import type { Log } from '../../src/ports/log.ts';
import { type GatewayLimits, gatewaySchema } from '../../src/processes/configuration/gateway.ts';
import { loadConfiguration } from '../../src/processes/configuration/load.ts';
import { startFanOutWorker } from '../../src/processes/fan-out-worker.ts';
import { type Gateway, startGateway } from '../../src/processes/gateway.ts';
import type { Codec } from '../../src/protocol/codec.ts';
import { codecs, jsonCodec, msgpackCodec } from '../../src/protocol/codec.ts';
import { type ErrorCode, errorCodes } from '../../src/protocol/error-codes.ts';
import type { ServerFrame } from '../../src/protocol/frames.ts';
import { quiet, startNats, type TestNats } from './nats.ts';
import { eventually } from './waiting.ts';

export const API_KEY = 'an-api-key-of-at-least-32-characters';
const SECRET = 'a secret of at least thirty-two bytes';

export interface TestGateways {
  readonly nats: TestNats;
  readonly gateway: Gateway;
  /** Another gateway on the same log. */
  more(limits?: Partial<GatewayLimits>, port?: number): Promise<Gateway>;
  stop(): Promise<void>;
}

export async function startTestGateway({
  limits = {},
  auth = {},
  worker = true,
  accounts = 'open',
  messaging = 'open',
  login = {},
  trustedProxies = [],
  devices = {},
  log = quiet,
}: {
  limits?: Partial<GatewayLimits>;
  auth?: Record<string, unknown>;
  worker?: boolean;
  accounts?: 'open' | 'required';
  messaging?: 'open' | 'friendsOnly';
  login?: { enabled?: boolean };
  trustedProxies?: string[];
  devices?: { maxOnline?: Record<string, number> };
  log?: Log;
} = {}): Promise<TestGateways> {
  const nats = await startNats();
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const secretFile = join(nats.dataDir, 'jwt-secret');
  writeFileSync(secretFile, SECRET);
  const running: { drain(): Promise<void> }[] = [];
  const more = async (limits: Partial<GatewayLimits> = {}, port = 0): Promise<Gateway> => {
    const flags = {
      nats: access,
      port,
      auth: { secretFile, apiKeys: [API_KEY], ...auth },
      accounts,
      messaging,
      login,
      trustedProxies,
      devices,
      limits,
    };
    const gateway = await startGateway(loadConfiguration(gatewaySchema, { environment: {}, flags }).config, log);
    running.push(gateway);
    return gateway;
  };
  if (worker) {
    const stateDir = join(nats.dataDir, 'state');
    const { topology } = nats;
    running.push(await startFanOutWorker({ nats: access, topology, logLevel: 'silent', stateDir }, quiet));
  }
  const gateway = await more(limits);
  return {
    nats,
    gateway,
    more,
    async stop() {
      for (const part of running.reverse()) await part.drain();
      await nats.stop();
    },
  };
}

interface TokenClaims {
  readonly device?: string;
  readonly secret?: string;
  readonly lifetimeMs?: number;
  /** Milliseconds since 1970. */
  readonly issuedAt?: number;
}

export function tokenFor(user: string, claims: TokenClaims = {}) {
  const { device, secret = SECRET, lifetimeMs = 600_000, issuedAt = Date.now() } = claims;
  const expires = Math.floor((Date.now() + lifetimeMs) / 1_000);
  return new SignJWT(device === undefined ? {} : { device })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt(issuedAt / 1_000)
    .setSubject(user)
    .setExpirationTime(expires)
    .sign(Buffer.from(secret));
}

type Frame = Record<string, unknown> & { readonly t: string; readonly id?: number };

/** A socket without the SDK's care: it sends what it is told and keeps all it gets. */
export class RawClient {
  readonly ws: WebSocket;
  readonly codec: Codec;
  readonly frames: Frame[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  #nextId = 100;

  constructor(gateway: Gateway, subprotocols: string | string[], options: WebSocket.ClientOptions = {}) {
    this.ws = new WebSocket(`${gateway.address.replace('http', 'ws')}/v1/ws`, subprotocols, options);
    this.codec = codecs.find(({ subprotocol }) => subprotocol === subprotocols) ?? jsonCodec;
    this.ws.on('message', (data) => this.frames.push(this.codec.decode(data as Buffer) as Frame));
    this.ws.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.ws.on('error', () => undefined);
  }

  static async open(gateway: Gateway, codec: Codec = msgpackCodec, options?: WebSocket.ClientOptions) {
    const client = new RawClient(gateway, codec.subprotocol, options);
    await eventually(() => client.ws.readyState === WebSocket.OPEN, 'the socket opens');
    return client;
  }

  /** Connected and welcomed. */
  static async greeted(gateway: Gateway, user: string, device = 'd', codec: Codec = msgpackCodec) {
    const client = await RawClient.open(gateway, codec);
    const welcome = await client.ask({ t: 'hello', token: await tokenFor(user), device, resume: 'latest' });
    if (welcome.t !== 'welcome') throw new Error(`no welcome but ${JSON.stringify(welcome)}`);
    return client;
  }

  send(frame: object): void {
    this.raw(this.codec.encode(frame));
  }

  raw(data: Uint8Array | string, binary = this.codec.binary): void {
    this.ws.send(data, { binary });
  }

  /** Sends a request under an id of its own and gives its answer. */
  async ask(request: object): Promise<Frame> {
    const id = this.#nextId++;
    this.send({ ...request, id });
    return this.answer(id);
  }

  /** As `ask`, and again while it is refused for a passing reason, as an app would: a busy worker may not answer in time. */
  askUntilTaken(request: object): Promise<Frame> {
    return eventually(async () => {
      const answer = await this.ask(request);
      return errorCodes[answer.code as ErrorCode]?.retry ? undefined : answer;
    }, 'an answer that is none to wait for');
  }

  /**
   * What becomes of a request in the end: the code it is refused with, at once or by the fold where the worker had no time to be
   * asked; else `taken`, when it has come back as an entry.
   */
  async outcome(request: object): Promise<unknown> {
    const answer = await this.askUntilTaken(request);
    if ('code' in answer) return answer.code;
    const { clientMsgId } = request as { readonly clientMsgId: string };
    const entry = await eventually(() => this.entries.find(({ id }) => id === clientMsgId), 'what the fold made of it');
    return entry.type === 'rejected' ? entry.code : 'taken';
  }

  answer(id: number): Promise<Frame> {
    return eventually(() => this.frames.find((frame) => frame.id === id), `an answer to request ${id}`);
  }

  frame<T extends ServerFrame['t']>(t: T): Promise<Extract<ServerFrame, { t: T }>> {
    const found = () => this.frames.find((frame) => frame.t === t) as unknown as Extract<ServerFrame, { t: T }>;
    return eventually(found, `a ${t} frame`);
  }

  /** Entries delivered so far, with their conversation. */
  get entries(): Record<string, unknown>[] {
    return this.frames
      .filter(({ t }) => t === 'deliver')
      .flatMap(({ conversation, entries }) => (entries as object[]).map((entry) => ({ ...entry, conversation })));
  }

  closeCode(): Promise<number> {
    return eventually(() => this.closed?.code, 'the socket is closed');
  }

  end(): void {
    this.ws.terminate();
  }
}
