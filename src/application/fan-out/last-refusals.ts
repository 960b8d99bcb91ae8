/** What a lane has refused lately and why: told to who has no inbox to read it from. Lost with the process. */
import type { ConversationId } from '../../domain/ids.ts';
import type { Stored } from '../../ports/conversation-views.ts';
import type { Refused } from '../../projections/fan-out.ts';

/** Events, some hundred bytes each; the oldest are forgotten. Who asks does so within seconds. */
const MAX_REFUSALS = 10_000;

interface Refusal extends Stored {
  readonly conversation: ConversationId;
  readonly code: Refused['code'];
}

export class LastRefusals {
  /** By position, in the order in which they were refused. */
  readonly #kept = new Map<number, Refusal>();

  keep(refused: readonly Refused[]): void {
    for (const { logged, code } of refused) {
      const { pos, conversation, event } = logged;
      this.#kept.delete(pos);
      this.#kept.set(pos, { pos, conversation, by: event.by, id: event.id, code });
      for (const oldest of this.#kept.keys()) {
        if (this.#kept.size <= MAX_REFUSALS) break;
        this.#kept.delete(oldest);
      }
    }
  }

  /** By all of it: a log that has lost its end gives its positions anew. */
  codeOf(conversation: ConversationId, { by, id, pos }: Stored): Refused['code'] | undefined {
    const found = this.#kept.get(pos);
    return found?.conversation === conversation && found.by === by && found.id === id ? found.code : undefined;
  }
}
