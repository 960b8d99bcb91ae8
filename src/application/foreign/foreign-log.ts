/**
 * What other messengers leave, as events of ours: accounts, groups, members, messages, with the times they had and ids that follow
 * from theirs. So the same export gives the same events, and imported a second time it changes nothing.
 */
import {
  type AccountEvent,
  type AccountKind,
  evolveAccount,
  initialAccount,
  type ProfileChanges,
} from '../../domain/account.ts';
import { type ConversationEvent, hasIndex, partOf } from '../../domain/conversation.ts';
import {
  type ClientMsgId,
  type ConversationId,
  directConversationId,
  parseClientMsgId,
  parseConversationId,
  parseUserId,
  type UserId,
} from '../../domain/ids.ts';
import { cutWhole, fittedName } from '../../domain/names.ts';
import type { StoredRecord } from '../../ports/archive.ts';
import { encodeAccountEvent } from '../../protocol/account-event.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import {
  DEFAULT_MAX_BODY_BYTES,
  MAX_AVATAR_CHARS,
  MAX_GROUP_NAME_CHARS,
  MAX_GROUP_TEXT_CHARS,
  MAX_MEMBERS_PER_COMMAND,
  MAX_MENTIONS,
  MAX_PROFILE_FIELD_CHARS,
  MAX_PROFILE_NAME_CHARS,
} from '../../protocol/limits.ts';
import { encodeLogEvent } from '../../protocol/log-event.ts';
import { conversationSubject, messageIdOf, userMessageIdOf, userSubject } from '../../protocol/subjects.ts';
import type { ForeignReport } from './report.ts';

/** An edit counts within the horizon of ids; a later one is dated to its end. */
const EDITED_WITHIN_MS = 24 * 3_600_000 - 1;
/** Of a conversation: messages that a later one can answer. Of the newest so many it is known which index they have. */
const MAX_REMEMBERED = 200_000;

const utf8 = new TextEncoder();

export interface ForeignMessage {
  /** Theirs, unique in the conversation. */
  readonly id: string;
  readonly by: UserId;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
  readonly mentions?: readonly UserId[];
  readonly mentionsAll?: boolean;
  /** Theirs of the message this one answers. */
  readonly answers?: string;
  /** Milliseconds since 1970: its text is that of the last edit. */
  readonly editedAt?: number;
}

export interface ForeignPerson {
  readonly user: UserId;
  readonly kind: AccountKind;
  readonly name: string;
  readonly avatar?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly deactivated?: boolean;
}

/** @throws RookeryError BAD_ID: such an id cannot be */
export function foreignUser(source: string, id: string | number): UserId {
  const user = parseUserId(`${source}-${id}`);
  if (!user) throw new RookeryError('BAD_ID', `${source}: ${String(id).slice(0, 64)} cannot be part of an id`);
  return user;
}

/** @throws as `foreignUser` */
export function foreignGroup(source: string, id: string | number): ConversationId {
  const group = parseConversationId(`${source}-${id}`);
  if (!group) throw new RookeryError('BAD_ID', `${source}: ${String(id).slice(0, 64)} cannot be part of an id`);
  return group;
}

const foreignId = (source: string, id: string): ClientMsgId => {
  const parsed = parseClientMsgId(`${source}-${id}`);
  if (!parsed) throw new RookeryError('BAD_ID', `${source}: ${id.slice(0, 64)} cannot be part of an id`);
  return parsed;
};

export function* personRecords(source: string, person: ForeignPerson, at: number): Generator<StoredRecord> {
  const { user, kind, name, avatar = '', fields = {}, deactivated } = person;
  const profile: ProfileChanges = {
    name: fittedName(name, MAX_PROFILE_NAME_CHARS),
    ...(avatar !== '' && avatar.length <= MAX_AVATAR_CHARS && { avatar }),
    fields: Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, cutWhole(value, MAX_PROFILE_FIELD_CHARS)]),
    ),
  };
  const by = 'backend';
  const events: AccountEvent[] = [{ type: 'accountCreated', by, id: foreignId(source, 'created'), kind, profile }];
  if (deactivated) events.push({ type: 'accountDeactivated', by, id: foreignId(source, 'deactivated') });
  let account = initialAccount(user);
  for (const event of events) {
    account = evolveAccount(account, event);
    yield {
      ...{ seq: 0, at, headers: [], subject: userSubject(user, 'account') },
      messageId: userMessageIdOf(user, 'account', event.by, event.id),
      data: encodeAccountEvent(event, account),
    };
  }
}

/** One conversation as it is told, event after event: what is told last may refer to what was told before by its foreign id. */
export class ForeignConversation {
  readonly id: ConversationId;
  readonly #source: string;
  readonly #report: ForeignReport;
  /** Index of a message by its foreign id. */
  readonly #indexes = new Map<string, number>();
  #lastIndex = 0;
  #owner: UserId | undefined;

