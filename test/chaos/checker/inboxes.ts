/** What the INBOX streams hold, against the fold and by itself: properties 1, 3, 4, 7, 12, 14, 15. */
import type { Seen } from '../history.ts';
import type { Evidence, Held } from './evidence.ts';
import type { Violations } from './violation.ts';

/** Entries by which a member comes in: the index may begin anywhere. */
const ENTRANCES: ReadonlySet<string> = new Set(['groupCreated', 'membersAdded', 'memberJoined']);

export function checkInboxes({ inboxes, expected }: Evidence, violations: Violations): number {
  let entries = 0;
  const indexes = new Map<string, Map<number, number>>();
  for (const user of new Set([...inboxes.keys(), ...expected.keys()])) {
    const held = inboxes.get(user) ?? [];
    entries += held.length;
    checkAlone(user, held, indexes, violations);
    checkAgainstFold(user, held, expected.get(user) ?? [], violations);
  }
  return entries;
}

/** What needs no fold: the order, the index and the marks of one inbox. */
function checkAlone(
  user: string,
  held: readonly Held[],
  indexes: Map<string, Map<number, number>>,
  violations: Violations,
): void {
  const lastPos = new Map<string, number>();
  const lastN = new Map<string, number>();
  const marks = new Map<string, number>();
  for (const { conversation, seen } of held) {
    const [type, n, pos, by, id, about] = seen;
    const before = lastPos.get(conversation) ?? 0;
    if (pos === before) violations.add(3, `${user} has ${id} of ${conversation} twice, at ${pos}`, id);
    else if (pos < before) violations.add(4, `${user} has ${pos} of ${conversation} behind ${before}`, id);
    lastPos.set(conversation, Math.max(pos, before));
    if (n > 0) {
      const known = lastN.get(conversation);
      if (known !== undefined && n !== known + 1 && !ENTRANCES.has(type)) {
        violations.add(7, `${user} has index ${n} of ${conversation} behind ${known}`, id);
      }
      lastN.set(conversation, n);
      let positions = indexes.get(conversation);
      if (!positions) indexes.set(conversation, (positions = new Map()));
      const other = positions.get(n);
      if (other !== undefined && other !== pos) {
        violations.add(7, `index ${n} of ${conversation} stands for ${other} and for ${pos}`, id);
      }
      positions.set(n, pos);
    }
    if (type === 'conversationRead') {
      const reader = JSON.stringify([conversation, by]);
      const mark = marks.get(reader) ?? 0;
      if ((about as number) <= mark)
        violations.add(14, `${by} read up to ${about} of ${conversation} after ${mark}`, id);
      marks.set(reader, about as number);
    }
  }
}

function checkAgainstFold(
  user: string,
  held: readonly Held[],
  expected: readonly Held[],
  violations: Violations,
): void {
  const conversations = new Set([...held, ...expected].map(({ conversation }) => conversation));
  const [theirs, folds] = [byConversation(held), byConversation(expected)];
  for (const conversation of conversations) {
    const wanted = new Map((folds.get(conversation) ?? []).map((seen) => [keyOf(seen), seen]));
    for (const seen of theirs.get(conversation) ?? []) {
      if (wanted.delete(keyOf(seen))) continue;
      // Twice is told by itself.
      const [type, n, pos, , id] = seen;
      const isKnown = (folds.get(conversation) ?? []).some((other) => other[2] === pos);
      if (!isKnown)
        violations.add(12, `${user} has the ${type} ${id} (${n}) of ${conversation}, at ${pos}: not theirs`, id);
      else if (!(folds.get(conversation) ?? []).some((other) => keyOf(other) === keyOf(seen))) {
        violations.add(15, `${user} has at ${pos} of ${conversation} something else than the log says`, id);
      }
    }
    for (const [type, n, pos, , id] of wanted.values()) {
      violations.add(1, `${user} lacks the ${type} ${id} (${n}) of ${conversation}, at ${pos} of the log`, id);
    }
  }
}

const keyOf = (seen: Seen): string => JSON.stringify(seen);

function byConversation(held: readonly Held[]): Map<string, Seen[]> {
  const found = new Map<string, Seen[]>();
  for (const { conversation, seen } of held) {
    const list = found.get(conversation);
    if (list) list.push(seen);
    else found.set(conversation, [seen]);
  }
  return found;
}
