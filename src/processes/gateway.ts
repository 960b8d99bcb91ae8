/**
 * The gateway: sockets and HTTP in front of the log.
 *
 * A message comes in through adapters/websocket, is read by application/gateway/session.ts, decided and appended by
 * application/gateway/conversations.ts, and acked when JetStream has it. What the fan-out worker makes of it comes back
 * through application/delivery, to every connected device of every recipient.
 */
import { join } from 'node:path';
import { registerAccountRoutes } from '../adapters/http/account-routes.ts';
import { tellOfBackends } from '../adapters/http/authorization.ts';
import { registerLoginRoutes } from '../adapters/http/login-routes.ts';
import { describeApi } from '../adapters/http/openapi.ts';
import { registerPresenceRoutes } from '../adapters/http/presence-routes.ts';
import { type HttpParts, registerRoutes } from '../adapters/http/routes.ts';
import { registerUserRoutes } from '../adapters/http/user-routes.ts';
import { hasWebClient, registerWebRoutes } from '../adapters/http/web-routes.ts';
import { JetstreamConversationViews } from '../adapters/jetstream/between-processes/conversation-views.ts';
import { JetstreamReadModels, type OnAsked } from '../adapters/jetstream/between-processes/read-models.ts';
import { JetstreamTypingNews } from '../adapters/jetstream/between-processes/typing-news.ts';
import { connectNats, type Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamDeviceCursors } from '../adapters/jetstream/inbox/device-cursors.ts';
import { JetstreamInboxReader } from '../adapters/jetstream/inbox/inbox-reader.ts';
import { JetstreamConversationLog } from '../adapters/jetstream/log/conversation-log.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { JwtTokens, signDevToken, signToken } from '../adapters/jwt/tokens.ts';
import { ScryptPasswords } from '../adapters/system/scrypt-passwords.ts';
import { frameOnWire } from '../adapters/websocket/framing.ts';
import { createServer, type Server } from '../adapters/websocket/server.ts';
import { Delivery } from '../application/delivery/delivery.ts';
import { AccountAdministration } from '../application/gateway/account-administration.ts';
import type { Accounts } from '../application/gateway/accounts.ts';
import { ContactRequests } from '../application/gateway/contact-requests.ts';
import { Conversations } from '../application/gateway/conversations.ts';
import type { Identities } from '../application/gateway/identities.ts';
import { Judged } from '../application/gateway/judged.ts';
import { BackpressuredLog, LaneBacklog } from '../application/gateway/lane-backlog.ts';
import { Logins } from '../application/gateway/logins.ts';
import { ownAccountOf } from '../application/gateway/people.ts';
import { Reading } from '../application/gateway/reading.ts';
import { Requests } from '../application/gateway/requests.ts';
import { RetryPace } from '../application/gateway/retry-pace.ts';
import { Session, type SessionParts } from '../application/gateway/session.ts';
import { Sessions, SWEEP_EVERY_MS } from '../application/gateway/sessions.ts';
import { Telling } from '../application/gateway/telling.ts';
import { Typing, type TypingParts } from '../application/gateway/typing.ts';
import { AccountPolicy } from '../application/gateway/writing-policy.ts';
import type { AccountLog } from '../ports/account-log.ts';
import type { Clock } from '../ports/clock.ts';
import type { ConversationViews } from '../ports/conversation-views.ts';
import type { CountedNews } from '../ports/counted-news.ts';
import type { Log } from '../ports/log.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { openApiKeys } from './api-keys.ts';
import type { GatewayConfig, GatewayLimits } from './configuration/gateway.ts';
import { gatewayMetrics } from './gateway-metrics.ts';
import { peopleOf } from './gateway-people.ts';
import type { RunningPresence } from './gateway-presence.ts';

const DEV_TOKEN_LIFETIME_MS = 7 * 24 * 3_600_000;
/** How long a drain waits for unanswered requests before the sockets are closed. */
const ANSWER_WITHIN_MS = 3_000;
/** Seen alike from src/processes in a checkout and from dist/processes in what is published. */
const WEB_CLIENT = join(import.meta.dirname, '..', '..', 'dist', 'web');

export interface Gateway {
  /** `http://host:port` */
  readonly address: string;
  /** Rejects when NATS can never be reached again by this process. */
  readonly ended: Promise<void>;
  drain(): Promise<void>;
}

const clock: Clock = { nowMs: () => Date.now() };
const monotonicMs = (): number => performance.now();

