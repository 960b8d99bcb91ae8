/**
 * What came off the wire, checked. Written by hand, not by a schema library: it runs for every message in browsers and
 * servers alike, and its result is the branded, exact frame with nothing else in it.
 */

import type { GroupSettings, MessageContent, Role } from '../domain/conversation.ts';
import { DEVICE_KINDS } from '../domain/devices.ts';
import type { ClientMsgId, ConversationId, DeviceId, UserId } from '../domain/ids.ts';
import {
  parseClientMsgId,
  parseConversationId,
  parseDeviceId,
  parseGroupId,
  parseUserId,
  utf8Length,
} from '../domain/ids.ts';
import { parseOwnAccountCommand } from './account-fields.ts';
import { RookeryError } from './error-codes.ts';
import { fitName } from './fit-name.ts';
import type { ClientFrame, Command, Query, Resume, SendFrame } from './frames.ts';
import * as limits from './limits.ts';
import { parsePreferences } from './preferences.ts';
import { MAX_CURSOR_CHARS } from './query-cursors.ts';

type Fields = Record<string, unknown>;

const bad = (message: string): RookeryError => new RookeryError('BAD_REQUEST', message);

/**
 * @param value what a codec gave
 * @param maxBodyBytes the gateway's limit
 * @throws RookeryError BAD_FRAME, UNKNOWN_FRAME, BAD_REQUEST, BAD_ID, BODY_TOO_LARGE
 */
export function parseClientFrame(value: unknown, maxBodyBytes: number): ClientFrame {
  const fields = objectFields(value);
  switch (fields.t) {
    case 'send':
      return parseSend(fields, maxBodyBytes);
    case 'confirm':
      return { t: 'confirm', seq: wholeNumber(fields.seq, 'seq') };
    case 'typing':
      return { t: 'typing', ...addressOf(fields) };
    case 'ping':
      return { t: 'ping' };
    case 'command':
      return {
        t: 'command',
        id: requestId(fields),
        clientMsgId: clientMsgId(fields.clientMsgId),
        command: parseCommand(objectFields(fields.command), maxBodyBytes),
      };
    case 'query':
      return { t: 'query', id: requestId(fields), query: parseQuery(objectFields(fields.query)), ...reachedOf(fields) };
    case 'watch':
      return { t: 'watch', id: requestId(fields), users: userIds(fields.users, 'users', limits.MAX_WATCHED) };
    case 'hello':
      return parseHello(fields);
    default:
      throw new RookeryError('UNKNOWN_FRAME', 'no frame of this type');
  }
}

/** The request id of a frame that may be malformed otherwise, so that its error can name it. */
export function requestIdOf(value: unknown): number | undefined {
  const id = typeof value === 'object' && value !== null ? (value as Fields).id : undefined;
  return Number.isSafeInteger(id) ? (id as number) : undefined;
}

function parseHello(fields: Fields): ClientFrame {
  const { token, device, agent, onGap, kind, name } = fields;
  if (typeof token !== 'string' || token.length > limits.MAX_TOKEN_CHARS) throw bad('`token` must be a JWT');
  return {
    t: 'hello',
    id: requestId(fields),
    token,
    device: deviceId(device),
    resume: parseResume(fields.resume),
    ...(agent !== undefined && { agent: text(agent, 'agent', limits.MAX_AGENT_CHARS) }),
    ...(onGap !== undefined && { onGap: oneOf(onGap, 'onGap', ['replay', 'changes']) }),
    ...(kind !== undefined && { kind: oneOf(kind, 'kind', DEVICE_KINDS) }),
    ...(name !== undefined && { name: fitName(anyText(name, 'name', limits.MAX_DEVICE_NAME_CHARS), 'name') }),
  };
}

function parseResume(value: unknown): Resume {
  if (value === 'latest' || value === 'everything') return value;
  if (typeof value !== 'object' || value === null) throw bad('`resume` must be a cursor, "latest" or "everything"');
  const { epoch, seq } = value as Fields;
  return { epoch: text(epoch, 'resume.epoch', 64), seq: wholeNumber(seq, 'resume.seq') };
}

function parseSend(fields: Fields, maxBodyBytes: number): SendFrame {
  return {
    t: 'send',
    id: requestId(fields),
    ...addressOf(fields),
    clientMsgId: clientMsgId(fields.clientMsgId),
    ...parseContent(fields, maxBodyBytes),
  };
}

