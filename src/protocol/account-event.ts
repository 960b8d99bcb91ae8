/** What stands in USER of accounts and passwords. */
import type { Account, AccountEvent } from '../domain/account.ts';
import { type ClientMsgId, parseClientMsgId, parseUserId, type UserId } from '../domain/ids.ts';
import { opened, sealed, unreadable } from './log-envelope.ts';

/** `after`: the account as the event left it. */
export const encodeAccountEvent = (event: AccountEvent, after: Account): Uint8Array => sealed({ ...event, after });

/** @throws RookeryError EVENT_UNREADABLE with the reason */
export function decodeAccountEvent(
  user: UserId,
  data: Uint8Array,
): { readonly event: AccountEvent; readonly after: Account } {
  const { after, ...event } = opened(data);
  if (!isAccountOf(user, after)) throw unreadable('it does not say what account it left');
  if (typeof event.type !== 'string' || !parseClientMsgId(event.id)) throw unreadable('`type` or `id` is none');
  return { event: event as unknown as AccountEvent, after };
}

export const encodePasswordEvent = (id: ClientMsgId, hash: string): Uint8Array =>
  sealed({ type: 'passwordChanged', id, hash });

/** The hash. @throws RookeryError EVENT_UNREADABLE with the reason */
export function decodePasswordEvent(data: Uint8Array): string {
  const { type, hash } = opened(data);
  if (type !== 'passwordChanged' || typeof hash !== 'string') throw unreadable('not a password');
  return hash;
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
    (state === 'none' || state === 'active' || state === 'deactivated') &&
    isMap(profile) &&
    isMap(settings) &&
    Number.isSafeInteger(tokensFrom) &&
    Array.isArray(botTokens) &&
    Array.isArray(recent)
  );
}

const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
