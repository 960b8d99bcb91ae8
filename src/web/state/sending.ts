/** What this user's tabs have on its way: written to the disk first, then sent; shown until the timeline has it. */
import { signal } from '@preact/signals';
import type { ConversationId, Entry, MessageContent, Target, UserId } from '../../sdk/index.ts';
import type { Cache } from '../cache/cache.ts';
import type { News } from '../link/link.ts';
import type { Tabs } from '../link/tabs.ts';
import { again, ended, isRefusal, type Outgoing } from '../model/outgoing.ts';
import { newId } from './new-id.ts';

export class Sending {
  readonly all = signal<ReadonlyMap<string, Outgoing>>(new Map());
  readonly #tabs: Tabs;
  readonly #cache: Cache;

  constructor(tabs: Tabs, cache: Cache) {
    this.#tabs = tabs;
    this.#cache = cache;
  }

  async load(): Promise<void> {
    const kept = await this.#cache.outgoing();
    this.all.value = new Map(kept.map((outgoing) => [outgoing.clientMsgId, outgoing]));
  }

  /** In the order they were written. */
  of(conversation: ConversationId): Outgoing[] {
    return [...this.all.value.values()].filter((outgoing) => outgoing.conversation === conversation);
  }

  async send(conversation: ConversationId, target: Target, content: MessageContent): Promise<void> {
    const outgoing: Outgoing = {
      clientMsgId: newId(),
      conversation,
      target,
      content,
      at: Date.now(),
      state: 'pending',
    };
    this.#put(outgoing);
    await this.#cache.putOutgoing(outgoing);
    await this.#pass(outgoing);
  }

  /** What was refused, once more. However often and in how many tabs it is pressed, it is one message. */
  async retry(clientMsgId: string): Promise<void> {
    const next = await this.#cache.replaceOutgoing(clientMsgId, (outgoing) => again(outgoing, newId(), Date.now()));
    if (!next) return;
    this.#drop(clientMsgId);
    this.#put(next);
    this.#tabs.tellAll({ type: 'outgoing', clientMsgId });
    await this.#pass(next);
  }

  async discard(clientMsgId: string): Promise<void> {
    this.#drop(clientMsgId);
    await this.#cache.deleteOutgoing(clientMsgId);
    this.#tabs.tellAll({ type: 'outgoing', clientMsgId });
  }

  heard(news: Extract<News, { type: 'ended' | 'outgoing' }>): void {
    if (news.type === 'outgoing') {
      this.#look(news.clientMsgId).catch(() => undefined);
      return;
    }
    const outgoing = this.all.peek().get(news.clientMsgId);
    if (!outgoing) return;
    const now = ended(outgoing, news.ending);
    this.#put(now);
    // What has only been sent is dropped when it arrives: until then it stands there as it was.
    if (isRefusal(news.ending)) this.#cache.putOutgoing(now).catch(() => undefined);
  }

  /** The timeline has it, or this user's inbox says that it never will. */
  arrived(entry: Entry, me: UserId): void {
    if (entry.by !== me || entry.type !== 'message' || !this.all.peek().has(entry.id)) return;
    this.#drop(entry.id);
    this.#cache.deleteOutgoing(entry.id).catch(() => undefined);
  }

  async #pass({ clientMsgId, target, content }: Outgoing): Promise<void> {
    this.#tabs.tellAll({ type: 'outgoing', clientMsgId });
    await this.#tabs.ask({ type: 'send', target, content, clientMsgId });
  }

  /** Another tab has written it, or taken it away. */
  async #look(clientMsgId: string): Promise<void> {
    const outgoing = await this.#cache.outgoingOf(clientMsgId);
    if (!outgoing) this.#drop(clientMsgId);
    else if (!this.all.peek().has(clientMsgId)) this.#put(outgoing);
  }

  #put(outgoing: Outgoing): void {
    this.all.value = new Map(this.all.peek()).set(outgoing.clientMsgId, outgoing);
  }

  #drop(clientMsgId: string): void {
    if (!this.all.peek().has(clientMsgId)) return;
    const now = new Map(this.all.peek());
    now.delete(clientMsgId);
    this.all.value = now;
  }
}
