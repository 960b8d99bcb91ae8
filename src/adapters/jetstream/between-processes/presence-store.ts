/**
 * The KV bucket `presence`: `users.<p>.<user>` and `gateways.<name>`. Followed by one consumer a gateway: whoever writes an entry has
 * told everybody by that, also one that dies right after it.
 */
import { JetStreamApiError, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import { parseUserId, type UserId } from '../../../domain/ids.ts';
import type { Online } from '../../../domain/online.ts';
import type { Log } from '../../../ports/log.ts';
import type { PresenceNews, PresenceStore, StoredOnline } from '../../../ports/presence-store.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { idOfToken, partitionOfToken, tokenOf } from '../../../protocol/subjects.ts';
import { StreamTail } from '../messages/stream-tail.ts';
import { infoOf } from '../streams/stream-info.ts';

const BUCKET = 'presence';
const STREAM = `KV_${BUCKET}`;
const PREFIX = `$KV.${BUCKET}.`;
/** `err_code` of the server. */
const WRONG_LAST_SEQUENCE = 10_071;

interface Changed {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
}

export interface PresenceStoreParts {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly log: Log;
}

export class JetstreamPresenceStore implements PresenceStore {
  readonly #kv: KV;
  readonly #parts: PresenceStoreParts;

  /** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
  static async open(parts: PresenceStoreParts): Promise<JetstreamPresenceStore> {
    await infoOf(parts.jsm, STREAM, 0);
    return new JetstreamPresenceStore(await new Kvm(parts.js).open(BUCKET), parts);
  }

  private constructor(kv: KV, parts: PresenceStoreParts) {
    this.#kv = kv;
    this.#parts = parts;
  }

  async read(user: UserId): Promise<StoredOnline> {
    const entry = await available(() => this.#kv.get(keyOf(user)));
    return entry ? { online: decode(entry.value), revision: entry.revision } : { online: [], revision: 0 };
  }

  async write(user: UserId, online: Online, revision: number): Promise<number | undefined> {
    return available(async () => {
      try {
        return await this.#kv.put(keyOf(user), JSON.stringify(online), { previousSeq: revision });
      } catch (error) {
        if (error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE) return undefined;
        throw error;
      }
    });
  }

  async beat(gateway: string, at: number): Promise<void> {
    await available(() => this.#kv.put(`gateways.${gateway}`, String(at)));
  }

  async lastBeat(gateway: string): Promise<number | undefined> {
    const entry = await available(() => this.#kv.get(`gateways.${gateway}`));
    return entry?.operation === 'PUT' ? Number(entry.string()) : undefined;
  }

  async forgetGateways(before: number): Promise<void> {
    await available(async () => {
      const names: string[] = [];
      for await (const key of await this.#kv.keys('gateways.*')) names.push(key.slice('gateways.'.length));
      for (const name of names) {
        if (((await this.lastBeat(name)) ?? before) < before) await this.#kv.purge(`gateways.${name}`);
      }
    });
  }

  async follow(news: PresenceNews, onLost: (reason: string) => void): Promise<{ stop(): Promise<void> }> {
    const { nc, js, jsm, log } = this.#parts;
    const { epoch, lastSeq } = await this.#info();
    const tail = new StreamTail<Changed>({
      ...{ nc, js, jsm, log, name: STREAM, epoch, fromSeq: lastSeq + 1, hasHoles: true, onLost },
      read: ({ subject, seq, data }) => ({ subject, seq, data: new Uint8Array(data) }),
      info: (known) => this.#info(known),
      onMessages: (messages) => {
        for (const message of messages) tell(news, message);
      },
    });
    await tail.open();
    return tail;
  }

  async #info(known = 0) {
    const { created, state } = await infoOf(this.#parts.jsm, STREAM, known);
    return { epoch: String(created), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
  }
}

/** What is empty was taken away. */
function tell(news: PresenceNews, { subject, seq, data }: Changed): void {
  const [kind, first = '', token = ''] = subject.slice(PREFIX.length).split('.');
  if (kind === 'gateways' && data.length > 0) return news.onBeat(first, Number(new TextDecoder().decode(data)), seq);
  const user = kind === 'users' ? userOf(token) : undefined;
  if (user) news.onUser(user, seq, () => decode(data));
}

const decode = (data: Uint8Array): Online => (data.length === 0 ? [] : JSON.parse(new TextDecoder().decode(data)));

/** KV keys know no `~`; `=` is in none of our tokens. */
function keyOf(user: UserId): string {
  const token = tokenOf(user);
  return `users.${partitionOfToken(token)}.${token.replaceAll('~', '=')}`;
}

function userOf(token: string): UserId | undefined {
  try {
    return parseUserId(idOfToken(token.replaceAll('=', '~')));
  } catch {
    return undefined;
  }
}

async function available<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof RookeryError) throw cause;
    throw new RookeryError('LOG_UNAVAILABLE', 'no answer about who is online', { cause, retryAfterMs: 500 });
  }
}
