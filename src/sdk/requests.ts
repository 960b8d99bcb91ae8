/** What a client wants of the server, as it waits in the outbox and in the storage. */
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
