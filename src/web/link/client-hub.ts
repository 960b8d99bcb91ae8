/** The hub on a real connection: the SDK's client, with outbox and cursor in IndexedDB, and what comes goes into the cache. */

import type { ClientFrame, CursorFrame, ServerFrame } from '../../protocol/frames.ts';
import { type Client, createClient, IndexedDbStorage, type Status } from '../../sdk/index.ts';
import type { Cache } from '../cache/cache.ts';
import type { Outgoing } from '../model/outgoing.ts';
import { type Ask, type Hub, type News, refusalOf } from './link.ts';
import { Watched } from './watched.ts';

export interface HubOptions {
  readonly url: string;
  readonly device: string;
  /** What its user may know it by at first. */
  readonly deviceName: string;
  readonly token: () => Promise<string>;
  /** Name of the database of outbox and cursor. */
  readonly storage: string;
  readonly cache: Cache;
  readonly tell: (news: News) => void;
}

export async function startClientHub(options: HubOptions): Promise<Hub> {
  const { url, device, token, cache } = options;
  const storage = await IndexedDbStorage.open(options.storage);
  const about = { agent: 'rookery-web/1', deviceKind: 'web', deviceName: options.deviceName } as const;
  const client = await createClient({ url, device, token, storage, sync: 'recent', ...about });
  const hub = new ClientHub(client, options);
  await hub.sendAgain(await cache.outgoing());
  client.start();
  return hub;
}

class ClientHub implements Hub {
  readonly #client: Client;
  readonly #tell: (news: News) => void;
  readonly #watched = new Watched();
  #isWatched = false;
  /** The newest that has come. */
  #cursor: CursorFrame | undefined;
  /** Messages whose end this run has promised to tell. */
  readonly #sending = new Set<string>();

  constructor(client: Client, { cache, tell }: HubOptions) {
    this.#client = client;
    this.#tell = tell;
    client.on('status', (status) => {
      const { serverTimeMs } = client;
      if (serverTimeMs !== undefined) tell({ type: 'clock', aheadMs: serverTimeMs - Date.now() });
      tell({ type: 'status', status });
    });
    client.on('changed', async (changed) => {
      await cache.changed(changed);
      tell({ type: 'changed', changed });
    });
    client.on('synced', ({ more }) => {
      if (more !== undefined) tell({ type: 'begun anew' });
    });
    client.on('frame', (direction, frame) => this.#passed(direction, frame));
    client.on('typing', (conversation, { user, forMs }) => tell({ type: 'typing', conversation, user, forMs }));
    client.on('presence', (presence) => tell({ type: 'presence', presence }));
    client.on('account', (account) => tell({ type: 'account', account }));
    client.on('entry', (conversation, entry) => {
      const kept = cache.keep(conversation, entry);
      tell({ type: 'entry', conversation, entry });
      return kept;
    });
    client.on('rejected', (_conversation, { clientMsgId, code }) => {
      tell({ type: 'ended', clientMsgId, ending: { code, message: 'refused in the order of the log' } });
    });
  }

  get status(): Status {
    return this.#client.status;
  }

  /** What a tab wrote and the outbox has not: its tab, or the one that had the connection, died in between. */
  async sendAgain(outgoing: readonly Outgoing[]): Promise<void> {
    const waiting = new Set<string>(this.#client.waiting);
    const lost = outgoing.filter(({ state, clientMsgId }) => state === 'pending' && !waiting.has(clientMsgId));
    for (const message of lost.sort((a, b) => a.at - b.at)) this.#send({ ...message, type: 'send' });
  }

  async perform(ask: Ask): Promise<unknown> {
    switch (ask.type) {
      case 'send':
        return this.#send(ask);
      case 'command':
        return (await this.#client.command(ask.command, ask.clientMsgId).durable).pos;
      case 'query':
        return this.#client.query(ask.query);
      case 'typing':
        return this.#client.typing(ask.target);
      case 'watch':
        return this.#client.watch(this.#watched.shows(ask.tab, ask.users));
    }
  }

  watchFrames(on: boolean): void {
    this.#isWatched = on;
    if (on && this.#cursor) this.#passed('in', this.#cursor);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #passed(direction: 'in' | 'out', frame: ClientFrame | ServerFrame): void {
    if (frame.t === 'cursor') this.#cursor = frame;
    if (!this.#isWatched) return;
    const shown = frame.t === 'hello' ? { ...frame, token: '…' } : frame;
    this.#tell({ type: 'frame', direction, at: Date.now(), frame: shown });
  }

  /** Asked twice (another tab leads now, and asks again what it asked the last one) it is sent once. */
  #send({ target, content, clientMsgId }: Extract<Ask, { type: 'send' }>): void {
    if (this.#sending.has(clientMsgId)) return;
    this.#sending.add(clientMsgId);
    this.#client.send(target, content, clientMsgId).durable.then(
      ({ pos, at }) => this.#ended(clientMsgId, { pos, ...(at !== undefined && { at }) }),
      (error: unknown) => this.#ended(clientMsgId, refusalOf(error)),
    );
  }

  #ended(clientMsgId: string, ending: Extract<News, { type: 'ended' }>['ending']): void {
    this.#sending.delete(clientMsgId);
    this.#tell({ type: 'ended', clientMsgId, ending });
  }
}
