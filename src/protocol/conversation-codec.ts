/** A conversation's state as bytes: between worker and gateway, and in the worker's state file. */

import type { Conversation, GroupSettings, RefusalCode, Role, Roster } from '../domain/conversation.ts';
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

/** Up to so many members a view has all of them. */
const MAX_WHOLE_MEMBERS = 500;
/** Of a larger group it has so many at least: whether somebody else is there decides whether an owner may leave. */
const MIN_MEMBERS = 2;

/** The roster of a group that many speak in is asked for again and again: encoded once. */
const encodedRosters = new WeakMap<Roster, Uint8Array>();

function encodedRoster(roster: Roster): Uint8Array {
  let encoded = encodedRosters.get(roster);
  if (!encoded) encodedRosters.set(roster, (encoded = encodeRoster(roster)));
  return encoded;
}

/** Of a large group the part that a decision about `about` needs: a view must fit into one message, and cost little. */
function partOfRoster(roster: Roster, { about, members: wanted = 0 }: Asked): Roster {
  const members = new Map<UserId, Role>();
  for (const user of about) {
    const role = roster.members.get(user);
    if (role !== undefined) members.set(user, role);
  }
  for (const [user, role] of roster.members) {
    if (members.size >= Math.min(wanted, MAX_WHOLE_MEMBERS) + about.length + MIN_MEMBERS) break;
    members.set(user, role);
  }
  const only = <Value>(of: ReadonlyMap<UserId, Value>): ReadonlyMap<UserId, Value> =>
    new Map([...of].filter(([user]) => members.has(user)));
  return { ...roster, members, joined: only(roster.joined), muted: only(roster.muted) };
}

export function encodeView({ conversation, statePos, seenAt }: FoldedView, asked: Asked): Uint8Array {
  const { id, lastIndex, roster } = conversation;
  const { size } = roster.members;
  const isPartial = size > MAX_WHOLE_MEMBERS;
  const part = isPartial ? encodeRoster(partOfRoster(roster, asked)) : encodedRoster(roster);
  return packr.pack([id, lastIndex, statePos, part, seenAt ?? null, size, isPartial]);
}

export function decodeView(data: Uint8Array): View {
  const [id, lastIndex, statePos, roster, seenAt, memberCount, isPartial] = packr.unpack(data) as [
    ConversationId,
    number,
    number,
    Uint8Array,
    number | null,
    number,
    boolean,
  ];
  const conversation = { id, lastIndex, roster: decodeRoster(roster) };
  return { conversation, memberCount, isPartial, statePos, ...(seenAt !== null && { seenAt }) };
}

/** Views as ports/conversation-views.ts has them. */
interface FoldedView {
  readonly conversation: Conversation;
  readonly statePos: number;
  readonly seenAt?: number;
}
interface View extends FoldedView {
  readonly memberCount: number;
  readonly isPartial: boolean;
}

interface Asked {
  readonly about: readonly UserId[];
  readonly members?: number;
}

type Verdict =
  | { readonly type: 'accepted' | 'forgotten' }
  | { readonly type: 'duplicate'; readonly original: number }
  | { readonly type: 'refused'; readonly code: RefusalCode | 'MESSAGE_ID_EXPIRED' };

export const encodeVerdict = (verdict: Verdict | undefined): Uint8Array => packr.pack({ verdict: verdict ?? null });

/** A worker of an older version answers with a view: then there is no verdict. */
export const decodeVerdict = (data: Uint8Array): Verdict | undefined =>
  (packr.unpack(data) as { verdict?: Verdict | null }).verdict ?? undefined;

/**
 * What a gateway asks: a conversation, and what the log has already of an event it is about to append; or, with `stored`,
 * what the fold has made of an event that was appended.
 */
export interface ViewRequest extends Asked {
  readonly conversation: ConversationId;
  /** Milliseconds since 1970: nobody waits for the answer any more. */
  readonly until: number;
  readonly intended?: { readonly by: UserId; readonly id: ClientMsgId };
  readonly stored?: { readonly by: UserId; readonly id: ClientMsgId; readonly pos: number };
}

export const encodeViewRequest = (request: ViewRequest): Uint8Array => packr.pack(request);
export const decodeViewRequest = (data: Uint8Array): ViewRequest => packr.unpack(data) as ViewRequest;
