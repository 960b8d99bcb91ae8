/** Two states as JSON, field by field. */
import { counted, onOneLine, painted } from './terminal.ts';

export interface Change {
  /** As `members.bob.unread`; an entry of a list by its index or position where it has one. */
  readonly field: string;
  /** Absent: it was not there, or is not any more. */
  readonly from?: unknown;
  readonly to?: unknown;
}

export function changesBetween(before: unknown, after: unknown, field = ''): Change[] {
  if (!isTree(before) || !isTree(after)) {
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    return [{ field, ...(before !== undefined && { from: before }), ...(after !== undefined && { to: after }) }];
  }
  const [older, newer] = [fieldsOf(before), fieldsOf(after)];
  return [...new Set([...older.keys(), ...newer.keys()])].flatMap((key) =>
    changesBetween(older.get(key), newer.get(key), field === '' ? key : `${field}.${key}`),
  );
}

/** Lists of which the newest are compared: what is not among them any more is not gone. */
const LISTS = /^(timeline|inbox|conversations)\.[^.]+$/;

/** @param lines so many of a list are shown at most; @param now the later state */
export function withoutScrolled(changes: readonly Change[], now: Record<string, unknown>, lines: number): Change[] {
  return changes.filter(({ field, to }) => {
    const list = now[LISTS.exec(field)?.[1] ?? ''];
    return to !== undefined || !Array.isArray(list) || list.length < lines;
  });
}

/** Of so many new entries those that are not among the changes. */
export const hiddenEntries = (changes: readonly Change[], added: number): number =>
  added - changes.filter(({ field, from }) => from === undefined && /^(timeline|inbox)\.[^.]+$/.test(field)).length;

/** Of the conversations in which something is new those that are not in the list that was compared. */
export function hiddenConversations(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
  shown: unknown,
): number {
  const compared = new Set((shown as readonly { readonly conversation: string }[]).map((one) => one.conversation));
  return [...now].filter(([id, lastIndex]) => before.get(id) !== lastIndex && !compared.has(id)).length;
}

/** Says what is not among the changes, and what to type for it; undefined: all is. @param lines that were asked for; @param most that can be */
export function hiddenText(
  { entries, conversations }: { readonly entries: number; readonly conversations: number },
  lines: number,
  most: number,
): string | undefined {
  const more = [
    ...(entries > 0 ? [counted(entries, 'more entry', 'more entries')] : []),
    ...(conversations > 0 ? [counted(conversations, 'more conversation')] : []),
  ];
  if (more.length === 0) return undefined;
  const wanted = lines + Math.max(entries, conversations);
  const cure = wanted > most ? 'more than can be compared at once, take a shorter span' : `-n ${wanted}`;
  return `… and ${more.join(' and ')}: ${cure}`;
}

const isTree = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** What an entry of a list is known by, so that one more at its beginning is not a change of all. */
function fieldsOf(tree: object): Map<string, unknown> {
  if (!Array.isArray(tree)) return new Map(Object.entries(tree));
  return new Map(
    tree.map((entry: unknown, i) => {
      if (!isTree(entry)) return [String(entry), entry];
      const { n, pos, conversation } = entry as {
        readonly n?: number;
        readonly pos?: number;
        readonly conversation?: string;
      };
      const key =
        pos !== undefined && conversation !== undefined ? `${conversation}@${pos}` : (n ?? conversation ?? pos ?? i);
      return [String(key), entry];
    }),
  );
}

export function changeLine({ field, from, to }: Change): string {
  const name = onOneLine(field);
  if (from === undefined) return painted(`+ ${name}  ${shown(to)}`, 'green');
  if (to === undefined) return painted(`- ${name}  ${shown(from)}`, 'red');
  return painted(`~ ${name}  ${shown(from)} → ${shown(to)}`, 'yellow');
}

const shown = (value: unknown): string => onOneLine(JSON.stringify(value));