export async function startGateway(config: GatewayConfig, log: Log): Promise<Gateway> {
  const { limits, topology, auth } = config;
  const name = crypto.randomUUID();
  checkLogin(config);
  const apiKeys = openApiKeys(auth, clock, log);
  const tokens = new JwtTokens(auth);
  const nats = await connectNats(config.nats, 'gateway', `gateway ${name}`, log);
  const { nc, inboxPrefix, ended } = nats;

  // The way in: decide, append, ack.
  const appender = new JetstreamConversationLog(nc, inboxPrefix, topology, limits);
  const views = new JetstreamConversationViews(nc, topology);
  const logs = range(topology.convStreams, (convStream) => new JetstreamLogReader({ ...nats, convStream }));
  const backlog = new LaneBacklog({ topology, maxEvents: limits.maxLaneBacklog, logs, monotonicMs });
  const persons = await peopleOf({ nats, gateway: name, appender, tokens, views, config, clock, log });
  const { accounts, identities, people, presence, online, counted } = persons;
  const policy = new AccountPolicy(accounts, config.messaging);
  const pressed = new BackpressuredLog(appender, backlog, topology);
  const contactRequests = new ContactRequests(limits.maxContactRequestsPerHour, monotonicMs, counted);
  const conversations = new Conversations({ log: pressed, views, clock, policy, contactRequests });

  // The past: asked of the read-model workers.
  const reading = readingOf(nats, config, (...asked) => metrics.onAsked(...asked));

  // The way out: tail the inboxes, write to the sockets.
  const delivery = new Delivery({
    readers: range(topology.inboxStreams, (stream) => new JetstreamInboxReader({ ...nats, stream, log })),
    onConfirmed: (inboxStream, lane, to) => backlog.confirmed(inboxStream, lane, to),
    cursors: await JetstreamDeviceCursors.open(nc, log),
    ...{ gateway: name, logs, topology, frameOnWire, limits, log },
  });

  // Between them, the sessions.
  const sessions = new Sessions(clock, limits);
  const metrics = gatewayMetrics({ sessions, appender, delivery, backlog, unsentBytes: () => server.bufferedBytes });
  const { registry, onRefused, onUntold } = metrics;
  const requests = new Requests({ conversations, people, reading, presence });
  const telling = tellingOf(sessions, limits, onUntold);
  const typing = typingOf(nc, appender, { conversations, telling, monotonicMs, onDropped: onUntold });
  const shared = { ...persons, conversations, requests, delivery, typing, sessions, clock, frameOnWire, onRefused };
  const server = await serve(shared, config);
  const isReady = (): boolean => delivery.ready && appender.connected && !appender.isStuck && !sessions.draining;
  await registerHttp(server, config, {
    access: { keys: apiKeys.ring, tokens: identities, onAnswered: apiKeys.reporter(registry) },
    ...{ requests, conversations, views, accounts, presence, isReady, log, counted, accountLog: persons.accountLog },
    metrics: () => registry.metrics(),
  });

  followAccounts({ accounts, identities, sessions, telling, presence });
  await online.start(sessions);
  await accounts.start();
  await delivery.start();
  const address = await server.http.listen({ host: config.host, port: config.port });
  const sweeper = sweeping(server, sessions, limits.heartbeatMs);
  log.info({ what: 'gateway started', address, name });

  let draining: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await endSessions(server, sessions);
    clearInterval(sweeper);
    apiKeys.stop();
    await delivery.drain();
    await online.stop();
    await accounts.stop();
    await appender.drain();
    await nc.drain();
    log.info({ what: 'gateway drained', name });
  };
  return { address, ended, drain: () => (draining ??= stop()) };
}

function readingOf({ nc, inboxPrefix }: Nats, { limits, topology }: GatewayConfig, onAsked: OnAsked): Reading {
  return new Reading(new JetstreamReadModels({ nc, inboxPrefix, limits, onAsked }), topology, clock);
}

function typingOf(nc: Nats['nc'], appender: JetstreamConversationLog, parts: Omit<TypingParts, 'news'>): Typing {
  return new Typing({ ...parts, news: new JetstreamTypingNews(nc, () => appender.connected) });
}

function tellingOf(sessions: Sessions, limits: GatewayLimits, onUntold: (why: string) => void): Telling {
  const { maxBufferedBytes } = limits;
  return new Telling({ sessions, frameOnWire, maxBufferedBytes, onSlow: () => onUntold('slow') });
}

interface Followers {
  readonly accounts: Accounts;
  readonly identities: Identities;
  readonly sessions: Sessions;
  readonly telling: Telling;
  readonly presence: RunningPresence['presence'];
}

/** Who may not stay goes; who stays hears what their account is now. */
function followAccounts({ accounts, identities, sessions, telling, presence }: Followers): void {
  accounts.onChange((user, stored) => {
    presence.changed(user);
    if (!sessions.has(user)) return;
    const { account, pos, cause } = stored();
    sessions.review(user, (identity, device) => identities.refusalBy(account, identity, device));
    // Who comes in has changed nothing that anybody would show.
    if (cause !== 'deviceAdded') telling.tell([user], { t: 'account', pos, account: ownAccountOf(account) });
  });
}

