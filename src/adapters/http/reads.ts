/** Each query of docs/PROTOCOL.md as a path: its fields come from path and query string, its answer is the query's own. */
import { type TProperties, Type } from 'typebox';
import type { Scope } from '../../ports/api-keys.ts';
import type { Query } from '../../protocol/frames.ts';
import { MAX_ASKED_USERS, MAX_PAGE_ENTRIES } from '../../protocol/limits.ts';

export interface Read {
  readonly path: string;
  readonly scope: Scope;
  readonly summary: string;
  readonly querystring?: TProperties;
  /** Fields of the query that may be left out here. */
  readonly defaults?: Record<string, unknown>;
}

const optionalNumber = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }));
const optionalText = (description: string) => Type.Optional(Type.String({ description }));
const limit = optionalNumber(`entries of a page, 1 to ${MAX_PAGE_ENTRIES}; 50 where it is left out`);
const page = { cursor: optionalText('of the page before this one'), limit };
const scope = 'conversations:read';
const ofUser = '/v1/users/:user';
const ofConversation = `${ofUser}/conversations/:conversation`;

/** A new query must be given its path here. */
export const reads: { readonly [Type in Query['type']]: Read } = {
  conversations: {
    path: `${ofUser}/conversations`,
    scope,
    summary: 'The conversation list, newest first, with last message and unread',
    querystring: { archived: Type.Optional(Type.Boolean({ description: 'those in the archive' })), ...page },
  },
  changes: {
    path: `${ofUser}/changes`,
    scope,
    summary: 'The conversations that have changed since a time',
    querystring: { since: Type.Integer({ minimum: 0, description: 'milliseconds since 1970' }), ...page },
  },
  conversation: {
    path: ofConversation,
    scope,
    summary: 'A conversation as its user sees it: members, roles, settings',
  },
  history: {
    path: `${ofConversation}/messages`,
    scope,
    summary: 'A page of history: the newest, or by at most one of the places',
    querystring: {
      before: optionalNumber('index'),
      after: optionalNumber('index'),
      around: optionalNumber('index'),
      since: optionalNumber('milliseconds since 1970'),
      limit,
    },
  },
  edits: {
    path: `${ofConversation}/messages/:n/edits`,
    scope,
    summary: 'What a message said before it was edited',
    querystring: { before: optionalNumber('position'), limit },
  },
  receipts: { path: `${ofConversation}/messages/:n/receipts`, scope, summary: 'Who has read a message' },
  members: {
    path: `${ofConversation}/members`,
    scope,
    summary: 'The members of a group, a page at a time',
    querystring: page,
  },
  search: {
    path: `${ofUser}/search`,
    scope,
    summary: 'Full-text search over what the user may see',
    querystring: {
      words: Type.String({ description: 'all must occur' }),
      conversation: optionalText('only in this one'),
      by: optionalText('only of this sender'),
      since: optionalNumber('milliseconds since 1970'),
      until: optionalNumber('milliseconds since 1970'),
      ...page,
    },
  },
  contacts: {
    path: `${ofUser}/contacts`,
    scope,
    summary: 'Whom the user knows, has asked, was asked by or has blocked',
    querystring: page,
  },
  preferences: {
    path: `${ofUser}/preferences`,
    scope,
    summary: 'What the user has set about a conversation, or about all',
    querystring: { about: optionalText('id of the conversation; all where it is left out') },
    defaults: { about: '' },
  },
  account: { path: `${ofUser}/account`, scope: 'accounts:read', summary: "The user's own account, with its settings" },
  presence: {
    path: `${ofUser}/presence`,
    scope: 'accounts:read',
    summary: 'Who of others is online, as far as the user may see it',
    querystring: {
      users: Type.Array(Type.String(), { maxItems: MAX_ASKED_USERS, description: 'ids: `users=alice&users=bob`' }),
    },
  },
  devices: { path: `${ofUser}/devices`, scope: 'accounts:read', summary: "The user's own devices" },
  profiles: {
    path: `${ofUser}/profiles`,
    scope: 'accounts:read',
    summary: 'What everybody may see of users; who has no account is left out',
    querystring: {
      users: Type.Array(Type.String(), { maxItems: MAX_ASKED_USERS, description: 'ids: `users=alice&users=bob`' }),
    },
  },
};
