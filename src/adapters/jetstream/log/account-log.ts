/** Accounts and passwords in the stream USER: the newest event of a subject tells how things stand. */
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { type Account, type AccountEvent, initialAccount } from '../../../domain/account.ts';
import { type ClientMsgId, parseUserId, type UserId } from '../../../domain/ids.ts';
import type {
  AccountFollower,
  AccountLog,
  AccountNews,
  StoredAccount,
  StoredPassword,
} from '../../../ports/account-log.ts';
import type { Appended } from '../../../ports/conversation-log.ts';
import type { InboxStreamInfo } from '../../../ports/inbox-reader.ts';
import type { Log } from '../../../ports/log.ts';
import {
  decodeAccountEvent,
  decodePasswordEvent,
  encodeAccountEvent,
  encodePasswordEvent,
} from '../../../protocol/account-event.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { idOfToken, USER_STREAM, userMessageIdOf, userSubject } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { StreamTail } from '../messages/stream-tail.ts';
import { infoOf } from '../streams/stream-info.ts';
import type { JetstreamConversationLog } from './conversation-log.ts';

const READ_WITHIN_MS = 2_000;
/** `err_code` of the server. */
const NO_MESSAGE_FOUND = 10_037;
/** Last tokens of the subjects. */
const ACCOUNT = 'account';
const PASSWORD = 'password';

export class JetstreamAccountLog implements AccountLog {
  readonly #nc: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #appender: Pick<JetstreamConversationLog, 'appendAbout'>;

  constructor(
    { nc, jsm }: Pick<AccountFollowerParts, 'nc' | 'jsm'>,
    appender: Pick<JetstreamConversationLog, 'appendAbout'>,
  ) {
    this.#nc = nc;
    this.#jsm = jsm;
    this.#appender = appender;
  }

  async load(user: UserId): Promise<StoredAccount> {
    return accountIn(user, await this.#newest(user, ACCOUNT));
  }

  /** Of any replica, and past the queue of JetStream's API: a thousand devices may come in at once. */
  async read(user: UserId): Promise<StoredAccount> {
    const asked = this.#jsm.direct.getMessage(USER_STREAM, { last_by_subj: userSubject(user, ACCOUNT) });
    const message = await answered(USER_STREAM, asked);
    return accountIn(user, message ? { data: message.data, pos: message.seq } : undefined);
  }

  append(event: AccountEvent, after: Account, expectedPos: number): Promise<Appended> {
    const messageId = userMessageIdOf(after.user, ACCOUNT, event.by, event.id);
    const data = encodeAccountEvent(event, after);
    return this.#appender.appendAbout(after.user, { kind: ACCOUNT, messageId, data, expectedPos });
  }

  async password(user: UserId): Promise<StoredPassword | undefined> {
    const found = await this.#newest(user, PASSWORD);
    return found && { hash: decodePasswordEvent(found.data), pos: found.pos };
  }

  setPassword(user: UserId, id: ClientMsgId, hash: string, expectedPos: number): Promise<Appended> {
    const messageId = userMessageIdOf(user, PASSWORD, '', id);
    const data = encodePasswordEvent(id, hash);
    return this.#appender.appendAbout(user, { kind: PASSWORD, messageId, data, expectedPos });
  }

  /** Of the leader: a copy may be behind, and what it lacks is what is asked for. */
  async #newest(user: UserId, kind: string): Promise<Found | undefined> {
    const query = JSON.stringify({ last_by_subj: userSubject(user, kind) });
    const asked = this.#nc.request(`$JS.API.STREAM.MSG.GET.${USER_STREAM}`, query, { timeout: READ_WITHIN_MS });
    const { message, error } = (await answered(USER_STREAM, asked)).json<LastMessage>();
    if (message) return { data: Buffer.from(message.data ?? '', 'base64'), pos: message.seq };
    if (error?.err_code === NO_MESSAGE_FOUND) return undefined;
    throw new RookeryError('LOG_UNAVAILABLE', `${USER_STREAM}: ${error?.description}`);
  }
}

function accountIn(user: UserId, found: Found | undefined): StoredAccount {
  if (!found) return { account: initialAccount(user), pos: 0 };
  return { account: decodeAccountEvent(user, found.data).after, pos: found.pos };
}

interface Found {
  readonly data: Uint8Array;
  readonly pos: number;
}

interface LastMessage {
  readonly message?: { readonly seq: number; readonly data?: string };
  readonly error?: { readonly err_code: number; readonly description: string };
}

export interface AccountFollowerParts {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly log: Log;
}

export class JetstreamAccountFollower implements AccountFollower {
  readonly #parts: AccountFollowerParts;

  constructor(parts: AccountFollowerParts) {
    this.#parts = parts;
  }

  async follow(
    onNews: (news: AccountNews) => void,
    onLost: (reason: string) => void,
  ): Promise<{ stop(): Promise<void> }> {
    const { nc, js, jsm, log } = this.#parts;
    const { epoch, lastSeq } = await this.#info();
    const tail = new StreamTail<AccountNews | undefined>({
      ...{ nc, js, jsm, log, name: USER_STREAM, epoch, fromSeq: lastSeq + 1, onLost },
      read: ({ subject, seq, data }) => newsOf(subject, seq, data),
      info: (known) => this.#info(known),
      onMessages: (messages) => {
        for (const news of messages) if (news) onNews(news);
      },
    });
    await tail.open();
    return tail;
  }

  async #info(known = 0): Promise<InboxStreamInfo> {
    const { created, state } = await infoOf(this.#parts.jsm, USER_STREAM, known);
    return { epoch: String(created), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
  }
}

/** Undefined for what is of another kind, and for a subject that is none of ours. @param data a view into a shared buffer: copied */
function newsOf(subject: string, pos: number, data: Uint8Array): AccountNews | undefined {
  const [, , token = '', kind] = subject.split('.');
  const user = kind === ACCOUNT ? userOfToken(token) : undefined;
  if (!user) return undefined;
  const owned = new Uint8Array(data);
  const read = (): StoredAccount => {
    const { event, after } = decodeAccountEvent(user, owned);
    return { account: after, pos, cause: event.type };
  };
  return { user, pos, read };
}

function userOfToken(token: string): UserId | undefined {
  try {
    return parseUserId(idOfToken(token));
  } catch {
    return undefined;
  }
}