function addressOf({ conversation, to }: Fields): { readonly conversation: ConversationId } | { readonly to: UserId } {
  if (to === undefined) return { conversation: conversationId(conversation) };
  if (conversation !== undefined) throw bad('give `conversation` or `to`, not both');
  return { to: userId(to, 'to') };
}

/** @throws RookeryError BAD_REQUEST, BAD_ID, BODY_TOO_LARGE */
export function parseContent(fields: Fields, maxBodyBytes: number): MessageContent {
  const { body } = fields;
  if (!(body instanceof Uint8Array)) throw bad('`body` must be bytes');
  if (body.length > maxBodyBytes) throw new RookeryError('BODY_TOO_LARGE', `\`body\` is over ${maxBodyBytes} bytes`);
  return {
    contentType: text(fields.contentType, 'contentType', limits.MAX_CONTENT_TYPE_CHARS),
    body,
    ...(fields.keyId !== undefined && { keyId: text(fields.keyId, 'keyId', limits.MAX_KEY_ID_CHARS) }),
    ...(fields.replyTo !== undefined && { replyTo: wholeNumber(fields.replyTo, 'replyTo') }),
    ...(fields.mentions !== undefined && { mentions: userIds(fields.mentions, 'mentions', limits.MAX_MENTIONS) }),
    ...(fields.mentionsAll !== undefined && { mentionsAll: isTrue(fields.mentionsAll, 'mentionsAll') }),
    ...(fields.expiresAt !== undefined && { expiresAt: wholeNumber(fields.expiresAt, 'expiresAt') }),
  };
}

/** @throws RookeryError BAD_REQUEST, BAD_ID, BODY_TOO_LARGE */
export function parseCommand(fields: Fields, maxBodyBytes: number): Command {
  const { type } = fields;
  switch (type) {
    case 'editMessage': {
      const { conversation, target } = fields;
      const content = parseContent(fields, maxBodyBytes);
      return { type, conversation: conversationId(conversation), target: messageId(target), ...content };
    }
    case 'recallMessage':
      return {
        type,
        conversation: conversationId(fields.conversation),
        target: messageId(fields.target),
        ...(fields.sender !== undefined && { sender: userId(fields.sender, 'sender') }),
      };
    case 'createGroup':
      return {
        type,
        conversation: groupId(fields.conversation),
        name: groupName(fields.name),
        members: userIds(fields.members, 'members', limits.MAX_MEMBERS_PER_COMMAND),
      };
    case 'addMembers':
    case 'removeMembers': {
      const members = userIds(fields.members, 'members', limits.MAX_MEMBERS_PER_COMMAND);
      if (members.length === 0) throw bad('`members` is empty');
      return { type, conversation: groupId(fields.conversation), members };
    }
    case 'leaveGroup':
    case 'dissolveGroup':
      return { type, conversation: groupId(fields.conversation) };
    case 'changeRole':
      return {
        type,
        conversation: groupId(fields.conversation),
        member: userId(fields.member, 'member'),
        role: role(fields.role),
      };
    case 'renameGroup':
      return { type, conversation: groupId(fields.conversation), name: groupName(fields.name) };
    case 'markRead':
    case 'markDelivered':
      return { type, conversation: conversationId(fields.conversation), upTo: wholeNumber(fields.upTo, 'upTo') };
    case 'requestContact': {
      const greeting = anyText(fields.greeting ?? '', 'greeting', limits.MAX_GREETING_CHARS);
      return { type, user: userId(fields.user, 'user'), greeting };
    }
    case 'changePreferences': {
      const about = fields.about === '' ? '' : conversationId(fields.about);
      return { type, about, preferences: parsePreferences(objectFields(fields.preferences)) };
    }
    case 'declineContact':
    case 'removeContact':
    case 'blockUser':
    case 'unblockUser':
      return { type, user: userId(fields.user, 'user') };
    default:
      return parseOwnAccountCommand(fields) ?? parseGroupCommand(fields);
  }
}

