/**
 * What a tab says to the one connection of all its user's tabs, and what it hears from it. All of it can go from tab to tab.
 */
import type { Command, Query } from '../../protocol/frames.ts';
import type {
  ChangedConversation,
  ConversationId,
  Entry,
  MessageContent,
  OwnAccount,
  SeenUser,
  Status,
  Target,
  UserId,
} from '../../sdk/index.ts';
import type { Ending } from '../model/outgoing.ts';

export type Ask =
  /** Answered when it is in the outbox; how it ends comes as news. */
  | { readonly type: 'send'; readonly target: Target; readonly content: MessageContent; readonly clientMsgId: string }
  /** Answered when the log has it. */
  | { readonly type: 'command'; readonly command: Command; readonly clientMsgId: string }
  | { readonly type: 'query'; readonly query: Query }
  /** Whom a tab shows from now on, and nobody else: answered when the server has heard of it. */
  | { readonly type: 'watch'; readonly tab: string; readonly users: readonly UserId[] }
  /** The person is writing: told as often as one likes, and of no use later. */
  | { readonly type: 'typing'; readonly target: Target };

export type News =
  | { readonly type: 'entry'; readonly conversation: ConversationId; readonly entry: Entry }
  /** As it is now, where a device was away for too long to be told of it by entries. */
  | { readonly type: 'changed'; readonly changed: ChangedConversation }
  /** The device had nothing to go on from: of the list its first page alone was told. */
  | { readonly type: 'begun anew' }
  | { readonly type: 'typing'; readonly conversation: ConversationId; readonly user: UserId; readonly forMs: number }
  /** Of people whom some tab shows. */
  | { readonly type: 'presence'; readonly presence: readonly SeenUser[] }
  | { readonly type: 'account'; readonly account: OwnAccount }
  /** How far the server's clock is ahead of ours: milliseconds. */
  | { readonly type: 'clock'; readonly aheadMs: number }
  | { readonly type: 'status'; readonly status: Status }
  | { readonly type: 'ended'; readonly clientMsgId: string; readonly ending: Ending }
  /** A tab has written it. */
  | { readonly type: 'outgoing'; readonly clientMsgId: string }
  /** A frame, without its token: told while somebody looks at the wire. */
  | {
      readonly type: 'frame';
      readonly direction: 'in' | 'out';
      readonly at: number;
      readonly frame: { readonly t: string };
    };

/** A refusal as it goes from tab to tab: an error would lose its code. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export class AskError extends Error {
  readonly code: string;

  constructor({ code, message }: Refusal) {
    super(message);
    this.name = 'AskError';
    this.code = code;
  }
}

export function refusalOf(error: unknown): Refusal {
  const { code, message } = error as Partial<Refusal>;
  return { code: typeof code === 'string' ? code : 'INTERNAL', message: message ?? String(error) };
}

/** Who does what tabs ask: the tab that holds the connection, for all. */
export interface Hub {
  readonly status: Status;
  perform(ask: Ask): Promise<unknown>;
  /** How many look at the wire. */
  watchFrames(on: boolean): void;
  close(): Promise<void>;
}
