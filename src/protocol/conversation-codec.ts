/** A conversation's state as bytes: between worker and gateway, and in the worker's state file. */
import { Packr } from 'msgpackr';
import type { Conversation, Role, Roster } from '../domain/conversation.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';

const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

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

/** A conversation with the position of its last state event (0 for none), as a worker tells a gateway. */
export function encodeView(conversation: Conversation, statePos: number): Uint8Array {
  return packr.pack([conversation.id, conversation.lastIndex, statePos, encodeRoster(conversation.roster)]);
}

export function decodeView(data: Uint8Array): { conversation: Conversation; statePos: number } {
  const [id, lastIndex, statePos, roster] = packr.unpack(data) as [ConversationId, number, number, Uint8Array];
  return { conversation: { id, lastIndex, roster: decodeRoster(roster) }, statePos };
}
