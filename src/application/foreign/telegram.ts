/**
 * Telegram Desktop's export in JSON: `result.json`, of one chat or of all. It is read as a stream, twice: who is in which chat must be
 * known before the first message is told.
 */
import { JSONParser } from '@streamparser/json';
import type { UserId } from '../../domain/ids.ts';
import type { StoredRecord } from '../../ports/archive.ts';
import type { ForeignFiles } from '../../ports/foreign-files.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { ForeignConversation, foreignGroup, foreignUser, personRecords } from './foreign-log.ts';
import type { ForeignReport } from './report.ts';
import { mediaOf, plainText, type TelegramMessage } from './telegram-message.ts';

const SOURCE = 'telegram';
/** Of each chat what says which it is, which stands before its messages; and of whom the export is. */
const PATHS = [
  ...['$.', '$.chats.list.*.', '$.left_chats.list.*.'].flatMap((chat) =>
    ['id', 'name', 'type', 'messages.*'].map((field) => chat + field),
  ),
  '$.personal_information.user_id',
];

/** What Telegram calls its chats. */
const CHAT_TYPE = /_(chat|group|supergroup|channel)$|^(self|saved_messages|replies|verification_codes)$/;

interface Chat {
  id?: number | string;
  name?: string | null;
  type?: string;
}

/** What is known of a chat before it is told. */
interface Known {
  readonly chat: Chat;
  readonly authors: Set<UserId>;
  firstAt: number;
  owner: UserId | undefined;
}

interface Read {
  readonly chat: Chat;
  readonly message: TelegramMessage;
}

export async function* telegramRecords(files: ForeignFiles, report: ForeignReport): AsyncGenerator<StoredRecord> {
  const path = files.paths.find((one) => /(^|\/)[^/]+\.json$/.test(one));
  if (path === undefined) {
    const found = files.paths.length === 1 ? `${files.paths[0]} is no JSON` : 'there is no JSON file';
    const expected =
      'what is expected is result.json, or its folder, of an export of Telegram Desktop in the format JSON';
    throw new RookeryError('BAD_REQUEST', `${found}: ${expected}`);
  }
  const chats = new Map<string, Known>();
  const names = new Map<UserId, string>();
  let self: UserId | undefined;
  let isExport = false;
  const look = (chat: Chat): void => {
    isExport ||= chat.id !== undefined && CHAT_TYPE.test(String(chat.type));
  };
  for await (const read of itemsOf(files, path, look)) {
    if (typeof read === 'string') self = foreignUser(SOURCE, read);
    else lookAt(read, chats, names, report.latestAt);
  }
  // Of an account that is in no chat at all there is nothing to import either.
  if (!isExport && ![...chats.values()].some(({ firstAt }) => firstAt < Number.POSITIVE_INFINITY)) {
    const text = `${path}: this is no export of Telegram: no chat is in it (id, type, messages), and no list of chats`;
    throw new RookeryError('BAD_REQUEST', text);
  }
  const since = Math.min(...[...chats.values()].map(({ firstAt }) => firstAt));
  for (const [user, name] of names) {
    yield* personRecords(SOURCE, { user, kind: 'person', name }, since);
    report.mapped('people');
  }
  const told = new Map<string, ForeignConversation | undefined>();
  for await (const read of itemsOf(files, path)) {
    if (typeof read === 'string') continue;
    const id = idOf(read.chat);
    if (!told.has(id)) {
      const conversation = conversationOf(chats.get(id) as Known, self, report);
      told.set(id, conversation);
      if (conversation) yield* founding(conversation, chats.get(id) as Known, report);
    }
    const conversation = told.get(id);
    if (conversation) yield* messageRecords(conversation, read, report);
  }
}

function lookAt(
  { chat, message }: Read,
  chats: Map<string, Known>,
  names: Map<UserId, string>,
  latestAt: number,
): void {
  const id = idOf(chat);
  let known = chats.get(id);
  if (!known)
    chats.set(id, (known = { chat, authors: new Set(), firstAt: Number.POSITIVE_INFINITY, owner: undefined }));
  const [by, at] = [authorOf(message), timeOf(message.date_unixtime)];
  if (by === undefined || at === undefined || at > latestAt) return;
  known.authors.add(by);
  known.firstAt = Math.min(known.firstAt, at);
  if (/^create_/.test(message.action ?? '')) known.owner ??= by;
  if (!names.has(by)) names.set(by, message.from ?? message.actor ?? by);
}

