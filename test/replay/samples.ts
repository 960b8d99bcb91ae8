/** One event of each kind that the version of today can write, with every field it may have. */
import { type AccountEvent, evolveAccount, initialAccount } from '../../src/domain/account.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { encodeAccountEvent, encodePasswordEvent } from '../../src/protocol/account-event.ts';
import { encodeBlockEvent, encodeLogEvent } from '../../src/protocol/log-event.ts';
import { bytes, conversation, device as deviceId, msgId, user } from '../support/given.ts';

const by = user('alice');
const id = msgId('0190b3a2-7d3c-7f3a-9d3c-0190b3a27d3c');
const bob = user('陈晨');
const target = { by: bob, id: msgId('m1') };
const content = {
  contentType: 'text/plain',
  body: bytes('rook 鸦'),
  keyId: 'key-1',
  replyTo: 4,
  mentions: [bob],
  mentionsAll: true,
  expiresAt: 1_700_000_000_000,
} as const;
const settings = {
  description: 'd',
  avatar: 'a',
  announcement: 'n',
  joinPolicy: 'approval',
  newcomersSee: 'everything',
  mutedAll: true,
} as const;
const preferences = {
  pinned: true,
  archived: false,
  hidden: true,
  markedUnread: true,
  mutedUntil: -1,
  draft: 'I meant',
  remark: 'Bobby',
  labels: ['family'],
};

type Kinds<Event extends { readonly type: string }> = {
  readonly [Type in Event['type']]: Extract<Event, { type: Type }>;
};

/** A kind that is missing here is an error of types. */
const CONVERSATION: Kinds<ConversationEvent> = {
  messageSent: { type: 'messageSent', by, id, contactsOnly: true, ...content },
  messageEdited: { type: 'messageEdited', by, id, contactsOnly: true, target, ...content },
  messageRecalled: { type: 'messageRecalled', by, id, target },
  groupCreated: { type: 'groupCreated', by, id, name: 'Team', members: [bob] },
  membersAdded: { type: 'membersAdded', by, id, members: [bob] },
  membersRemoved: { type: 'membersRemoved', by, id, members: [bob] },
  memberJoined: { type: 'memberJoined', by, id, invite: 'a-secret-of-16-chars' },
  memberLeft: { type: 'memberLeft', by, id },
  roleChanged: { type: 'roleChanged', by, id, member: bob, role: 'admin' },
  memberMuted: { type: 'memberMuted', by, id, member: bob, until: 1_700_000_000_000 },
  groupRenamed: { type: 'groupRenamed', by, id, name: 'Other' },
  groupChanged: { type: 'groupChanged', by, id, settings },
  groupDissolved: { type: 'groupDissolved', by, id },
  joinRequested: { type: 'joinRequested', by, id, greeting: 'let me in' },
  joinDeclined: { type: 'joinDeclined', by, id, member: bob },
  inviteCreated: { type: 'inviteCreated', by, id, invite: 'a-secret-of-16-chars', expiresAt: 0, maxUses: 3 },
  inviteRevoked: { type: 'inviteRevoked', by, id, invite: 'a-secret-of-16-chars' },
  contactRequested: { type: 'contactRequested', by, id, greeting: 'hello' },
  contactDeclined: { type: 'contactDeclined', by, id },
  contactRemoved: { type: 'contactRemoved', by, id },
  userBlocked: { type: 'userBlocked', by, id },
  userUnblocked: { type: 'userUnblocked', by, id },
  preferencesChanged: { type: 'preferencesChanged', by, id, about: conversation('team'), preferences },
  conversationRead: { type: 'conversationRead', by, id, upTo: 7 },
  conversationDelivered: { type: 'conversationDelivered', by, id, upTo: 7 },
};

const token = { id: 't', name: 'n', hash: 'h', createdAt: 1_700_000_000_000, expiresAt: 0 };
const parrot = deviceId('d 🦜');
const device = { device: deviceId('phone'), kind: 'phone', name: 'Pixel', addedAt: 1_700_000_000_000 } as const;
const ACCOUNT: Kinds<AccountEvent> = {
  accountCreated: {
    type: 'accountCreated',
    by: 'backend',
    id,
    kind: 'bot',
    profile: { name: 'A', fields: { a: 'b' } },
  },
  profileChanged: { type: 'profileChanged', by: 'user', id, profile: { avatar: 'x', fields: { a: null } } },
  settingsChanged: { type: 'settingsChanged', by: 'user', id, settings: { lastSeenFor: 'contacts' } },
  accountDeactivated: { type: 'accountDeactivated', by: 'backend', id },
  accountReactivated: { type: 'accountReactivated', by: 'backend', id },
  signedOut: { type: 'signedOut', by: 'user', id, before: 1_700_000_000_000 },
  botTokenAdded: { type: 'botTokenAdded', by: 'backend', id, token },
  botTokenRevoked: { type: 'botTokenRevoked', by: 'backend', id, token: 't' },
  deviceAdded: { type: 'deviceAdded', by: 'user', id, ...device, issuedAt: 1_700_000_000_000, forgets: parrot },
  deviceRenamed: { type: 'deviceRenamed', by: 'user', id, device: parrot, name: 'The old one' },
  deviceRevoked: { type: 'deviceRevoked', by: 'backend', id, device: parrot, before: 1_700_000_000_000 },
};

export interface Sample {
  readonly kind: string;
  readonly data: Uint8Array;
}

export const conversationSamples: readonly Sample[] = Object.values(CONVERSATION).map((event) => ({
  kind: event.type,
  data: encodeLogEvent(event),
}));

export const accountSamples: readonly Sample[] = [
  ...Object.values(ACCOUNT).map((event) => ({
    kind: event.type,
    data: encodeAccountEvent(event, evolveAccount(initialAccount(by), event)),
  })),
  { kind: 'passwordChanged', data: encodePasswordEvent(id, 'scrypt:hash') },
  { kind: 'userBlocked', data: encodeBlockEvent({ by, id, user: bob, blocked: true }) },
  { kind: 'userUnblocked', data: encodeBlockEvent({ by, id, user: bob, blocked: false }) },
];