  constructor(source: string, id: ConversationId, report: ForeignReport) {
    this.#source = source;
    this.id = id;
    this.#report = report;
  }

  static direct(source: string, one: UserId, other: UserId, report: ForeignReport): ForeignConversation {
    return new ForeignConversation(source, directConversationId(one, other), report);
  }

  /** @param members whoever was ever in it: nobody else may have spoken; the first one is its owner */
  *founded(
    name: string,
    members: readonly UserId[],
    at: number,
    about: { readonly description?: string; readonly announcement?: string } = {},
  ): Generator<StoredRecord> {
    const [owner, ...others] = members;
    if (!owner) return;
    this.#owner = owner;
    const first = others.slice(0, MAX_MEMBERS_PER_COMMAND);
    const id = (what: string): ClientMsgId => foreignId(this.#source, what);
    const title = fittedName(name, MAX_GROUP_NAME_CHARS) || cutWhole(this.id, MAX_GROUP_NAME_CHARS);
    yield this.#record({ type: 'groupCreated', by: owner, id: id('created'), name: title, members: first }, at);
    for (let i = first.length, part = 1; i < others.length; i += MAX_MEMBERS_PER_COMMAND, part++) {
      const more = others.slice(i, i + MAX_MEMBERS_PER_COMMAND);
      yield this.#record({ type: 'membersAdded', by: owner, id: id(`members-${part}`), members: more }, at);
    }
    const { description = '', announcement = '' } = about;
    const settings = {
      ...(description !== '' && { description: cutWhole(description, MAX_GROUP_TEXT_CHARS) }),
      ...(announcement !== '' && { announcement: cutWhole(announcement, MAX_GROUP_TEXT_CHARS) }),
    };
    if (Object.keys(settings).length === 0) return;
    yield this.#record({ type: 'groupChanged', by: owner, id: id('settings'), settings }, at);
  }

  *said(message: ForeignMessage): Generator<StoredRecord> {
    const { by, at, editedAt, answers } = message;
    const id = foreignId(this.#source, message.id);
    const replyTo = answers === undefined ? undefined : this.#indexes.get(answers);
    if (answers !== undefined && replyTo === undefined)
      this.#report.lost('answer to a message that is not there', this.id);
    const content = {
      contentType: 'text/plain',
      body: this.#body(message.text),
      ...(replyTo !== undefined && { replyTo }),
      ...(message.mentions?.length && { mentions: [...new Set(message.mentions)].slice(0, MAX_MENTIONS) }),
      ...(message.mentionsAll && { mentionsAll: true as const }),
    };
    yield this.#record({ type: 'messageSent', by, id, ...content }, at);
    this.#report.mapped('messages');
    this.#remember(message.id);
    if (editedAt === undefined || editedAt <= at) return;
    if (this.#report.isTooLate(editedAt, 'edit', `${this.id} ${message.id}`)) return;
    // Right behind the message: the fold knows it surely then. What it was before nobody has kept.
    const edit = {
      type: 'messageEdited',
      by,
      id: foreignId(this.#source, `${message.id}-edited`),
      target: { by, id },
    } as const;
    yield this.#record({ ...edit, ...content }, Math.min(editedAt, at + EDITED_WITHIN_MS));
    this.#report.mapped('edits');
  }

  /** Who is in it no more: they have spoken, so they were. */
  *left(members: readonly UserId[], at: number): Generator<StoredRecord> {
    const gone = members.filter((member) => member !== this.#owner);
    for (let i = 0, part = 0; i < gone.length && this.#owner; i += MAX_MEMBERS_PER_COMMAND, part++) {
      const some = gone.slice(i, i + MAX_MEMBERS_PER_COMMAND);
      const id = foreignId(this.#source, `left-${part}`);
      yield this.#record({ type: 'membersRemoved', by: this.#owner, id, members: some }, at);
    }
  }

  #body(text: string): Uint8Array {
    const body = utf8.encode(text);
    if (body.length <= DEFAULT_MAX_BODY_BYTES) return body;
    this.#report.lost('end of a message beyond 64 KiB', this.id);
    // The longest beginning that is whole characters: a byte that goes on with one is none to end before.
    let end = DEFAULT_MAX_BODY_BYTES;
    while (((body[end] ?? 0) & 0xc0) === 0x80) end -= 1;
    return body.slice(0, end);
  }

  #remember(id: string): void {
    this.#indexes.set(id, this.#lastIndex);
    if (this.#indexes.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#indexes.keys()) {
      this.#indexes.delete(oldest);
      break;
    }
  }

  #record(event: ConversationEvent, at: number): StoredRecord {
    if (hasIndex(event)) this.#lastIndex += 1;
    return {
      ...{ seq: 0, at, headers: [], subject: conversationSubject(this.id, partOf(event)) },
      messageId: messageIdOf(this.id, event.by, event.id),
      data: encodeLogEvent(event),
    };
  }
}
