/** What a user asks for and changes, whichever way it comes in: one door before conversations, people and the past. */
import type { ClientMsgId, UserId } from '../../domain/ids.ts';
import type { Appended } from '../../ports/conversation-log.ts';
import { isOwnAccountCommand } from '../../protocol/account-frames.ts';
import type { Command, Query, QueryResult } from '../../protocol/frames.ts';
import type { Conversations } from './conversations.ts';
import type { People } from './people.ts';
import type { PresenceWatch } from './presence.ts';
import type { Reading } from './reading.ts';

export interface RequestParts {
  readonly conversations: Conversations;
  readonly people: People;
  readonly reading: Reading;
  readonly presence: Pick<PresenceWatch, 'of'>;
}

export class Requests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @throws RookeryError any code of docs/ERRORS.md that a command may end with */
  command(user: UserId, id: ClientMsgId, command: Command): Promise<Appended> {
    const { conversations, people } = this.#parts;
    return isOwnAccountCommand(command) ? people.command(user, id, command) : conversations.command(user, id, command);
  }

  /**
   * @param reached of a resync
   * @throws RookeryError NOT_FOUND also for what is not the user's to see, READ_MODEL_UNAVAILABLE
   */
  answer(user: UserId, query: Query, reached?: string): Promise<QueryResult> {
    const { conversations, people, reading } = this.#parts;
    switch (query.type) {
      case 'account':
        return people.own(user);
      case 'devices':
        return people.devices(user);
      case 'presence':
        return this.#parts.presence.of(user, query.users);
      case 'profiles':
        return people.profiles(query.users);
      case 'conversation':
        return conversations.view(user, query.conversation);
      default:
        return reading.answer(user, query, reached);
    }
  }
}