function parseGroupCommand(fields: Fields): Command {
  const { type } = fields;
  switch (type) {
    case 'changeGroup':
      return {
        type,
        conversation: groupId(fields.conversation),
        settings: groupSettings(objectFields(fields.settings)),
      };
    case 'muteMember': {
      const [member, until] = [userId(fields.member, 'member'), wholeNumber(fields.until, 'until')];
      return { type, conversation: groupId(fields.conversation), member, until };
    }
    case 'requestToJoin': {
      const greeting = anyText(fields.greeting ?? '', 'greeting', limits.MAX_GREETING_CHARS);
      return { type, conversation: groupId(fields.conversation), greeting };
    }
    case 'declineJoin':
      return { type, conversation: groupId(fields.conversation), member: userId(fields.member, 'member') };
    case 'joinGroup': {
      const invite = fields.invite === undefined ? {} : { invite: inviteOf(fields.invite) };
      return { type, conversation: groupId(fields.conversation), ...invite };
    }
    case 'createInvite':
      return {
        type,
        conversation: groupId(fields.conversation),
        invite: inviteOf(fields.invite),
        expiresAt: wholeNumber(fields.expiresAt ?? 0, 'expiresAt'),
        maxUses: wholeNumber(fields.maxUses ?? 0, 'maxUses'),
      };
    case 'revokeInvite':
      return { type, conversation: groupId(fields.conversation), invite: inviteOf(fields.invite) };
    default:
      throw bad('no command of this type');
  }
}

function groupSettings(fields: Fields): Partial<GroupSettings> {
  const { description, avatar, announcement, joinPolicy, newcomersSee, mutedAll } = fields;
  const settings = {
    ...(description !== undefined && { description: anyText(description, 'description', limits.MAX_GROUP_TEXT_CHARS) }),
    ...(avatar !== undefined && { avatar: anyText(avatar, 'avatar', limits.MAX_AVATAR_CHARS) }),
    ...(announcement !== undefined && {
      announcement: anyText(announcement, 'announcement', limits.MAX_GROUP_TEXT_CHARS),
    }),
    ...(joinPolicy !== undefined && { joinPolicy: oneOf(joinPolicy, 'joinPolicy', ['closed', 'approval', 'open']) }),
    ...(newcomersSee !== undefined && { newcomersSee: oneOf(newcomersSee, 'newcomersSee', ['nothing', 'everything']) }),
    ...(mutedAll !== undefined && { mutedAll: oneOf(mutedAll, 'mutedAll', [true, false]) }),
  };
  if (Object.keys(settings).length === 0) throw bad('`settings` names no setting');
  return settings;
}

function inviteOf(value: unknown): string {
  if (typeof value !== 'string' || value.length < limits.MIN_INVITE_CHARS || value.length > limits.MAX_INVITE_CHARS) {
    throw bad(`\`invite\` must be a string of ${limits.MIN_INVITE_CHARS} to ${limits.MAX_INVITE_CHARS} characters`);
  }
  return value;
}

/** @throws RookeryError BAD_REQUEST, BAD_ID */
export function parseQuery(query: Fields): Query {
  switch (query.type) {
    case 'conversation':
      return { type: 'conversation', conversation: conversationId(query.conversation) };
    case 'conversations':
      return {
        type: 'conversations',
        ...(query.archived !== undefined && { archived: isTrue(query.archived, 'archived') }),
        ...cursorOf(query),
        ...limitOf(query),
      };
    case 'changes':
      return { type: 'changes', since: wholeNumber(query.since, 'since'), ...cursorOf(query), ...limitOf(query) };
    case 'preferences':
      return { type: 'preferences', about: query.about === '' ? '' : conversationId(query.about) };
    case 'search':
      return { type: 'search', words: text(query.words, 'words', limits.MAX_SEARCH_CHARS), ...filtersOf(query) };
    case 'history':
      return {
        type: 'history',
        conversation: conversationId(query.conversation),
        ...placeOf(query),
        ...limitOf(query),
      };
    case 'contacts':
      return { type: 'contacts', ...cursorOf(query), ...limitOf(query) };
    case 'account':
    case 'devices':
      return { type: query.type };
    case 'profiles':
    case 'presence':
      return { type: query.type, users: userIds(query.users, 'users', limits.MAX_ASKED_USERS) };
    case 'edits':
      return {
        type: 'edits',
        conversation: conversationId(query.conversation),
        n: wholeNumber(query.n, 'n'),
        ...(query.before !== undefined && { before: wholeNumber(query.before, 'before') }),
        ...limitOf(query),
      };
    case 'members':
      return {
        type: 'members',
        conversation: conversationId(query.conversation),
        ...cursorOf(query),
        ...limitOf(query),
      };
    case 'receipts':
      return { type: 'receipts', conversation: conversationId(query.conversation), n: wholeNumber(query.n, 'n') };
    default:
      throw bad('no query of this type');
  }
}

const HISTORY_PLACES = ['before', 'after', 'around', 'since'] as const;

