/**
 * Slack's export: users.json, channels.json, groups.json, mpims.json, dms.json, and a folder a conversation with a file a day. A day is
 * read at a time, of all conversations: what happened is told in the order in which it happened.
 *
 * A channel's members are whoever ever spoke there or is a member now; who is none now leaves at the end. Slack tells joins and
 * leaves as messages, often not all of them, and a message of somebody who was no member would be refused.
 */
import type { ConversationId, UserId } from '../../domain/ids.ts';
import type { StoredRecord } from '../../ports/archive.ts';
import type { ForeignFiles } from '../../ports/foreign-files.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { ForeignConversation, foreignGroup, foreignUser, personRecords } from './foreign-log.ts';
import type { ForeignReport } from './report.ts';
import { SlackText } from './slack-text.ts';

const SOURCE = 'slack';
/** Of one file: the people of a large company, or one day of a busy channel. */
const MAX_FILE_BYTES = 256 * 1_024 * 1_024;
const DAY_FILE = /^(.+)\/(\d{4}-\d{2}-\d{2})\.json$/;

interface SlackUser {
  readonly id: string;
  readonly name?: string;
  readonly real_name?: string;
  readonly is_bot?: boolean;
  readonly deleted?: boolean;
  readonly profile?: {
    readonly display_name?: string;
    readonly image_192?: string;
    readonly email?: string;
    readonly title?: string;
  };
}

interface SlackConversation {
  readonly id: string;
  readonly name?: string;
  readonly created?: number;
  readonly creator?: string;
  readonly members?: readonly string[];
  readonly topic?: { readonly value?: string };
  readonly purpose?: { readonly value?: string };
  readonly is_archived?: boolean;
}

interface SlackMessage {
  readonly type?: string;
  readonly subtype?: string;
  readonly user?: string;
  readonly bot_id?: string;
  readonly username?: string;
  readonly text?: string;
  readonly ts?: string;
  readonly thread_ts?: string;
  readonly edited?: { readonly ts?: string };
  readonly files?: readonly { readonly name?: string; readonly url_private?: string }[];
  readonly reactions?: readonly unknown[];
  readonly attachments?: readonly { readonly fallback?: string; readonly text?: string }[];
}

/** Subtypes that are messages of somebody all the same. */
const MESSAGES = new Set([
  'bot_message',
  'file_share',
  'file_comment',
  'me_message',
  'thread_broadcast',
  'reply_broadcast',
]);

interface Told {
  readonly conversation: ForeignConversation;
  readonly folder: string;
  readonly about: SlackConversation;
  readonly isDirect: boolean;
  readonly authors: Set<UserId>;
  firstAt: number;
  lastAt: number;
}

export async function* slackRecords(files: ForeignFiles, report: ForeignReport): AsyncGenerator<StoredRecord> {
  const root = rootOf(files.paths);
  const list = async <Item>(name: string): Promise<readonly Item[]> => {
    const path = `${root}${name}`;
    return files.paths.includes(path) ? listIn<Item>(files, path) : [];
  };
  const users = await list<SlackUser>('users.json');
  const names = new Map(users.map((user) => [user.id, nameOf(user)]));
  const text = new SlackText(names, (id) => foreignUser(SOURCE, id));
  const told = await toldIn(list, report);
  const days = daysOf(files.paths, root, told);
  const bots = new Map<UserId, string>();
  for (const day of days) for (const one of await messagesOf(files, day)) lookAt(one, bots, report.latestAt);

  const since = Math.min(...[...told.values()].map(({ firstAt }) => firstAt).filter(Number.isFinite));
  const at = Number.isFinite(since) ? since : 0;
  yield* peopleRecords(users, bots, names, at, report);
  for (const one of told.values()) if (!one.isDirect) yield* founding(one, at, report);
  // Day after day, within a day by time.
  for (let i = 0; i < days.length; ) {
    const today = days.slice(i).findIndex(({ date }) => date !== days[i]?.date);
    const end = today === -1 ? days.length : i + today;
    const said: { readonly told: Told; readonly message: SlackMessage; readonly path: string }[] = [];
    for (const day of days.slice(i, end)) said.push(...(await messagesOf(files, day)));
    said.sort((one, other) => Number(one.message.ts) - Number(other.message.ts));
    for (const { told: where, message, path } of said) yield* messageRecords(where, message, path, text, report);
    i = end;
  }
  for (const one of told.values()) if (!one.isDirect) yield* leaving(one);
}

