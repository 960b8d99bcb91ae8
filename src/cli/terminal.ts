/** What a terminal is shown: colours where they are wanted, columns that line up, and nothing that could steer it. */

const CODES = { dim: 2, bold: 1, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Colour = keyof typeof CODES;

/** Columns where nobody says how many there are: stdout is no terminal. */
const DEFAULT_COLUMNS = 160;

/** https://no-color.org: any value but an empty one; and no terminal, no colours. */
const hasColours = (): boolean => process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';

export const painted = (text: string, colour: Colour): string =>
  hasColours() ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;

export const columns = (): number => process.stdout.columns ?? DEFAULT_COLUMNS;

/** Controls, and what turns the direction of writing: a message must not be able to move the cursor or forge a line. */
const UNSHOWABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** On one line, whatever somebody has put into it. */
export const onOneLine = (text: string): string =>
  text.replace(UNSHOWABLE, (char) => {
    if (char === '\n') return '\\n';
    if (char === '\t') return '\\t';
    return `\\u{${char.charCodeAt(0).toString(16)}}`;
  });

/** Columns a text takes: Chinese, Japanese, Korean and emoji take two, what combines with the character before takes none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += widthOfPoint(char.codePointAt(0) ?? 0, char);
  return width;
}

const WIDE: readonly (readonly [from: number, to: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
];

function widthOfPoint(point: number, char: string): number {
  if (point < 0x300) return 1;
  if (/[\p{Mn}\p{Me}\p{Cf}]/u.test(char)) return 0;
  // Two of these letters are one flag.
  if (/\p{Regional_Indicator}/u.test(char)) return 1;
  return WIDE.some(([from, to]) => point >= from && point <= to) || /\p{Emoji_Presentation}/u.test(char) ? 2 : 1;
}

/** Cut to so many columns, with a sign that something is missing. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let taken = '';
  let used = 0;
  for (const char of text) {
    const more = widthOfPoint(char.codePointAt(0) ?? 0, char);
    if (used + more > width - 1) break;
    taken += char;
    used += more;
  }
  return `${taken}…`;
}

const PAINT = /(\x1b\[[0-9;]*m)/;

/** The same of a line that is painted: colours take no columns, and end with it. */
export function cutPainted(line: string, width: number): string {
  // Text and colours in turns.
  const parts = line.split(PAINT);
  const isTooWide = widthOf(parts.filter((_, i) => i % 2 === 0).join('')) > width;
  if (!isTooWide) return line;
  let taken = '';
  let room = width;
  for (const [i, part] of parts.entries()) {
    const isColour = i % 2 === 1;
    const partWidth = isColour ? 0 : widthOf(part);
    // For the sign that something is missing there must be room.
    if (partWidth >= room) return `${taken}${cut(`${part} `, room)}${parts.length > 1 ? '\x1b[0m' : ''}`;
    taken += part;
    room -= partWidth;
  }
  return taken;
}

/** `1 event`, `2 events`. @param many where it is not `one` with an s */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

export const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));

/** Rows with columns that line up; the last one is left as it is. */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
  }
  const lineOf = (row: readonly string[]): string =>
    indent + row.map((cell, i) => (i < row.length - 1 ? padded(cell, widths[i] ?? 0) : cell)).join('  ');
  return rows.map((row) => lineOf(row).trimEnd()).join('\n');
}