function placeOf(query: Fields): { readonly [Place in (typeof HISTORY_PLACES)[number]]?: number } {
  const [place, another] = HISTORY_PLACES.filter((name) => query[name] !== undefined);
  if (another) throw bad(`at most one of ${HISTORY_PLACES.map((name) => `\`${name}\``).join(', ')}`);
  return place ? { [place]: wholeNumber(query[place], place) } : {};
}

function filtersOf(query: Fields): Omit<Extract<Query, { type: 'search' }>, 'type' | 'words'> {
  const { conversation, by, since, until } = query;
  return {
    ...(conversation !== undefined && { conversation: conversationId(conversation) }),
    ...(by !== undefined && { by: userId(by, 'by') }),
    ...(since !== undefined && { since: wholeNumber(since, 'since') }),
    ...(until !== undefined && { until: wholeNumber(until, 'until') }),
    ...cursorOf(query),
    ...limitOf(query),
  };
}

const cursorOf = ({ cursor }: Fields): { readonly cursor?: string } =>
  cursor === undefined ? {} : { cursor: text(cursor, 'cursor', MAX_CURSOR_CHARS) };

const reachedOf = ({ reached }: Fields): { readonly reached?: string } =>
  reached === undefined ? {} : { reached: text(reached, 'reached', MAX_CURSOR_CHARS) };

function limitOf({ limit }: Fields): { readonly limit?: number } {
  if (limit === undefined) return {};
  const size = wholeNumber(limit, 'limit');
  if (size < 1 || size > limits.MAX_PAGE_ENTRIES) throw bad(`\`limit\` must be 1 to ${limits.MAX_PAGE_ENTRIES}`);
  return { limit: size };
}

function objectFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RookeryError('BAD_FRAME', 'an object was expected');
  }
  return value as Fields;
}

function requestId(fields: Fields): number {
  if (!Number.isSafeInteger(fields.id)) throw bad('`id` must be a whole number');
  return fields.id as number;
}

function wholeNumber(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw bad(`\`${name}\` must be a whole number from 0`);
  return value as number;
}

function text(value: unknown, name: string, maxChars: number): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > maxChars) {
    throw bad(`\`${name}\` must be a string of 1 to ${maxChars} characters`);
  }
  // Half a surrogate pair has no UTF-8 form: others would read something else.
  if (utf8Length(value) < 0) throw bad(`\`${name}\` is not well-formed Unicode`);
  return value;
}

const groupName = (value: unknown): string => fitName(text(value, 'name', limits.MAX_GROUP_NAME_CHARS), 'name');

const role = (value: unknown): Role => oneOf(value, 'role', ['owner', 'admin', 'member']);

function oneOf<const Value>(value: unknown, name: string, values: readonly Value[]): Value {
  if (!values.includes(value as Value)) throw bad(`\`${name}\` must be one of ${values.join(', ')}`);
  return value as Value;
}

const isTrue = (value: unknown, name: string): true => oneOf(value, name, [true]);

/** As `text`, and the empty string. */
const anyText = (value: unknown, name: string, maxChars: number): string =>
  value === '' ? '' : text(value, name, maxChars);

const notAnId = (name: string): RookeryError =>
  new RookeryError('BAD_ID', `\`${name}\` must be an id: 1 to 128 bytes of UTF-8`);

function required<Id>(id: Id | undefined, name: string): Id {
  if (id === undefined) throw notAnId(name);
  return id;
}

const messageId = (value: unknown): ClientMsgId => required(parseClientMsgId(value), 'target');
const clientMsgId = (value: unknown): ClientMsgId => required(parseClientMsgId(value), 'clientMsgId');
const userId = (value: unknown, name: string): UserId => required(parseUserId(value), name);
const deviceId = (value: unknown): DeviceId => required(parseDeviceId(value), 'device');
const groupId = (value: unknown): ConversationId => required(parseGroupId(value), 'conversation');
function conversationId(value: unknown): ConversationId {
  const id = parseConversationId(value);
  if (id === undefined && typeof value === 'string' && value.startsWith('direct:')) {
    throw new RookeryError('BAD_ID', '`conversation` is not the canonical id of a direct conversation: use `to`');
  }
  return required(id, 'conversation');
}

function userIds(value: unknown, name: string, max: number): readonly UserId[] {
  if (!Array.isArray(value) || value.length > max) throw bad(`\`${name}\` must be a list of at most ${max} user ids`);
  return value.map((item) => userId(item, name));
}