/** An export that was packed with its folder has everything one level down. */
function rootOf(paths: readonly string[]): string {
  const found = paths.find((path) => /^([^/]+\/)?users\.json$/.test(path));
  if (found === undefined) throw new RookeryError('BAD_REQUEST', 'there is no users.json: this is no export of Slack');
  return found.slice(0, -'users.json'.length);
}

async function toldIn(
  list: <Item>(name: string) => Promise<readonly Item[]>,
  report: ForeignReport,
): Promise<ReadonlyMap<string, Told>> {
  const told = new Map<string, Told>();
  const tell = (
    conversation: ForeignConversation,
    folder: string,
    about: SlackConversation,
    isDirect: boolean,
  ): void => {
    const times = { firstAt: Number.POSITIVE_INFINITY, lastAt: 0 };
    told.set(folder, { conversation, folder, about, isDirect, authors: new Set(), ...times });
  };
  for (const name of ['channels.json', 'groups.json', 'mpims.json']) {
    for (const about of await list<SlackConversation>(name)) {
      const id: ConversationId = foreignGroup(SOURCE, about.id);
      tell(new ForeignConversation(SOURCE, id, report), about.name ?? about.id, about, false);
      if (about.is_archived) report.lost('a channel is archived: it stays open', about.name ?? about.id);
    }
  }
  for (const about of await list<SlackConversation>('dms.json')) {
    const [one, other = one] = about.members ?? [];
    if (!one || !other) {
      report.lost('a direct conversation without members', about.id);
      continue;
    }
    const [a, b] = [foreignUser(SOURCE, one), foreignUser(SOURCE, other)];
    tell(ForeignConversation.direct(SOURCE, a, b, report), about.id, about, true);
  }
  return told;
}

interface Day {
  readonly path: string;
  readonly date: string;
  readonly told: Told;
}

function daysOf(paths: readonly string[], root: string, told: ReadonlyMap<string, Told>): readonly Day[] {
  const days = paths.flatMap((path): Day[] => {
    const [, folder = '', date = ''] = DAY_FILE.exec(path.slice(root.length)) ?? [];
    const where = told.get(folder);
    return where ? [{ path, date, told: where }] : [];
  });
  return days.sort((one, other) => (one.date < other.date ? -1 : one.date > other.date ? 1 : 0));
}

async function messagesOf(files: ForeignFiles, { path, told }: Day) {
  const messages = await listIn<SlackMessage>(files, path);
  return messages.map((message) => ({ told, message, path }));
}

/** Who speaks, and from when to when: known before anything is told. */
function lookAt(
  { told, message }: { told: Told; message: SlackMessage },
  bots: Map<UserId, string>,
  latestAt: number,
): void {
  const at = timeOf(message.ts);
  const by = authorOf(message);
  if (at === undefined || at > latestAt || by === undefined || !isMessage(message)) return;
  told.authors.add(by);
  told.firstAt = Math.min(told.firstAt, at);
  told.lastAt = Math.max(told.lastAt, at);
  if (!message.user) bots.set(by, message.username ?? message.bot_id ?? 'bot');
}

function* peopleRecords(
  users: readonly SlackUser[],
  bots: ReadonlyMap<UserId, string>,
  names: ReadonlyMap<string, string>,
  at: number,
  report: ForeignReport,
): Generator<StoredRecord> {
  for (const { id, is_bot, deleted, profile } of users) {
    const fields = { ...(profile?.email && { email: profile.email }), ...(profile?.title && { title: profile.title }) };
    const about = {
      name: names.get(id) ?? id,
      fields,
      deactivated: deleted === true,
      avatar: profile?.image_192 ?? '',
    };
    yield* personRecords(SOURCE, { user: foreignUser(SOURCE, id), kind: is_bot ? 'bot' : 'person', ...about }, at);
    report.mapped('people');
  }
  for (const [user, name] of bots) {
    yield* personRecords(SOURCE, { user, kind: 'bot', name }, at);
    report.mapped('bots');
  }
}

