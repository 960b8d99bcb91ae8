/** What could not be processed, kept with its reason. */
import type { UnreadableEvent } from './conversation-log.ts';

export interface DeadLetters {
  /** Stores the letter once, however often it is given. Resolves when it is durable. @throws RookeryError LOG_UNAVAILABLE */
  put(worker: string, stream: string, letter: UnreadableEvent): Promise<void>;
}
