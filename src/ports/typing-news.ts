/** Tells every gateway, this one too, who is writing. Kept nowhere: what is lost is not missed. */
import type { ConversationId, UserId } from '../domain/ids.ts';

export interface Writing {
  readonly conversation: ConversationId;
  readonly user: UserId;
  /** Who is to see it; in bounds. */
  readonly to: readonly UserId[];
}

export interface TypingNews {
  /** Without a connection nothing: it would come when it is true no more. */
  announce(writing: Writing): void;
  onAnnounced(heard: (writing: Writing) => void): void;
}
