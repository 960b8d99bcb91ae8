/**
 * What another build would have made of the same log: its decisions and its inboxes against those that stand there. By entries, since
 * a build that decides otherwise numbers its records otherwise.
 */
import type { DeliverFrame, Entry } from '../../protocol/frames.ts';
import { packr } from '../../protocol/messagepack.ts';
import { idOfToken } from '../../protocol/subjects.ts';
import type { ComparedWindow } from './audit-parts.ts';
import { textOfEntry } from './entry-text.ts';
import { sameBytes } from './window-check.ts';

export type Difference =
  /** What became of an event: `message`, `rejected NOT_A_MEMBER`, `duplicate` …; `nothing` where no inbox has anything of it. */
  | {
      readonly about: 'decision';
      readonly lane: number;
      readonly pos: number;
      readonly conversation: string;
      readonly stands: string;
      readonly anew: string;
    }
  | {
      readonly about: 'inbox';
      readonly lane: number;
      readonly pos: number;
      readonly conversation: string;
      readonly user: string;
      /** What stands in the inbox and what this build would write there: as JSON; undefined for nothing. */
      readonly stands: string | undefined;
      readonly anew: string | undefined;
    };

interface Told {
  readonly conversation: string;
  readonly entry: Entry;
}

/** By user's token and position: of an event each user has one entry at most. */
type Entries = Map<string, Told>;

export function differencesIn({ lane, plan, records, cutOff }: ComparedWindow): Difference[] {
  if (isSame(plan, records)) return [];
  const anew: Entries = new Map();
  for (const { kind, subject, body } of plan.slice(cutOff)) {
    if (kind === 'pack') continue;
    const bytes = kind === 'pointer' ? plan[packOffset(body)]?.body : body;
    add(anew, subject.slice(subject.lastIndexOf('.') + 1), bytes);
  }
  const stands: Entries = new Map();
  for (const held of records.values()) {
    for (const { kind, key, body } of held) {
      if (kind === 'pack') continue;
      add(stands, key, kind === 'pointer' ? records.get(packOffset(body))?.[0]?.body : body);
    }
  }
  return [...decisions(lane, stands, anew), ...inboxes(lane, stands, anew)];
}

function decisions(lane: number, stands: Entries, anew: Entries): Difference[] {
  const [before, after] = [decisionsOf(stands), decisionsOf(anew)];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((pos): Difference[] => {
    const [one, other] = [before.get(pos), after.get(pos)];
    if (one?.what === other?.what) return [];
    const conversation = one?.conversation ?? other?.conversation ?? '';
    const about = { about: 'decision', lane, pos, conversation } as const;
    return [{ ...about, stands: one?.what ?? 'nothing', anew: other?.what ?? 'nothing' }];
  });
}

function decisionsOf(entries: Entries): Map<number, { readonly what: string; readonly conversation: string }> {
  const found = new Map<number, { readonly what: string; readonly conversation: string }>();
  for (const { entry, conversation } of entries.values()) {
    const index = 'n' in entry ? `, index ${entry.n}` : '';
    const what = entry.type === 'rejected' ? `rejected ${entry.code}` : entry.type + index;
    found.set(entry.pos, { what, conversation });
  }
  return found;
}

function inboxes(lane: number, stands: Entries, anew: Entries): Difference[] {
  return [...new Set([...stands.keys(), ...anew.keys()])].flatMap((key): Difference[] => {
    const [one, other] = [stands.get(key), anew.get(key)];
    const [before, after] = [one && textOfEntry(one.entry), other && textOfEntry(other.entry)];
    if (before === after) return [];
    const [token = '', pos] = key.split(' ');
    const { conversation } = (one ?? other) as Told;
    return [
      { about: 'inbox', lane, pos: Number(pos), conversation, user: idOfToken(token), stands: before, anew: after },
    ];
  });
}

function add(entries: Entries, token: string, body: Uint8Array | undefined): void {
  // A pointer whose pack the stream has dropped: what it delivers stands in the log.
  if (!body) return;
  const { conversation, entries: delivered } = packr.unpack(body) as DeliverFrame;
  for (const entry of delivered) entries.set(`${token} ${entry.pos}`, { conversation, entry });
}

function isSame(plan: ComparedWindow['plan'], records: ComparedWindow['records']): boolean {
  if (plan.length !== records.size) return false;
  return plan.every(({ subject, body }, offset) => {
    const [held, ...others] = records.get(offset) ?? [];
    return held !== undefined && others.length === 0 && subject.endsWith(`.${held.key}`) && sameBytes(held.body, body);
  });
}

const packOffset = (body: Uint8Array): number =>
  new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(0);
