/**
 * One connection for all tabs of a user in this browser. A lock makes one tab the leader: it runs the hub; the others ask it
 * over a channel and hear what it hears. When it is gone the lock passes on, and the next leader is asked again what the last
 * one has not answered: each request carries its id, so what was done already is not done twice.
 */
import type { Status } from '../../sdk/index.ts';
import { type Ask, AskError, type Hub, type News, type Refusal, refusalOf } from './link.ts';

/** Questions a tab has open; one more is refused. */
export const MAX_OPEN_ASKS = 512;

type Word =
  | { readonly t: 'ask'; readonly id: string; readonly ask: Ask }
  | { readonly t: 'answer'; readonly id: string; readonly result?: unknown; readonly refusal?: Refusal }
  | { readonly t: 'news'; readonly news: News }
  /** Who leads begins; who has just opened wants to know how things stand. */
  | { readonly t: 'leading' }
  | { readonly t: 'here' }
  | { readonly t: 'watch'; readonly on: boolean };

interface Open {
  readonly ask: Ask;
  readonly answered: (result: unknown, refusal: Refusal | undefined) => void;
}

/** The part of BroadcastChannel and navigator.locks that is used. */
export interface TabPorts {
  readonly channel: Pick<BroadcastChannel, 'postMessage' | 'close'> & {
    onmessage: ((event: MessageEvent) => void) | null;
  };
  readonly locks: Pick<LockManager, 'request'>;
  readonly name: string;
  readonly startHub: (tell: (news: News) => void) => Promise<Hub>;
}

export class Tabs {
  readonly #ports: TabPorts;
  readonly #open = new Map<string, Open>();
  readonly #listeners = new Set<(news: News) => void>();
  readonly #release = new AbortController();
  #hub: Hub | undefined;
  #closed: (() => void) | undefined;
  #isWatching = false;
  status: Status = { phase: 'connecting' };

  constructor(ports: TabPorts) {
    this.#ports = ports;
    ports.channel.onmessage = ({ data }) => this.#heard(data as Word);
  }

  get isLeader(): boolean {
    return this.#hub !== undefined;
  }

  on(listener: (news: News) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Until `close`: leads as soon as nobody else does. @param failed the hub could not be started */
  start(failed: (error: unknown) => void): void {
    this.#say({ t: 'here' });
    const { locks, name } = this.#ports;
    const leading = async (): Promise<void> => {
      const hub = await this.#ports.startHub((news) => this.#tell(news));
      if (this.#release.signal.aborted) return hub.close();
      this.#lead(hub);
      await new Promise<void>((resolve) => (this.#closed = resolve));
      await hub.close();
    };
    locks.request(name, { signal: this.#release.signal }, leading).catch((error: unknown) => {
      if (!this.#release.signal.aborted) failed(error);
    });
  }

  /** @throws AskError with the code of the refusal */
  ask<Result>(ask: Ask): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#open.size >= MAX_OPEN_ASKS) {
        return reject(new AskError({ code: 'OUTBOX_FULL', message: 'too many questions wait for their answer' }));
      }
      const id = crypto.randomUUID();
      const answered: Open['answered'] = (result, refusal) =>
        refusal ? reject(new AskError(refusal)) : resolve(result as Result);
      this.#open.set(id, { ask, answered });
      this.#put(id, ask);
    });
  }

  /** To all tabs of this user, this one among them. */
  tellAll(news: News): void {
    this.#tell(news);
  }

  watchFrames(on: boolean): void {
    this.#isWatching = on;
    this.#hub?.watchFrames(on);
    this.#say({ t: 'watch', on });
  }

  async close(): Promise<void> {
    this.#release.abort();
    this.#closed?.();
    this.#ports.channel.close();
  }

  #lead(hub: Hub): void {
    this.#hub = hub;
    if (this.#isWatching) hub.watchFrames(true);
    this.#tell({ type: 'status', status: hub.status });
    this.#say({ t: 'leading' });
    for (const [id, { ask }] of this.#open) this.#put(id, ask);
  }

  #put(id: string, ask: Ask): void {
    if (!this.#hub) return this.#say({ t: 'ask', id, ask });
    this.#hub.perform(ask).then(
      (result) => this.#answer(id, result, undefined),
      (error: unknown) => this.#answer(id, undefined, refusalOf(error)),
    );
  }

  #answer(id: string, result: unknown, refusal: Refusal | undefined): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.answered(result, refusal);
  }

  #heard(word: Word): void {
    switch (word.t) {
      case 'news':
        return this.#hear(word.news);
      case 'answer':
        return this.#answer(word.id, word.result, word.refusal);
      case 'leading':
        for (const [id, { ask }] of this.#open) this.#say({ t: 'ask', id, ask });
        if (this.#isWatching) this.#say({ t: 'watch', on: true });
        return;
      case 'here':
        if (this.#hub) this.#say({ t: 'news', news: { type: 'status', status: this.#hub.status } });
        return;
      case 'watch':
        if (word.on || !this.#isWatching) this.#hub?.watchFrames(word.on);
        return;
      case 'ask':
        this.#perform(word.id, word.ask);
    }
  }

  #perform(id: string, ask: Ask): void {
    this.#hub?.perform(ask).then(
      (result) => this.#say({ t: 'answer', id, result }),
      (error: unknown) => this.#say({ t: 'answer', id, refusal: refusalOf(error) }),
    );
  }

  #tell(news: News): void {
    this.#say({ t: 'news', news });
    this.#hear(news);
  }

  #hear(news: News): void {
    if (news.type === 'status') this.status = news.status;
    for (const listener of this.#listeners) listener(news);
  }

  #say(word: Word): void {
    if (!this.#release.signal.aborted) this.#ports.channel.postMessage(word);
  }
}
