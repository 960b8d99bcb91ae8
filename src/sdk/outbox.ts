/** What waits to be acked, in the order of sending. */
import type { MessageContent } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';
import type { Command } from '../protocol/frames.ts';

export type Address = { readonly conversation: ConversationId } | { readonly to: UserId };

export type Request =
  | { readonly t: 'send'; readonly address: Address; readonly content: MessageContent }
  | { readonly t: 'command'; readonly command: Command };

export interface OutboxEntry {
  /** Grows with the order of sending; the key in a storage. */
  readonly key: string;
  readonly clientMsgId: ClientMsgId;
  readonly request: Request;
}

/** What must not be overtaken by what: requests with the same lane go out one after the other. */
export function laneOf(request: Request): string {
  if (request.t === 'send')
    return 'to' in request.address ? `u${request.address.to}` : `c${request.address.conversation}`;
  return 'user' in request.command ? `u${request.command.user}` : `c${request.command.conversation}`;
}

export const outboxKey = (number: number): string => number.toString(36).padStart(11, '0');
export const numberOfKey = (key: string): number => Number.parseInt(key, 36);
