/**
 * One connected device, from its hello frame to its end: reads frames, hands requests to `Conversations`, writes answers.
 * What it is delivered does not pass here: `Delivery` writes to the connection by itself.
 */
import type { DeviceKind } from '../../domain/devices.ts';
import type { DeviceId, UserId } from '../../domain/ids.ts';
import type { ClientConnection, FrameOnWire } from '../../ports/client-connection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Identity } from '../../ports/tokens.ts';
import { type CloseReason, closeCodes } from '../../protocol/close-codes.ts';
import { asRookeryError, type ErrorCode, RookeryError } from '../../protocol/error-codes.ts';
import type {
  ClientFrame,
  CommandFrame,
  HelloFrame,
  QueryFrame,
  SendFrame,
  ServerFrame,
  WatchFrame,
} from '../../protocol/frames.ts';
import { parseClientFrame, requestIdOf } from '../../protocol/validation.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Attachment } from '../delivery/parts.ts';
import type { Conversations } from './conversations.ts';
import type { DeviceRegister } from './device-register.ts';
import type { Identities } from './identities.ts';
import type { PresenceWatch } from './presence.ts';
import type { Requests } from './requests.ts';
import type { RetryPace } from './retry-pace.ts';
import { conversationOf, SendOrder } from './send-order.ts';
import type { RegisteredSession, Sessions } from './sessions.ts';
import type { Typing, Typist } from './typing.ts';

/** A client that sends more frames than this that cannot be read is not ours. A request that is refused does not count. */
const MAX_BAD_FRAMES = 16;
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['BAD_FRAME', 'UNKNOWN_FRAME']);
/** Who errs in a hello is not asked for ever. */
const MAX_BAD_HELLOS = 3;
/** What a session over its bound of unanswered requests is told to wait. */
const IN_FLIGHT_RETRY_AFTER_MS = 50;

type Asking = SendFrame | CommandFrame | QueryFrame | WatchFrame;

export interface SessionLimits {
  readonly maxBodyBytes: number;
  readonly maxInFlight: number;
  readonly heartbeatMs: number;
}

/** What all sessions of a gateway share. */
export interface SessionParts {
  readonly conversations: Conversations;
  readonly requests: Requests;
  readonly delivery: Delivery;
  readonly typing: Typing;
  readonly sessions: Sessions;
  readonly identities: Identities;
  readonly pace: RetryPace;
  readonly devices: DeviceRegister;
  readonly presence: Pick<PresenceWatch, 'watch'>;
  readonly clock: Clock;
  readonly frameOnWire: FrameOnWire;
  readonly limits: SessionLimits;
  readonly onRefused: (code: string) => void;
}

export class Session implements RegisteredSession {
  readonly id = crypto.randomUUID();
  readonly openedAtMs = performance.now();
  greetedAt = 0;
  readonly connection: ClientConnection;
  user: UserId | undefined;
  device: DeviceId | undefined;
  kind: DeviceKind = 'other';
  agent = '';
  identity: Identity | undefined;
  /** Milliseconds since 1970; Infinity until the hello. */
  expiresAt = Number.POSITIVE_INFINITY;
  readonly #parts: SessionParts;
  #state: 'new' | 'greeting' | 'open' | 'ended' = 'new';
  readonly #order = new SendOrder();
  /** Only of who has ever written something. */
  #typist: Typist | undefined;
  readonly #spread: number;
  #attachment: Attachment | undefined;
  #inFlight = 0;
  #badFrames = 0;

