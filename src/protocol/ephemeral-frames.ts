/** Frames about what passes: told to devices that are connected, kept nowhere. Pinned with frames.ts. */
import type { ConversationId, UserId } from '../domain/ids.ts';
import type { OwnAccount } from './account-frames.ts';

/** The user is writing something. Exactly one of `conversation` and `to` (the other user of a direct conversation). No answer. */
export interface WritingFrame {
  readonly t: 'typing';
  readonly conversation?: ConversationId;
  readonly to?: UserId;
}

/** A member is writing something: to be shown for `forMs` milliseconds from now, unless a message of theirs comes before. */
export interface TypingFrame {
  readonly t: 'typing';
  readonly conversation: ConversationId;
  readonly user: UserId;
  readonly forMs: number;
}

/** The user's own account has changed, at `pos` of the log of people (`done.pos` of the command that did it). */
export interface AccountFrame {
  readonly t: 'account';
  readonly pos: number;
  readonly account: OwnAccount;
}
