/** One line of an IRC log after the other: irssi tells the day apart from the time, ZNC in the file's name, WeeChat in each line. */

export type IrcLine =
  | { readonly type: 'said'; readonly at: number; readonly nick: string; readonly text: string }
  /** What happened beside: joins, parts, modes, topics. */
  | { readonly type: 'event'; readonly what: string }
  | { readonly type: 'unknown' };

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const IRSSI_DAY = /^--- (?:Log opened|Day changed) \w{3} (\w{3}) (\d{2})(?: (?:\d{2}:){2}\d{2})? (\d{4})/;
const WEECHAT = /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})\t([^\t]*)\t(.*)$/;
/** irssi's `12:34` or `12:34:56`, ZNC's `[12:34:56]`. */
const CLOCK = /^\[?(\d{2}):(\d{2})(?::(\d{2}))?\]? (.*)$/;
const SAID = /^<([~&@%+ ]?)([^>]{1,100})> (.*)$/;
const ACTED = /^ ?\* (\S{1,100}) (.*)$/;
const FILE_DAY = /(\d{4})-?(\d{2})-?(\d{2})(?=[^\d]|$)/;
/** Bold, colours and the like of mIRC. */
const FORMATTING = /\u0003(?:\d{1,2}(?:,\d{1,2})?)?|[\u0002\u000f\u0011\u0016\u001d\u001e\u001f]/g;

export class IrcLines {
  readonly #isUtc: boolean;
  /** Year, month from 0, day. */
  #day: readonly [number, number, number] | undefined;

  /** @param path its name may tell the day */
  constructor(path: string, isUtc: boolean) {
    this.#isUtc = isUtc;
    const [, year, month, day] = FILE_DAY.exec(path.split('/').at(-1) ?? '') ?? [];
    if (year) this.#day = [Number(year), Number(month) - 1, Number(day)];
  }

  /** Undefined for what only tells the day, and for an empty line. */
  read(line: string): IrcLine | undefined {
    if (line.trim() === '') return undefined;
    const [, name = '', day, year] = IRSSI_DAY.exec(line) ?? [];
    if (day) {
      this.#day = [Number(year), MONTHS.indexOf(name), Number(day)];
      return undefined;
    }
    if (line.startsWith('--- Log closed')) return undefined;
    const weechat = WEECHAT.exec(line);
    if (weechat) return this.#weechat(weechat);
    const [, hour, minute, second = '0', rest = ''] = CLOCK.exec(line) ?? [];
    if (hour === undefined || !this.#day) return { type: 'unknown' };
    const at = this.#at(this.#day, Number(hour), Number(minute), Number(second));
    const [, , nick, text] = SAID.exec(rest) ?? [];
    if (nick !== undefined) return said(at, nick, text ?? '');
    if (rest.startsWith('-!-') || rest.startsWith('***')) return { type: 'event', what: eventKind(rest) };
    const [, actor, action] = ACTED.exec(rest) ?? [];
    if (actor !== undefined) return said(at, actor, `* ${actor} ${action}`);
    return { type: 'unknown' };
  }

  #weechat([, year, month, day, hour, minute, second, who = '', text = '']: RegExpExecArray): IrcLine {
    const date = [Number(year), Number(month) - 1, Number(day)] as const;
    const at = this.#at(date, Number(hour), Number(minute), Number(second));
    const mark = who.trim();
    if (mark === '*') return said(at, text.split(' ')[0] ?? '', `* ${text}`);
    if (/^(-->|<--|--|=!=|)$/.test(mark))
      return {
        type: 'event',
        what: mark === '-->' ? 'join' : mark === '<--' ? 'part or quit' : 'notice of the client',
      };
    return said(at, mark.replace(/^[~&@%+]/, ''), text);
  }

  #at([year, month, day]: readonly [number, number, number], hour: number, minute: number, second: number): number {
    if (this.#isUtc) return Date.UTC(year, month, day, hour, minute, second);
    return new Date(year, month, day, hour, minute, second).getTime();
  }
}

const said = (at: number, nick: string, text: string): IrcLine =>
  nick.trim() === ''
    ? { type: 'unknown' }
    : { type: 'said', at, nick: nick.trim(), text: text.replace(FORMATTING, '') };

function eventKind(text: string): string {
  if (/joined|Joins:/.test(text)) return 'join';
  if (/has left|has quit|Parts:|Quits:/.test(text)) return 'part or quit';
  if (/mode/i.test(text)) return 'change of modes';
  if (/topic/i.test(text)) return 'topic';
  if (/now known as/.test(text)) return 'change of a nick';
  if (/kicked/.test(text)) return 'kick';
  return 'notice of the client';
}
