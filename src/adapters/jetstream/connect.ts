/** The one way to NATS: as one of the roles, with an inbox prefix of its own, and never giving up. */
import { readFileSync } from 'node:fs';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, errors, type NatsConnection } from '@nats-io/transport-node';
import type { Log } from '../../ports/log.ts';
import { RookeryError } from '../../protocol/error-codes.ts';

/** One NATS user a role, each with the rights it needs and no more (adapters/system/nats-configuration.ts). */
export type Role = 'gateway' | 'fan-out-worker' | 'read-model-worker' | 'operator';

/** Reconnects at once, then with growing pauses up to this, jittered: a restarted server is not met by all at the same time. */
const MAX_RECONNECT_WAIT_MS = 2_000;
/** A connection that does not answer two pings is given up, so a half-open one is found within this time twice. */
const PING_INTERVAL_MS = 5_000;
/** A server that takes the connection and says nothing (it is paused, or cut off) keeps nobody from the next one for longer. */
const GREETED_WITHIN_MS = 5_000;
/** A request that a lost connection took with it is given up after this time; whoever asked asks again. */
const ANSWER_WITHIN_MS = 2_000;

export interface NatsAccess {
  readonly servers: readonly string[];
  /** Path of the JSON file that `rookery dev` or an operator made: `{ "<role>": { "user", "password" } }`. */
  readonly credentialsFile: string;
}

export interface Nats {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Subjects below it are this connection's alone. */
  readonly inboxPrefix: string;
  /** Resolves when it was closed by us; rejects with LOG_UNAVAILABLE when it ended for good by itself. */
  readonly ended: Promise<void>;
}

/** @throws RookeryError CONFIGURATION_INVALID without credentials or with wrong ones, LOG_UNAVAILABLE when no server answers at first */
export async function connectNats(access: NatsAccess, role: Role, name: string, log: Log): Promise<Nats> {
  const { user, password } = credentialsOf(access.credentialsFile, role);
  const inboxPrefix = `_INBOX_${role}.${crypto.randomUUID().replaceAll('-', '')}`;
  let nc: NatsConnection;
  let attempts = 0;
  try {
    nc = await connect({
      servers: [...access.servers],
      user,
      pass: password,
      name,
      inboxPrefix,
      timeout: GREETED_WITHIN_MS,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: () => 20 + Math.random() * Math.min(MAX_RECONNECT_WAIT_MS, 50 * 2 ** attempts++),
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      // A busy server may be late to read who we are, and says "Authentication Timeout": that passes.
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
      noEcho: false,
    });
  } catch (cause) {
    const isRefused = cause instanceof errors.AuthorizationError;
    const reason = isRefused ? `${access.credentialsFile} is not of this server` : (cause as Error).message;
    const message = `cannot connect to NATS at ${access.servers.join(', ')} as ${role}: ${reason}`;
    throw new RookeryError(isRefused ? 'CONFIGURATION_INVALID' : 'LOG_UNAVAILABLE', message, { cause });
  }
  void follow(nc, log, () => (attempts = 0));
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: ANSWER_WITHIN_MS });
  const ended = endOf(nc);
  // Who has no process to end hears of it with its next request.
  ended.catch((error: unknown) => log.error({ what: 'nats connection ended', reason: String(error) }));
  return { nc, js: jetstream(nc, { timeout: ANSWER_WITHIN_MS }), jsm, inboxPrefix, ended };
}

async function endOf(nc: NatsConnection): Promise<void> {
  const cause = await nc.closed();
  if (cause) throw new RookeryError('LOG_UNAVAILABLE', `the connection to NATS has ended: ${cause.message}`, { cause });
}

/** Ends with the connection. */
async function follow(nc: NatsConnection, log: Log, reconnected: () => void): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === 'reconnect') reconnected();
    if (status.type === 'disconnect' || status.type === 'reconnect') log.warn({ what: `nats ${status.type}` });
    if (status.type === 'error') log.error({ what: 'nats error', reason: String(status.error) });
  }
}

function credentialsOf(file: string, role: Role): { user: string; password: string } {
  try {
    const roles = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { user: string; password: string }>;
    const { user, password } = roles[role] ?? {};
    if (!user || !password) throw new Error(`no entry for ${role}`);
    return { user, password };
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `${file}: ${String(cause)}`, { cause });
  }
}
