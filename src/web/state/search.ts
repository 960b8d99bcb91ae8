/** What is searched for, and found so far. */
import { signal } from '@preact/signals';
import type { ConversationId, SearchHit, SearchPage } from '../../sdk/index.ts';
import type { Tabs } from '../link/tabs.ts';

const PAGE = 30;

export class Search {
  readonly words = signal('');
  readonly found = signal<{ readonly hits: readonly SearchHit[]; readonly cursor?: string } | undefined>(undefined);
  readonly refusal = signal<string | undefined>(undefined);
  readonly #tabs: Tabs;
  #question = 0;

  constructor(tabs: Tabs) {
    this.#tabs = tabs;
  }

  /** From the newest on. @param conversation the only one to look in; default: all */
  async find(conversation: ConversationId | undefined): Promise<void> {
    this.#question += 1;
    this.found.value = undefined;
    if (this.words.peek().trim() !== '') await this.#ask(conversation, undefined);
  }

  async more(conversation: ConversationId | undefined): Promise<void> {
    const cursor = this.found.peek()?.cursor;
    if (cursor !== undefined) await this.#ask(conversation, cursor);
  }

  async #ask(conversation: ConversationId | undefined, cursor: string | undefined): Promise<void> {
    const question = this.#question;
    const query = {
      type: 'search' as const,
      words: this.words.peek().trim(),
      limit: PAGE,
      ...(conversation !== undefined && { conversation }),
      ...(cursor !== undefined && { cursor }),
    };
    try {
      const page = await this.#tabs.ask<SearchPage>({ type: 'query', query });
      // Something else is asked by now.
      if (question !== this.#question) return;
      const before = cursor === undefined ? [] : (this.found.peek()?.hits ?? []);
      this.found.value = { ...page, hits: [...before, ...page.hits] };
      this.refusal.value = undefined;
    } catch (error) {
      this.refusal.value = (error as { code?: string }).code ?? 'INTERNAL';
    }
  }
}
