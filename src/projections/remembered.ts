/** What a window has accepted, by id: the same one from two senders is rare, so that no key need be made of all three. */
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';
import type { SeenEvent } from '../ports/fan-out-state.ts';

export class Remembered {
  readonly #byId = new Map<ClientMsgId, SeenEvent>();
  /** Further ones of an id, by all that tells them apart. */
  readonly #others = new Map<string, SeenEvent>();

  get(conversation: ConversationId, by: UserId, id: ClientMsgId): SeenEvent | undefined {
    const event = this.#byId.get(id);
    return event === undefined || isOf(event, conversation, by) ? event : this.#others.get(keyOf(conversation, by, id));
  }

  put(event: SeenEvent): void {
    const { conversation, by, id } = event;
    const first = this.#byId.get(id);
    if (first === undefined || isOf(first, conversation, by)) this.#byId.set(id, event);
    else this.#others.set(keyOf(conversation, by, id), event);
  }

  /** Nearly in the order of the log, as their times are: where they are written neighbours meet the same page. */
  all(): SeenEvent[] {
    return [...this.#byId.values(), ...this.#others.values()];
  }
}

const isOf = (event: SeenEvent, conversation: ConversationId, by: UserId): boolean =>
  event.conversation === conversation && event.by === by;

/** NUL may stand in an id, so the lengths of the first parts keep the three apart from all others. */
const keyOf = (conversation: ConversationId, by: UserId, id: ClientMsgId): string =>
  `${conversation.length}:${by.length}:${conversation}${by}${id}`;
