/** A conversation's state as bytes: between worker and gateway, and in the worker's state file. */

import type { Conversation, GroupSettings, Role, Roster } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';
import { type Contact, DEFAULT_SETTINGS, type Invite } from '../domain/roster.ts';
import { packr } from './messagepack.ts';

interface PackedRoster {
  readonly kind: Roster['kind'];
  readonly name: string;
  readonly members: readonly (readonly [UserId, Role])[];
  readonly joined: readonly (readonly [UserId, number])[];
  readonly muted: readonly (readonly [UserId, number])[];
  /** What differs from the defaults. */
  readonly settings: Partial<GroupSettings>;
  readonly requests: readonly UserId[];
  readonly invites: readonly (readonly [string, Invite])[];
  readonly contact: Contact;
  readonly blockers: readonly UserId[];
  readonly dissolved: boolean;
}

export function encodeRoster(roster: Roster): Uint8Array {
  const { kind, name, members, joined, muted, settings, requests, invites, contact, blockers, dissolved } = roster;
  const packed: PackedRoster = {
    kind,
    name,
    members: [...members],
    joined: [...joined],
    muted: [...muted],
    settings: Object.fromEntries(
      Object.entries(settings).filter(([key, value]) => value !== DEFAULT_SETTINGS[key as keyof GroupSettings]),
    ),
    requests: [...requests],
    invites: [...invites],
    contact,
    blockers: [...blockers],
    dissolved,
  };
  return packr.pack(packed);
}

export function decodeRoster(data: Uint8Array): Roster {
  const packed = packr.unpack(data) as PackedRoster;
  return {
    kind: packed.kind,
    name: packed.name,
    members: new Map(packed.members),
    joined: new Map(packed.joined),
    muted: new Map(packed.muted),
    settings: { ...DEFAULT_SETTINGS, ...packed.settings },
    requests: new Set(packed.requests),
    invites: new Map(packed.invites),
    contact: packed.contact ?? { state: 'none' },
    blockers: new Set(packed.blockers),
    dissolved: packed.dissolved,
  };
}

export function encodeView({ conversation, statePos, seenAt }: View): Uint8Array {
  const { id, lastIndex, roster } = conversation;
  return packr.pack([id, lastIndex, statePos, encodeRoster(roster), seenAt ?? null]);
}

export function decodeView(data: Uint8Array): View {
  const [id, lastIndex, statePos, roster, seenAt] = packr.unpack(data) as [
    ConversationId,
    number,
    number,
    Uint8Array,
    number | null,
  ];
  return {
    conversation: { id, lastIndex, roster: decodeRoster(roster) },
    statePos,
    ...(seenAt !== null && { seenAt }),
  };
}

/** A view (ports/conversation-views.ts), as a worker tells it to a gateway. */
interface View {
  readonly conversation: Conversation;
  readonly statePos: number;
  readonly seenAt?: number;
}

/** What a gateway asks: a conversation, and what the log has already of an event it is about to append. */
export interface ViewRequest {
  readonly conversation: ConversationId;
  readonly intended?: { readonly by: UserId; readonly id: ClientMsgId };
}

export const encodeViewRequest = (request: ViewRequest): Uint8Array => packr.pack(request);
export const decodeViewRequest = (data: Uint8Array): ViewRequest => packr.unpack(data) as ViewRequest;