/** Sockets in front of sessions, as many as the limit says. */
function serve(
  shared: Omit<SessionParts, 'limits' | 'pace'>,
  { limits, trustedProxies }: GatewayConfig,
): Promise<Server> {
  const { maxBodyBytes, maxInFlight, maxBufferedBytes, heartbeatMs } = limits;
  const pace = new RetryPace(monotonicMs);
  const parts: SessionParts = { ...shared, pace, limits: { maxBodyBytes, maxInFlight, heartbeatMs } };
  return createServer({
    ...{ maxBodyBytes, maxBufferedBytes, heartbeatMs, onRefused: shared.onRefused, trustedProxies },
    maxConnections: limits.maxSessions + limits.maxHttpConnections,
    open(connection) {
      const refusal = shared.sessions.refusal();
      if (refusal) return refusal;
      const session = new Session(connection, parts);
      shared.sessions.admit(session);
      return session;
    },
  });
}

interface HttpNeeds extends Pick<HttpParts, 'access' | 'isReady' | 'metrics'> {
  readonly conversations: Conversations;
  readonly views: ConversationViews;
  readonly accounts: Accounts;
  readonly presence: RunningPresence['presence'];
  readonly accountLog: AccountLog;
  readonly counted: CountedNews;
  readonly requests: Requests;
  readonly log: Log;
}

async function registerHttp({ http }: Server, config: GatewayConfig, needs: HttpNeeds): Promise<void> {
  const { auth, limits, login, web } = config;
  const { conversations, views, accounts, presence, accountLog, counted, requests, log, ...parts } = needs;
  const { access } = parts;
  const { maxBodyBytes } = limits;
  const judged = new Judged({ conversations, requests, views, monotonicMs });
  await describeApi(http);
  tellOfBackends(http, access);
  registerRoutes(http, {
    ...parts,
    maxBodyBytes,
    send: (by, id, address, content) => judged.send(by, id, address, content),
    ...(auth.devTokens && { devToken: (user: string) => signDevToken(auth.secretFile, user, DEV_TOKEN_LIFETIME_MS) }),
  });
  registerPresenceRoutes(http, { access, presenceOf: (users) => presence.seen(users) });
  registerAccountRoutes(http, { access, accounts: new AccountAdministration(accounts, clock) });
  await registerUserRoutes(http, {
    ...{ access, maxBodyBytes },
    requests: {
      answer: (user, query) => requests.answer(user, query),
      command: (user, id, command) => judged.command(user, id, command),
    },
  });
  const waysIn = { devTokens: auth.devTokens, login: login.enabled };
  if (web) await registerWebRoutes(http, { folder: WEB_CLIENT, waysIn });
  if (web && !hasWebClient(WEB_CLIENT)) log.warn({ what: 'the web client is not built', folder: WEB_CLIENT });
  if (!login.enabled) return;
  const logins = new Logins({
    ...{ log: accountLog, accounts, hasher: new ScryptPasswords(), clock, monotonicMs, counted },
    issue: (user, expiresAt) => signToken(auth, user, expiresAt),
    tokenLifetimeMs: login.tokenLifetimeMs,
  });
  registerLoginRoutes(http, { access, logins });
}

/** @throws RookeryError CONFIGURATION_INVALID */
function checkLogin({ auth, login }: GatewayConfig): void {
  if (login.enabled && auth.mode !== 'secret') {
    throw new RookeryError('CONFIGURATION_INVALID', 'login.enabled: needs auth.mode secret, to sign its tokens with');
  }
}

function sweeping(server: Server, sessions: Sessions, heartbeatMs: number): NodeJS.Timeout {
  const sweep = (): void => {
    sessions.sweep();
    server.sweep();
  };
  return setInterval(sweep, Math.min(SWEEP_EVERY_MS, heartbeatMs / 4));
}

/** Nobody comes in any more, what is under way is answered, then the sockets are closed. */
async function endSessions({ http }: Server, sessions: Sessions): Promise<void> {
  const deadline = clock.nowMs() + ANSWER_WITHIN_MS;
  http.server.close().closeIdleConnections();
  sessions.refuseRequests();
  while (sessions.inFlight > 0 && clock.nowMs() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  sessions.endAll('SHUTTING_DOWN', 'the gateway shuts down');
  await http.close();
}

const range = <T>(count: number, make: (k: number) => T): T[] => Array.from({ length: count }, (_, k) => make(k));
