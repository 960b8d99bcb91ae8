/** What is being written in a conversation: something new, an answer, or a message that is changed. */
import { computed, signal } from '@preact/signals';
import type { MessageContent, Target, UserId } from '../../sdk/index.ts';
import { mentionsIn } from '../model/markup.ts';
import type { Message } from '../model/timeline.ts';
import type { App } from './app.ts';
import type { OpenConversation } from './conversation.ts';

const MAX_BODY_BYTES = 65_536;
/** How far back the key for "my last one" looks. */
const MAX_LOOKED_BACK = 50;

export class Composing {
  readonly #app: App;
  readonly #open: OpenConversation;
  /** What has been typed over a message: of another one it means nothing. */
  readonly #edited = signal<{ readonly n: number; readonly text: string } | undefined>(undefined);
  readonly editing = computed(() => this.#messageAt(this.#open.editing.value));
  readonly answering = computed(() => this.#messageAt(this.#open.replyTo.value));
  readonly text = computed(() => this.#text());
  /** Bytes beyond what a message may have; 0 or less: it may be sent. */
  readonly over = computed(() => new TextEncoder().encode(this.text.value).length - MAX_BODY_BYTES);

  constructor(app: App, open: OpenConversation) {
    this.#app = app;
    this.#open = open;
  }

  get maySend(): boolean {
    return this.text.value.trim() !== '' && this.over.value <= 0;
  }

  type(text: string): void {
    const editing = this.editing.peek();
    if (editing) {
      this.#edited.value = { n: editing.n, text };
      return;
    }
    this.#app.drafts.type(this.#open.id, text);
    if (text !== '') this.#app.tabs.ask({ type: 'typing', target: this.#target }).catch(() => undefined);
  }

  /** One's own last message, if it is near. */
  editLast(): void {
    const { last } = this.#open.timeline;
    for (let n = last; n > Math.max(0, last - MAX_LOOKED_BACK); n--) {
      if (this.#messageAt(n)?.by !== this.#app.me) continue;
      this.#open.editing.value = n;
      return;
    }
  }

  cancel(): void {
    this.#edited.value = undefined;
    this.#open.editing.value = undefined;
    this.#open.replyTo.value = undefined;
  }

  send(): void {
    if (!this.maySend) return;
    const open = this.#open;
    const editing = this.editing.peek();
    const words = this.text.peek().trim();
    const people = this.#app.peopleIn(open.id);
    if (editing) {
      const content = changed(editing, words, people);
      void this.#app.command({ type: 'editMessage', conversation: open.id, target: editing.id, ...content });
      return this.cancel();
    }
    const content = contentOf(words, people, open.replyTo.peek());
    void this.#app.sending.send(open.id, this.#target, content);
    this.type('');
    this.leave();
    open.replyTo.value = undefined;
    open.atEnd.value += 1;
  }

  /** One turns to something else. */
  leave(): void {
    this.#app.drafts.leave(this.#open.id);
  }

  #text(): string {
    const editing = this.editing.value;
    if (!editing) return this.#app.drafts.of(this.#open.id);
    const edited = this.#edited.value;
    return edited?.n === editing.n ? edited.text : new TextDecoder().decode(editing.body);
  }

  get #target(): Target {
    const peer = this.#app.peerOf(this.#open.id);
    return peer === undefined ? { conversation: this.#open.id } : { to: peer };
  }

  #messageAt(n: number | undefined): Message | undefined {
    this.#open.version.value;
    const entry = n === undefined ? undefined : this.#open.timeline.at(n);
    return entry?.type === 'message' && !entry.recalled ? entry : undefined;
  }
}

function contentOf(words: string, users: readonly UserId[], replyTo: number | undefined): MessageContent {
  const { mentions, mentionsAll } = mentionsIn(words, users);
  return {
    contentType: 'text/plain',
    body: new TextEncoder().encode(words),
    ...(mentions.length > 0 && { mentions: mentions as UserId[] }),
    ...(mentionsAll && { mentionsAll: true as const }),
    ...(replyTo !== undefined && { replyTo }),
  };
}

/** An edit takes the place of the whole content: what is not typed (what it answers, whom it named) stays as it was. */
function changed(message: Message, words: string, users: readonly UserId[]): MessageContent {
  const typed = contentOf(words, users, message.replyTo);
  const before = mentionsIn(new TextDecoder().decode(message.body), users);
  const untyped = (message.mentions ?? []).filter((user) => !before.mentions.includes(user));
  const mentions = [...new Set([...(typed.mentions ?? []), ...untyped])];
  const isForAll = typed.mentionsAll || (message.mentionsAll && !before.mentionsAll);
  return {
    ...typed,
    ...(mentions.length > 0 && { mentions }),
    ...(isForAll && { mentionsAll: true as const }),
  };
}