function* founding(
  { conversation, about, authors, firstAt }: Told,
  at: number,
  report: ForeignReport,
): Generator<StoredRecord> {
  const current = (about.members ?? []).map((id) => foreignUser(SOURCE, id));
  const creator = about.creator ? [foreignUser(SOURCE, about.creator)] : [];
  const members = [...new Set([...creator, ...current, ...authors])];
  if (members.length === 0) return report.lost('a channel without anybody in it', about.name ?? about.id);
  const told = (about.created ?? 0) * 1_000;
  const created = report.isTooLate(told, 'time of a channel', about.name ?? about.id) ? 0 : told;
  const settings = { description: about.purpose?.value ?? '', announcement: about.topic?.value ?? '' };
  yield* conversation.founded(about.name ?? about.id, members, created || Math.min(firstAt, at), settings);
  report.mapped('channels');
}

function* leaving({ conversation, about, authors, lastAt }: Told): Generator<StoredRecord> {
  if (!about.members) return;
  const current = new Set(about.members.map((id) => foreignUser(SOURCE, id)));
  yield* conversation.left(
    [...authors].filter((author) => !current.has(author)),
    lastAt,
  );
}

function* messageRecords(
  { conversation, about, isDirect }: Told,
  message: SlackMessage,
  path: string,
  slackText: SlackText,
  report: ForeignReport,
): Generator<StoredRecord> {
  const [at, by] = [timeOf(message.ts), authorOf(message)];
  const where = `${path} ${message.ts ?? ''}`;
  if (!isMessage(message)) return report.lost(`message of kind ${message.subtype ?? message.type}`, where);
  if (at === undefined || by === undefined) return report.lost('message without time or author', where);
  if (report.isTooLate(at, 'message', where)) return;
  if (isDirect && !(about.members ?? []).some((id) => foreignUser(SOURCE, id) === by)) {
    return report.lost('message of a third one in a direct conversation', where);
  }
  for (const _ of message.reactions ?? []) report.lost('reaction', where);
  const files = (message.files ?? []).map(({ name = 'file', url_private = '' }) => `${name} ${url_private}`.trim());
  for (const _ of files) report.lost('file: its name and address stand in the message', where);
  const { text, mentions, mentionsAll } = slackText.plain(message.text ?? '');
  const attached = (message.attachments ?? []).map(({ text: own, fallback }) => own ?? fallback ?? '').filter(Boolean);
  const whole = [text, ...attached.map((part) => slackText.plain(part).text), ...files].filter(Boolean).join('\n');
  if (whole === '') return report.lost('message without text', where);
  const isAnswer = message.thread_ts !== undefined && message.thread_ts !== message.ts;
  const editedAt = timeOf(message.edited?.ts);
  yield* conversation.said({
    ...{ id: message.ts ?? '', by, at, text: whole, mentions, mentionsAll },
    ...(isAnswer && { answers: message.thread_ts }),
    ...(editedAt !== undefined && { editedAt }),
  });
}

const isMessage = ({ type, subtype }: SlackMessage): boolean =>
  (type ?? 'message') === 'message' && (subtype === undefined || MESSAGES.has(subtype));

function authorOf({ user, bot_id, username }: SlackMessage): UserId | undefined {
  const id = user || bot_id || (username && `bot-${username}`);
  return id ? foreignUser(SOURCE, id) : undefined;
}

/** `1700000000.000200`: seconds. */
function timeOf(ts: string | undefined): number | undefined {
  if (ts === undefined || !/^\d{1,12}(\.\d{1,9})?$/.test(ts)) return undefined;
  return Math.floor(Number(ts) * 1_000);
}

const nameOf = ({ id, name, real_name, profile }: SlackUser): string =>
  profile?.display_name || real_name || name || id;

/** @throws RookeryError BAD_REQUEST that names the file */
async function listIn<Item>(files: ForeignFiles, path: string): Promise<readonly Item[]> {
  const data = await files.read(path, MAX_FILE_BYTES);
  try {
    const list: unknown = JSON.parse(new TextDecoder().decode(data));
    if (!Array.isArray(list)) throw new Error('there is no list in it');
    return list.filter((item) => typeof item === 'object' && item !== null) as Item[];
  } catch (cause) {
    throw new RookeryError('BAD_REQUEST', `${path}: ${(cause as Error).message}`, { cause });
  }
}
