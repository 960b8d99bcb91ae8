/** An event of the log for people, and for programs. */
import { textOf } from '../adapters/sqlite/search-text.ts';
import type { ConversationEvent, MessageContent } from '../domain/conversation.ts';
import { EVENT_TYPES } from '../domain/conversation-events.ts';
import { directPair, type UserId } from '../domain/ids.ts';
import { isUnreadable, type LogRecord } from '../ports/conversation-log.ts';
import { convStreamName } from '../protocol/subjects.ts';
import { shownTime } from './places.ts';
import { type Colour, columns, cut, cutPainted, onOneLine, padded, painted } from './terminal.ts';

/** One JSON value; bytes as base64, and beside them the text where it is one. */
export function eventJson(record: LogRecord, convStream: number): Record<string, unknown> {
  const stream = convStreamName(convStream);
  const at = record.at === undefined ? undefined : new Date(record.at).toISOString();
  if (isUnreadable(record)) {
    const { pos, subject, reason, data } = record;
    return { stream, pos, at, type: 'unreadable', subject, reason, data: Buffer.from(data).toString('base64') };
  }
  const { pos, conversation, event } = record;
  return { stream, pos, at, conversation, ...jsonFields(event) };
}

/** The fields of an event or an entry, bytes as base64. */
export function jsonFields(fields: object): Record<string, unknown> {
  const { body } = fields as { readonly body?: unknown };
  if (!(body instanceof Uint8Array)) return { ...fields };
  const text = textOf(fields as MessageContent);
  return { ...fields, body: Buffer.from(body).toString('base64'), ...(text !== undefined && { text }) };
}

const KIND_COLOURS: Partial<Record<ConversationEvent['type'], Colour>> = {
  messageSent: 'green',
  messageEdited: 'cyan',
  messageRecalled: 'magenta',
  conversationRead: 'dim',
  preferencesChanged: 'dim',
};

/** Columns have the same width on all lines: on a narrow terminal, where what is said needs the room, and on a wide one. */
const NARROW = { columns: 80, conversation: 10, by: 6, kind: 11 };
const WIDE = { columns: 120, conversation: 24, by: 12, kind: 18 };
const LONGEST_KIND = Math.max(...EVENT_TYPES.map(({ length }) => length));
const TIME_COLUMNS = 12;
/** Positions stand whole, with room to grow a hundredfold before a line is wider than those above it. */
const MIN_PLACE_COLUMNS = 8;
const ROOM_FOR_DIGITS = 2;

/** Lines that line up with each other. */
export class EventLines {
  readonly #topologyHasOne: boolean;
  #placeColumns: number;
  #day = '';

  /**
   * @param convStreams of several the position names its own
   * @param lastPos the largest position so far
   */
  constructor(convStreams: number, lastPos: number) {
    this.#topologyHasOne = convStreams === 1;
    const digits = this.#place(lastPos, convStreams - 1).length;
    this.#placeColumns = Math.max(MIN_PLACE_COLUMNS, digits + ROOM_FOR_DIGITS);
  }

  lineOf(record: LogRecord, convStream: number): string {
    const time = record.at === undefined ? '' : shownTime(record.at);
    const day = time.slice(0, 10);
    const head = day === this.#day || day === '' ? '' : `${painted(`— ${day} —`, 'dim')}\n`;
    if (day !== '') this.#day = day;
    const place = this.#place(record.pos, convStream);
    this.#placeColumns = Math.max(this.#placeColumns, place.length);
    const left = [
      painted(padded(time.slice(11), TIME_COLUMNS), 'dim'),
      painted(padded(place, this.#placeColumns), 'blue'),
    ];
    if (isUnreadable(record)) {
      const { subject, reason, data } = record;
      const text = `unreadable  ${onOneLine(subject)}  ${data.length} bytes: ${onOneLine(reason)}`;
      return head + fitting([...left, painted(text, 'red')]);
    }
    const { conversation, event } = record;
    const cells = [cell('conversation', conversation), cell('by', event.by)];
    const kind = painted(cell('kind', event.type), KIND_COLOURS[event.type] ?? 'yellow');
    return head + fitting([...left, ...cells, kind, detailsOf(event)]);
  }

  #place(pos: number, convStream: number): string {
    return this.#topologyHasOne ? String(pos) : `${convStream}@${pos}`;
  }
}

/** As wide as its column is on this terminal. */
function cell(column: Exclude<keyof typeof WIDE, 'columns'>, text: string): string {
  const share = Math.min(1, Math.max(0, (columns() - NARROW.columns) / (WIDE.columns - NARROW.columns)));
  // What filters by the type of an event in a pipe wants it whole.
  const isWhole = column === 'kind' && !process.stdout.isTTY;
  const width = isWhole ? LONGEST_KIND : Math.floor(NARROW[column] + share * (WIDE[column] - NARROW[column]));
  return padded(cut(onOneLine(text), width), width);
}

/** On one line of a terminal. In a pipe it is whole. */
function fitting(cells: readonly string[]): string {
  const line = cells.join('  ').trimEnd();
  return process.stdout.isTTY ? cutPainted(line, columns()) : line;
}

/** What an event says beyond who did what where; on one line. */
export function detailsOf(event: ConversationEvent): string {
  const { type: _type, by: _by, id: _id, ...fields } = event as ConversationEvent & Partial<MessageContent>;
  if ('body' in fields && fields.body) {
    const { contentType, body, ...more } = fields as MessageContent;
    const shown = textOf(fields as MessageContent);
    const what = more.keyId === undefined ? contentType : `${contentType}, encrypted`;
    const text = shown === undefined ? `(${what}, ${body.length} bytes)` : JSON.stringify(shown).slice(1, -1);
    return onOneLine([text, ...named(more)].join('  '));
  }
  return onOneLine(named(fields).join('  '));
}

const named = (fields: object): string[] =>
  Object.entries(fields)
    .filter(([name, value]) => name !== 'mentions' || value.length > 0)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);

/** Whether a user wrote it, is named in it, or is one of the two whose conversation it is. */
export function concerns(user: UserId, record: LogRecord): boolean {
  if (isUnreadable(record)) return false;
  const { event, conversation } = record;
  const { by, member, members, mentions, target } = event as {
    readonly by: UserId;
    readonly member?: UserId;
    readonly members?: readonly UserId[];
    readonly mentions?: readonly UserId[];
    readonly target?: { readonly by: UserId };
  };
  return (
    by === user ||
    member === user ||
    target?.by === user ||
    members?.includes(user) === true ||
    mentions?.includes(user) === true ||
    directPair(conversation)?.includes(user) === true
  );
}
