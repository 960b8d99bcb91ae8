/** What stands in USER of accounts and passwords: MessagePack maps with a schema version, as in the conversations' log. */
import type { Account, AccountEvent } from '../domain/account.ts';
import { type ClientMsgId, parseClientMsgId, parseUserId, type UserId } from '../domain/ids.ts';
import { RookeryError } from './error-codes.ts';
import { LOG_SCHEMA_VERSION } from './log-event.ts';
import { packr } from './messagepack.ts';

/** `after`: the account as the event left it. */
export const encodeAccountEvent = (event: AccountEvent, after: Account): Uint8Array =>
  packr.pack({ v: LOG_SCHEMA_VERSION, ...event, after });

/** @throws RookeryError EVENT_UNREADABLE with the reason */
export function decodeAccountEvent(
  user: UserId,
  data: Uint8Array,
): { readonly event: AccountEvent; readonly after: Account } {
  const { v: _, after, ...event } = fieldsOf(data);
  if (!isAccountOf(user, after)) throw unreadable('it does not say what account it left');
  if (typeof event.type !== 'string' || !parseClientMsgId(event.id)) throw unreadable('`type` or `id` is none');
  return { event: event as unknown as AccountEvent, after };
}

export const encodePasswordEvent = (id: ClientMsgId, hash: string): Uint8Array =>
  packr.pack({ v: LOG_SCHEMA_VERSION, type: 'passwordChanged', id, hash });

/** The hash. @throws RookeryError EVENT_UNREADABLE with the reason */
export function decodePasswordEvent(data: Uint8Array): string {
  const { type, hash } = fieldsOf(data);
  if (type !== 'passwordChanged' || typeof hash !== 'string') throw unreadable('not a password');
  return hash;
}

function fieldsOf(data: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = packr.unpack(data);
  } catch (cause) {
    throw unreadable('not MessagePack', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable('not a map');
  const fields = value as Record<string, unknown>;
  if (fields.v !== LOG_SCHEMA_VERSION) throw unreadable(`schema version ${String(fields.v)} is not known`);
  return fields;
}

/** What decisions are made on must be there; what lies deeper only we have written, under the optimistic lock. */
function isAccountOf(user: UserId, value: unknown): value is Account {
  if (typeof value !== 'object' || value === null) return false;
  const {
    user: owner,
    kind,
    state,
    profile,
    settings,
    tokensFrom,
    botTokens,
    recent,
  } = value as Record<string, unknown>;
  return (
    parseUserId(owner) === user &&
    (kind === 'person' || kind === 'bot') &&
    (state === 'active' || state === 'deactivated') &&
    isMap(profile) &&
    isMap(settings) &&
    Number.isSafeInteger(tokensFrom) &&
    Array.isArray(botTokens) &&
    Array.isArray(recent)
  );
}

const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const unreadable = (reason: string, cause?: unknown): RookeryError =>
  new RookeryError('EVENT_UNREADABLE', reason, { cause });