  constructor(connection: ClientConnection, parts: SessionParts) {
    this.connection = connection;
    this.#parts = parts;
    this.#spread = parts.pace.spread();
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isGreeting(): boolean {
    return this.#state === 'greeting';
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** A WebSocket message. Never throws: what is wrong with it is answered. */
  receive(data: Uint8Array, isBinary: boolean): void {
    if (this.#state === 'ended') return;
    let value: unknown;
    try {
      if (isBinary !== this.connection.codec.binary)
        throw new RookeryError('BAD_FRAME', 'text and binary are mixed up');
      value = this.connection.codec.decode(data);
      this.#dispatch(parseClientFrame(value, this.#parts.limits.maxBodyBytes));
    } catch (thrown) {
      const error = asRookeryError(thrown);
      this.#refuse(requestIdOf(value), error);
      if (UNREADABLE.has(error.code) || this.#state === 'new') this.#badFrames += 1;
      if (this.#badFrames > (this.#state === 'new' ? MAX_BAD_HELLOS : MAX_BAD_FRAMES))
        this.end('PROTOCOL_VIOLATION', 'too many frames that cannot be read');
    }
  }

  /** Ends the session from our side. */
  end(reason: CloseReason, text: string): void {
    if (this.#state === 'ended') return;
    this.closed();
    this.connection.close(closeCodes[reason], text);
  }

  /** The socket is gone, or about to go. */
  closed(): void {
    this.#state = 'ended';
    this.#attachment?.detach();
    this.#attachment = undefined;
    this.#parts.sessions.remove(this);
  }

  #dispatch(frame: ClientFrame): void {
    if (frame.t === 'ping') return this.#write({ t: 'pong' });
    if (frame.t === 'hello') return this.#greet(frame);
    if (this.#state !== 'open') {
      throw new RookeryError('HELLO_EXPECTED', 'the first frame must be a hello, and its welcome be awaited');
    }
    if (frame.t === 'confirm') return this.#attachment?.confirm(frame.seq);
    if (frame.t === 'typing') {
      this.#typist ??= this.#parts.typing.typist(this.user as UserId);
      return this.#typist.writes(frame);
    }
    const isMark = frame.t === 'command' && frame.command.type === 'markDelivered';
    // A mark that comes late is none the worse, and one that is refused holds nobody up.
    if (frame.t === 'query' || frame.t === 'watch' || isMark) {
      this.#admit();
      return this.#ask(frame, () => undefined);
    }
    const conversation = conversationOf(frame, this.user as UserId);
    const place = this.#order.enter(conversation, frame.clientMsgId, performance.now());
    const failed = (error: RookeryError): void =>
      this.#order.failed(conversation, frame.clientMsgId, place, error, performance.now());
    try {
      this.#admit();
    } catch (thrown) {
      failed(asRookeryError(thrown));
      throw thrown;
    }
    this.#ask(frame, failed);
  }

  /** @throws RookeryError OVERLOADED, SHUTTING_DOWN */
  #admit(): void {
    if (this.#inFlight >= this.#parts.limits.maxInFlight) {
      const retryAfterMs = IN_FLIGHT_RETRY_AFTER_MS;
      throw new RookeryError('OVERLOADED', 'too many unanswered requests', { retryAfterMs });
    }
    if (this.#parts.sessions.draining) throw new RookeryError('SHUTTING_DOWN', 'the gateway is about to stop');
  }

  #ask(frame: Asking, failed: (error: RookeryError) => void): void {
    this.#inFlight += 1;
    this.#answer(frame).then(
      (answer) => this.#answered(answer),
      (thrown: unknown) => {
        this.#inFlight -= 1;
        const error = asRookeryError(thrown);
        failed(error);
        this.#refuse(frame.id, error);
      },
    );
  }

  #answered(answer: ServerFrame): void {
    this.#inFlight -= 1;
    this.#parts.pace.taken();
    this.#write(answer);
  }

  #answer(frame: Asking): Promise<ServerFrame> {
    const user = this.user as UserId;
    const { conversations, requests } = this.#parts;
    switch (frame.t) {
      case 'send': {
        const { t: _t, id, conversation, to, clientMsgId, ...content } = frame;
        const address = to === undefined ? { conversation: conversation as never } : { to };
        return conversations
          .send(user, clientMsgId, address, content)
          .then(({ conversation: target, pos, at, duplicate }) =>
            duplicate
              ? { t: 'sent', id, conversation: target, pos, at, duplicate }
              : { t: 'sent', id, conversation: target, pos, at },
          );
      }
      case 'command':
        return requests
          .command(user, frame.clientMsgId, frame.command)
          .then(({ pos, duplicate }) =>
            duplicate ? { t: 'done', id: frame.id, pos, duplicate } : { t: 'done', id: frame.id, pos },
          );
      case 'watch':
        return this.#parts.presence.watch(this, frame.users).then((result) => ({ t: 'result', id: frame.id, result }));
      case 'query':
        return requests
          .answer(user, frame.query, frame.reached)
          .then((result) => ({ t: 'result', id: frame.id, result }));
    }
  }

  #greet(hello: HelloFrame): void {
    if (this.#state !== 'new') throw new RookeryError('BAD_REQUEST', 'the session has begun already');
    this.#state = 'greeting';
    this.#parts.identities.verify(hello.token, hello.device).then(
      (identity) => {
        if (this.#state !== 'greeting') return;
        const { device } = identity;
        if (device !== undefined && device !== hello.device) {
          this.#refuse(hello.id, new RookeryError('TOKEN_INVALID', 'the token is for another device'));
          this.end('TOKEN_INVALID', 'the token is for another device');
          return;
        }
        // What the client has said meanwhile is read first: one that has gone must not end the session it has begun elsewhere.
        setImmediate(() => {
          if (this.#state === 'greeting' && this.connection.isOpen) this.#begin(hello, identity);
        });
      },
      (thrown: unknown) => {
        const error = asRookeryError(thrown);
        this.#refuse(hello.id, error);
        // Where it could not be told (the key server is away), a new token would not help either: reconnect.
        const { code } = error;
        this.end(code in closeCodes ? (code as CloseReason) : 'INTERNAL', error.message);
      },
    );
  }

  #begin(hello: HelloFrame, identity: Identity): void {
    const { id, device, resume, onGap } = hello;
    const { sessions, delivery, clock, limits, identities, devices } = this.#parts;
    const { user, expiresAt } = identity;
    // What has happened to the account since it was asked is told to sessions that are known.
    const refusal = identities.refusalOf(identity, device);
    if (refusal) return this.end(refusal, 'the account has changed');
    this.identity = identity;
    this.user = user;
    this.device = device;
    this.kind = hello.kind ?? 'other';
    this.agent = hello.agent ?? '';
    this.expiresAt = expiresAt;
    this.greetedAt = clock.nowMs();
    this.#state = 'open';
    this.connection.takeWholeFrames();
    sessions.add(this);
    this.#write({ t: 'welcome', id, session: this.id, user, device, serverTime: clock.nowMs(), limits });
    this.#attachment = delivery.attach({ user, device, connection: this.connection }, resume, onGap);
    devices.arrived(identity, hello);
  }

  #refuse(id: number | undefined, { code, message, retryable, retryAfterMs }: RookeryError): void {
    this.#parts.onRefused(code);
    const isPassing = retryable && retryAfterMs !== undefined;
    this.#write({
      t: 'error',
      ...(id !== undefined && { id }),
      code,
      message,
      ...(isPassing && { retryAfterMs: this.#parts.pace.refused(retryAfterMs, this.#spread) }),
    });
  }

  #write(frame: ServerFrame): void {
    const { codec } = this.connection;
    this.connection.write(this.#parts.frameOnWire(codec, codec.encode(frame)));
  }
}
