/**
 * A message's text in pieces: words, links, code, names. Only pieces come out, never markup: what a piece looks like is a
 * component's matter, and what it holds stays text.
 */
export type Piece =
  | { readonly type: 'text' | 'code' | 'block' | 'mention'; readonly text: string }
  | { readonly type: 'link'; readonly text: string; readonly href: string };

const FENCE = /```[^\n`]*\n?([\s\S]*?)```/g;
const INLINE =
  /`([^`\n]+)`|(https?:\/\/[^\s<>"'`，。；：！？、（）《》「」]+)|(@[^\s@,.;:!?，。；：！？()（）]{1,128})/g;
/** Belongs to the sentence and not to the address, unless it was opened inside it. */
const TRAILING = new Set('.,;:!?，。；：！？、）)]}\'"»”');

export function piecesOf(text: string, mentions: readonly string[] = [], mentionsAll = false): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(FENCE)) {
    inline(pieces, text.slice(end, match.index), mentions, mentionsAll);
    pieces.push({ type: 'block', text: (match[1] ?? '').replace(/\n$/, '') });
    end = match.index + match[0].length;
  }
  inline(pieces, text.slice(end), mentions, mentionsAll);
  return pieces;
}

function inline(pieces: Piece[], text: string, mentions: readonly string[], mentionsAll: boolean): void {
  let end = 0;
  const plain = (to: number): void => {
    if (to > end) pieces.push({ type: 'text', text: text.slice(end, to) });
  };
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, address, name] = match;
    const piece: Piece | undefined =
      code !== undefined
        ? { type: 'code', text: code }
        : address !== undefined
          ? linkOf(address)
          : nameOf(name as string, mentions, mentionsAll);
    if (!piece) continue;
    plain(match.index);
    pieces.push(piece);
    end = match.index + (piece.type === 'link' || piece.type === 'mention' ? piece.text.length : whole.length);
  }
  plain(text.length);
}

/** `http` and `https` alone: other schemes may run something. */
function linkOf(found: string): Piece | undefined {
  const end = endOfAddress(found);
  const text = found[end] === ')' && found.includes('(') ? found : found.slice(0, end);
  if (!URL.canParse(text)) return undefined;
  const { protocol, href, username } = new URL(text);
  // `https://bank.example@evil.example` shows one name and opens another.
  return /^https?:$/.test(protocol) && username === '' ? { type: 'link', text, href } : undefined;
}

/** From the end, step by step: a pattern that ends in `+$` begins anew at each of many brackets. */
function endOfAddress(found: string): number {
  let end = found.length;
  while (end > 0 && TRAILING.has(found[end - 1] as string)) end -= 1;
  return end;
}

function nameOf(found: string, mentions: readonly string[], mentionsAll: boolean): Piece | undefined {
  const name = found.slice(1);
  const known = [...mentions, ...(mentionsAll ? EVERYBODY : [])].find((one) => name === one || name.startsWith(one));
  return known === undefined ? undefined : { type: 'mention', text: `@${known}` };
}

/** What one types to mean everybody. */
export const EVERYBODY = ['all', '所有人'] as const;

/** The users named in `text` of those who may be, longest names first, so that `@anna` is not `@ann`. */
export function mentionsIn(text: string, users: readonly string[]): { mentions: string[]; mentionsAll: boolean } {
  const found = new Set<string>();
  let mentionsAll = false;
  const byLength = [...users].sort((a, b) => b.length - a.length);
  for (const [, , , name] of text.matchAll(INLINE)) {
    if (name === undefined) continue;
    const user = byLength.find((one) => name.slice(1).startsWith(one));
    if (user !== undefined) found.add(user);
    else if (EVERYBODY.some((one) => name.slice(1).startsWith(one))) mentionsAll = true;
  }
  return { mentions: [...found], mentionsAll };
}

const ONLY_EMOJI =
  /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\uFE0F|\u200D\p{Extended_Pictographic})*|\p{Regional_Indicator}{2}|\s)+$/u;
const MAX_LARGE_EMOJI = 6;

/** A few emoji and nothing else: shown large. */
export function isOnlyEmoji(text: string): boolean {
  if (text.length > 64 || !ONLY_EMOJI.test(text) || text.trim() === '') return false;
  return [...new Intl.Segmenter().segment(text.replace(/\s/g, ''))].length <= MAX_LARGE_EMOJI;
}

/** Characters that turn the direction of what follows, or hide: what others wrote must not rearrange the page around it. */
export const withoutControls = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '');

/** A line of it, for a list. */
export const inOneLine = (text: string): string => withoutControls(text).replace(/\s+/g, ' ').trim().slice(0, 200);
