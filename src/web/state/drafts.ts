/**
 * What was typed and not sent: kept here with each key, so that nothing that happens to the tab loses it, and on the server
 * when one turns away, so that one's other devices have it.
 */
import { signal } from '@preact/signals';
import type { ConversationId, UserId } from '../../sdk/index.ts';

/** The server takes no longer one. */
const MAX_DRAFT_CHARS = 8_192;

/** How drafts get to one's other devices, and from them. */
export interface DraftPorts {
  readonly me: UserId;
  /** What the server has. */
  kept(conversation: ConversationId): string;
  /** @returns whether the server has it now */
  keep(conversation: ConversationId, draft: string): Promise<boolean>;
}

export class Drafts {
  readonly #ports: DraftPorts;
  readonly #texts = signal<ReadonlyMap<ConversationId, string>>(new Map());

  constructor(ports: DraftPorts) {
    this.#ports = ports;
    const prefix = this.#key('' as ConversationId);
    const texts = new Map<ConversationId, string>();
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(prefix))
        texts.set(key.slice(prefix.length) as ConversationId, localStorage.getItem(key) ?? '');
    }
    this.#texts.value = texts;
  }

  /** What was typed here last, or else on another device. */
  of(conversation: ConversationId): string {
    return this.#texts.value.get(conversation) ?? this.#ports.kept(conversation);
  }

  type(conversation: ConversationId, text: string): void {
    this.#texts.value = new Map(this.#texts.peek()).set(conversation, text);
    localStorage.setItem(this.#key(conversation), text);
  }

  /** One turns to something else, or has sent it. */
  leave(conversation: ConversationId): void {
    const text = this.#texts.peek().get(conversation);
    if (text === undefined) return;
    const draft = text.slice(0, MAX_DRAFT_CHARS);
    const isSame = draft === this.#ports.kept(conversation);
    const forget = (): void => {
      if (this.#texts.peek().get(conversation) !== text) return;
      const texts = new Map(this.#texts.peek());
      texts.delete(conversation);
      this.#texts.value = texts;
      localStorage.removeItem(this.#key(conversation));
    };
    if (isSame) return forget();
    void this.#ports.keep(conversation, draft).then((isKept) => isKept && forget());
  }

  #key(conversation: ConversationId): string {
    return `rookery:draft:${this.#ports.me}:${conversation}`;
  }
}
