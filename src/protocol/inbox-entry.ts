/** What stands in an inbox, and in a timeline. Part of the wire, as frames.ts. */
import type { GroupSettings, MessageContent, MessageRef, Preferences, Role } from '../domain/conversation.ts';
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';
import type { ErrorCode } from './error-codes.ts';

/**
 * One thing in a user's inbox. `pos` is the position in the log of the conversation, `at` the log's time in milliseconds
 * since 1970, `by` who caused it, `id` their clientMsgId. Entries of the timeline carry their gapless index `n`.
 */
interface EntryBase {
  readonly pos: number;
  readonly at: number;
  readonly by: UserId;
  readonly id: ClientMsgId;
}
interface TimelineEntry extends EntryBase {
  readonly n: number;
}
export type Entry =
  | (TimelineEntry & { readonly type: 'message' } & MessageContent)
  | (TimelineEntry & { readonly type: 'groupCreated'; readonly name: string; readonly members: readonly UserId[] })
  | (TimelineEntry & { readonly type: 'membersAdded' | 'membersRemoved'; readonly members: readonly UserId[] })
  | (TimelineEntry & { readonly type: 'memberLeft' | 'groupDissolved' })
  | (TimelineEntry & { readonly type: 'roleChanged'; readonly member: UserId; readonly role: Role })
  | (TimelineEntry & { readonly type: 'groupRenamed'; readonly name: string })
  | (TimelineEntry & { readonly type: 'groupChanged'; readonly settings: Partial<GroupSettings> })
  | (TimelineEntry & { readonly type: 'memberMuted'; readonly member: UserId; readonly until: number })
  | (TimelineEntry & { readonly type: 'memberJoined' })
  /** What is shown of an earlier message from now on; who may not see that one gets no such entry. */
  | (EntryBase & { readonly type: 'messageEdited'; readonly target: MessageRef } & MessageContent)
  | (EntryBase & { readonly type: 'messageRecalled'; readonly target: MessageRef })
  /** For owner and admins, the first two also for whom they concern. */
  | (EntryBase & { readonly type: 'joinRequested'; readonly greeting: string })
  | (EntryBase & { readonly type: 'joinDeclined'; readonly member: UserId })
  | (EntryBase & {
      readonly type: 'inviteCreated';
      readonly invite: string;
      readonly expiresAt: number;
      readonly maxUses: number;
    })
  | (EntryBase & { readonly type: 'inviteRevoked'; readonly invite: string })
  | (EntryBase & { readonly type: 'contactRequested'; readonly greeting: string })
  | (EntryBase & { readonly type: 'contactDeclined' | 'contactRemoved' })
  | (EntryBase & {
      readonly type: 'preferencesChanged';
      readonly about: ConversationId | '';
      readonly preferences: Preferences;
    })
  | (EntryBase & { readonly type: 'userBlocked' | 'userUnblocked' })
  | (EntryBase & { readonly type: 'conversationRead' | 'conversationDelivered'; readonly upTo: number })
  /** Returned to sender: what stood at `pos` was refused by the fold. */
  | (EntryBase & { readonly type: 'rejected'; readonly code: ErrorCode })
  /** A retry that came after JetStream's duplicate window: the message stands at `original` already, `pos` counts for nothing. */
  | (EntryBase & { readonly type: 'duplicate'; readonly original: number });
