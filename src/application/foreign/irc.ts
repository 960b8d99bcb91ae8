/**
 * Logs of IRC as irssi, WeeChat and ZNC write them. A file, or a folder of a channel's days, is one channel. Nobody has an id there:
 * people are their nicks, and a line's id is its time with its place among those of the same time.
 */
import type { UserId } from '../../domain/ids.ts';
import type { StoredRecord } from '../../ports/archive.ts';
import type { ForeignFiles } from '../../ports/foreign-files.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { ForeignConversation, foreignGroup, foreignUser, personRecords } from './foreign-log.ts';
import { type IrcLine, IrcLines } from './irc-lines.ts';
import type { ForeignReport } from './report.ts';

const SOURCE = 'irc';
/** Longer lines are no IRC. */
const MAX_LINE_BYTES = 65_536;

export interface IrcOptions {
  /** Name of the channel where neither file nor folder says it. */
  readonly channel?: string | undefined;
  /** Of times that say nothing else: UTC, or this machine's zone. */
  readonly isUtc: boolean;
}

interface Channel {
  readonly name: string;
  readonly paths: string[];
  readonly nicks: Map<UserId, string>;
  firstAt: number;
}

export async function* ircRecords(
  files: ForeignFiles,
  report: ForeignReport,
  options: IrcOptions,
): AsyncGenerator<StoredRecord> {
  if (files.bytes === 0) {
    const where =
      files.paths.length === 1 ? `${files.paths[0]} is empty` : 'there is no file, or none with anything in it';
    throw new RookeryError('BAD_REQUEST', `nothing was found: ${where}`);
  }
  const channels = new Map<string, Channel>();
  for (const path of files.paths) {
    const name = options.channel ?? channelOf(path);
    const channel: Channel = channels.get(name) ?? {
      name,
      paths: [],
      nicks: new Map(),
      firstAt: Number.POSITIVE_INFINITY,
    };
    channel.paths.push(path);
    channels.set(name, channel);
  }
  let [ours, unknown] = [0, 0];
  const people = new Map<UserId, { readonly name: string; at: number }>();
  for (const channel of channels.values()) {
    for await (const { line, where } of linesOf(files, channel, options)) {
      if (line.type === 'unknown') unknown += 1;
      else ours += 1;
      // Counted here: the channel is not read again where nobody else speaks.
      if (line.type !== 'said' || report.isTooLate(line.at, 'message', where)) continue;
      const user = userOf(line.nick);
      channel.nicks.set(user, line.nick);
      channel.firstAt = Math.min(channel.firstAt, line.at);
      const known = people.get(user);
      if (!known) people.set(user, { name: line.nick, at: line.at });
      else known.at = Math.min(known.at, line.at);
    }
  }
  if (ours === 0 && unknown > 0) {
    const where = files.paths.length === 1 ? files.paths[0] : `${files.paths.length} files`;
    const text = `${where}: no line is one of irssi, WeeChat or ZNC, or no day is told`;
    throw new RookeryError('BAD_REQUEST', text);
  }
  for (const [user, { name, at }] of people) {
    yield* personRecords(SOURCE, { user, kind: 'person', name }, at);
    report.mapped('people');
  }
  for (const channel of channels.values()) yield* channelRecords(files, channel, report, options);
}

async function* channelRecords(
  files: ForeignFiles,
  channel: Channel,
  report: ForeignReport,
  options: IrcOptions,
): AsyncGenerator<StoredRecord> {
  const { name, nicks, firstAt } = channel;
  if (nicks.size === 0) return report.lost('a file in which nobody speaks', channel.paths[0] ?? name);
  const conversation = new ForeignConversation(SOURCE, foreignGroup(SOURCE, name), report);
  yield* conversation.founded(name, [...nicks.keys()], firstAt);
  report.mapped('channels');
  let [time, ordinal] = [0, 0];
  for await (const { line, where } of linesOf(files, channel, options)) {
    if (line.type === 'event') report.lost(line.what, where);
    else if (line.type === 'unknown') report.lost('line of no known form', where);
    else if (line.at <= report.latestAt) {
      ordinal = line.at === time ? ordinal + 1 : 0;
      time = line.at;
      const id = `${line.at / 1_000}-${ordinal}`;
      yield* conversation.said({ id, by: userOf(line.nick), at: line.at, text: line.text });
    }
  }
}

/** Nicks are the same whatever their case (RFC 2812, 2.2). */
const userOf = (nick: string): UserId => foreignUser(SOURCE, nick.toLowerCase());

/** `#go.log`, `irc.libera.#go.weechatlog`, `libera/#go/2024-01-01.log`: what begins with `#`; else the file's name, or its folder's. */
function channelOf(path: string): string {
  const named = /(?:^|[/.])([#&][^/]*?)(?=(?:\.(?:log|txt|weechatlog))?$|\/|_?\d{4}-?\d{2}-?\d{2})/.exec(path);
  if (named?.[1]) return named[1];
  const [file = path, folder] = path.split('/').reverse();
  const isDay = /^\d{4}-?\d{2}-?\d{2}/.test(file);
  return (isDay && folder ? folder : file).replace(/\.(log|txt|weechatlog)$/, '');
}

interface Placed {
  readonly line: IrcLine;
  readonly where: string;
}

async function* linesOf(files: ForeignFiles, { paths }: Channel, { isUtc }: IrcOptions): AsyncGenerator<Placed> {
  for (const path of paths) {
    const reading = new IrcLines(path, isUtc);
    let number = 0;
    for await (const text of textLines(files.chunks(path))) {
      number += 1;
      const line = reading.read(text);
      if (line) yield { line, where: `${path}:${number}` };
    }
  }
}

/** Lines of a file, whatever it is encoded in: what is no UTF-8 is taken as Latin-1, as IRC's older half is. */
async function* textLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks) {
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      yield decoded(bytes.subarray(start, end));
      start = end + 1;
    }
    rest = bytes.slice(start, start + MAX_LINE_BYTES);
  }
  if (rest.length > 0) yield decoded(rest);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const latin1 = new TextDecoder('latin1');

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes).replace(/\r$/, '');
  } catch {
    return latin1.decode(bytes).replace(/\r$/, '');
  }
}
