/** A conversation's state as bytes: between worker and gateway, and in the worker's state file. */

import type { Conversation, Role, Roster } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';
import { packr } from './messagepack.ts';

interface PackedRoster {
  readonly kind: Roster['kind'];
  readonly name: string;
  readonly members: readonly (readonly [UserId, Role])[];
  readonly blockers: readonly UserId[];
  readonly dissolved: boolean;
}

export function encodeRoster({ kind, name, members, blockers, dissolved }: Roster): Uint8Array {
  const packed: PackedRoster = { kind, name, members: [...members], blockers: [...blockers], dissolved };
  return packr.pack(packed);
}

export function decodeRoster(data: Uint8Array): Roster {
  const { kind, name, members, blockers, dissolved } = packr.unpack(data) as PackedRoster;
  return { kind, name, members: new Map(members), blockers: new Set(blockers), dissolved };
}

/** A view (ports/conversation-views.ts), as a worker tells it to a gateway. */
interface PackedView {
  readonly conversation: Conversation;
  readonly statePos: number;
  readonly seenAt?: number;
}

export function encodeView({ conversation, statePos, seenAt }: PackedView): Uint8Array {
  const { id, lastIndex, roster } = conversation;
  return packr.pack([id, lastIndex, statePos, encodeRoster(roster), seenAt ?? null]);
}

export function decodeView(data: Uint8Array): PackedView {
  const [id, lastIndex, statePos, roster, seenAt] = packr.unpack(data) as [
    ConversationId,
    number,
    number,
    Uint8Array,
    number | null,
  ];
  const view = { conversation: { id, lastIndex, roster: decodeRoster(roster) }, statePos };
  return seenAt === null ? view : { ...view, seenAt };
}

/** What a gateway asks: a conversation, and whether an event it is about to append stands there already. */
export const encodeViewRequest = (id: ConversationId, by?: UserId, msgId?: ClientMsgId): Uint8Array =>
  packr.pack([id, by ?? null, msgId ?? null]);

export const decodeViewRequest = (data: Uint8Array): [ConversationId, UserId | null, ClientMsgId | null] =>
  packr.unpack(data) as [ConversationId, UserId | null, ClientMsgId | null];
