/** What stands in the conversation log. */

import type { ConversationEvent } from '../domain/conversation.ts';
import { parseClientMsgId, parseUserId, type UserId } from '../domain/ids.ts';
import { LOG_SCHEMA_VERSION, opened, sealed, unreadable } from './log-envelope.ts';
import { QuickEvents } from './quick-event.ts';

/** Beyond this a body is not ours: the fold reads no event that a gateway could not have written. */
const MAX_MEMBERS = 1_000;

export const encodeLogEvent = (event: ConversationEvent): Uint8Array => sealed(event);

const quickEvents = new QuickEvents(LOG_SCHEMA_VERSION);

/**
 * Bytes in it may be views of `data`. Of many events in one buffer each is read where it stands: a view of each costs a tenth of a
 * microsecond more.
 * @throws RookeryError EVENT_UNREADABLE with the reason
 */
export function decodeLogEvent(data: Uint8Array, start = 0, end = data.length): ConversationEvent {
  return quickEvents.read(data, start, end) ?? decodedInFull(data.subarray(start, end));
}

/** Any event, of whatever version and age. */
export function decodedInFull(data: Uint8Array): ConversationEvent {
  const fields = opened(data);
  if (!parseUserId(fields.by) || !parseClientMsgId(fields.id)) throw unreadable('`by` or `id` is no id');
  if (!hasShape(fields)) throw unreadable(`not a known event: ${String(fields.type).slice(0, 64)}`);
  return fields as unknown as ConversationEvent;
}

/** Fields beyond those checked pass through: a newer writer of the same version may add optional ones. */
function hasShape(fields: Record<string, unknown>): boolean {
  switch (fields.type) {
    case 'messageSent':
      return hasContent(fields);
    case 'groupCreated':
      return typeof fields.name === 'string' && areUsers(fields.members);
    case 'membersAdded':
    case 'membersRemoved':
      return areUsers(fields.members);
    case 'roleChanged':
      return parseUserId(fields.member) !== undefined && /^(owner|admin|member)$/.test(String(fields.role));
    case 'groupRenamed':
      return typeof fields.name === 'string';
    case 'conversationRead':
    case 'conversationDelivered':
      return isWholeNumber(fields.upTo);
    case 'messageEdited':
      return isRef(fields.target) && hasContent(fields);
    case 'messageRecalled':
      return isRef(fields.target);
    case 'groupChanged':
      return isMap(fields.settings);
    case 'memberMuted':
      return parseUserId(fields.member) !== undefined && isWholeNumber(fields.until);
    case 'memberJoined':
      return fields.invite === undefined || typeof fields.invite === 'string';
    case 'joinRequested':
      return typeof fields.greeting === 'string';
    case 'joinDeclined':
      return parseUserId(fields.member) !== undefined;
    case 'inviteCreated':
      return typeof fields.invite === 'string' && isWholeNumber(fields.expiresAt) && isWholeNumber(fields.maxUses);
    case 'inviteRevoked':
      return typeof fields.invite === 'string';
    case 'contactRequested':
      return typeof fields.greeting === 'string';
    case 'preferencesChanged':
      return typeof fields.about === 'string' && isMap(fields.preferences);
    case 'contactDeclined':
    case 'contactRemoved':
    case 'memberLeft':
    case 'groupDissolved':
    case 'userBlocked':
    case 'userUnblocked':
      return true;
    default:
      return false;
  }
}

const hasContent = (fields: Record<string, unknown>): boolean =>
  typeof fields.contentType === 'string' && fields.body instanceof Uint8Array && hasOptionalShape(fields);

const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const isRef = (value: unknown): boolean => {
  const { by, id } = (value ?? {}) as Record<string, unknown>;
  return parseUserId(by) !== undefined && parseClientMsgId(id) !== undefined;
};

const hasOptionalShape = (fields: Record<string, unknown>): boolean => {
  const { keyId, replyTo, mentions, mentionsAll, expiresAt, contactsOnly } = fields;
  return (
    (keyId === undefined || typeof keyId === 'string') &&
    (replyTo === undefined || isWholeNumber(replyTo)) &&
    (mentions === undefined || areUsers(mentions)) &&
    (mentionsAll === undefined || mentionsAll === true) &&
    (expiresAt === undefined || isWholeNumber(expiresAt)) &&
    (contactsOnly === undefined || contactsOnly === true)
  );
};

const isWholeNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const areUsers = (value: unknown): value is UserId[] =>
  Array.isArray(value) && value.length <= MAX_MEMBERS && value.every((user) => parseUserId(user) !== undefined);

/** A block or unblock as it stands in USER. */
export const encodeBlockEvent = (event: {
  readonly by: UserId;
  readonly id: string;
  readonly user: UserId;
  readonly blocked: boolean;
}): Uint8Array =>
  sealed({
    type: event.blocked ? 'userBlocked' : 'userUnblocked',
    by: event.by,
    id: event.id,
    user: event.user,
  });