function conversationOf(
  { chat, authors }: Known,
  self: UserId | undefined,
  report: ForeignReport,
): ForeignConversation | undefined {
  switch (chat.type) {
    case 'personal_chat':
    case 'bot_chat': {
      const other = foreignUser(SOURCE, idOf(chat));
      const one = self ?? [...authors].find((author) => author !== other);
      if (one) return ForeignConversation.direct(SOURCE, one, other, report);
      report.lost('a chat of which one side is not known', chat.name ?? idOf(chat));
      return undefined;
    }
    case 'saved_messages': {
      const one = self ?? [...authors][0];
      return one && ForeignConversation.direct(SOURCE, one, one, report);
    }
    default:
      return new ForeignConversation(SOURCE, foreignGroup(SOURCE, idOf(chat)), report);
  }
}

function* founding(conversation: ForeignConversation, known: Known, report: ForeignReport): Generator<StoredRecord> {
  const { chat, authors, firstAt, owner } = known;
  report.mapped('chats');
  if (conversation.id.startsWith('direct:')) return;
  const members = owner ? [owner, ...[...authors].filter((author) => author !== owner)] : [...authors];
  yield* conversation.founded(chat.name ?? '', members, firstAt);
}

function* messageRecords(
  conversation: ForeignConversation,
  { chat, message }: Read,
  report: ForeignReport,
): Generator<StoredRecord> {
  const where = `${chat.name ?? idOf(chat)} ${message.id}`;
  const [by, at] = [authorOf(message), timeOf(message.date_unixtime)];
  if (message.type !== 'message') return report.lost(`service message ${message.action ?? message.type}`, where);
  if (by === undefined || at === undefined) return report.lost('message without time or author', where);
  if (report.isTooLate(at, 'message', where)) return;
  const { text, mentions } = plainText(message, (id) => foreignUser(SOURCE, id));
  const media = mediaOf(message);
  for (const _ of media) report.lost('file: its path stands in the message', where);
  if (message.forwarded_from !== undefined) report.lost('from where a message was forwarded', where);
  for (const _ of message.reactions ?? []) report.lost('reaction', where);
  const whole = [text, ...media].filter(Boolean).join('\n');
  if (whole === '') return report.lost('message without text', where);
  const editedAt = timeOf(message.edited_unixtime);
  const answers = message.reply_to_message_id;
  yield* conversation.said({
    ...{ id: String(message.id), by, at, text: whole, mentions },
    ...(answers !== undefined && { answers: String(answers) }),
    ...(editedAt !== undefined && { editedAt }),
  });
}

const idOf = ({ id }: Chat): string => String(id);

function authorOf({ from_id, actor_id }: TelegramMessage): UserId | undefined {
  const id = from_id ?? actor_id;
  return id ? foreignUser(SOURCE, id.replace(/^user/, '')) : undefined;
}

function timeOf(seconds: string | undefined): number | undefined {
  return seconds !== undefined && /^\d{1,12}$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
}

/** The messages, each with its chat; and, as a text, the id of whom the export is of. @param look at what is known of a chat */
async function* itemsOf(
  files: ForeignFiles,
  path: string,
  look: (chat: Chat) => void = () => undefined,
): AsyncGenerator<Read | string> {
  let found: (Read | string)[] = [];
  const parser = new JSONParser({ paths: PATHS, keepStack: false });
  let [chat, place]: [Chat, string] = [{}, ''];
  parser.onValue = ({ value, key, stack }) => {
    if (key === 'user_id') return found.push(String(value));
    const here = stack
      .map((level) => level.key ?? '')
      .join('/')
      .replace(/\/messages$/, '');
    if (here !== place) [chat, place] = [{}, here];
    if (typeof key !== 'number') look(Object.assign(chat, { [String(key)]: value }));
    else if (chat.id !== undefined) found.push({ chat, message: value as unknown as TelegramMessage });
  };
  try {
    for await (const chunk of files.chunks(path)) {
      parser.write(chunk);
      yield* found;
      found = [];
    }
    if (!parser.isEnded) throw new Error('it ends in the middle');
  } catch (cause) {
    if (cause instanceof RookeryError) throw cause;
    throw new RookeryError('BAD_REQUEST', `${path}: ${(cause as Error).message}`, { cause });
  }
}
