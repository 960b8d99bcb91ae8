/**
 * Decides from the history, the log and the inboxes whether every promise was kept. The log's first record of an id is the
 * message; its later ones are repetitions. From that the one order of each conversation follows, which every inbox and every
 * device must have had, without a gap, from the first entry on.
 */
import { JetstreamLogReader } from '../../src/adapters/jetstream/log-reader.ts';
import { isUnreadable } from '../../src/ports/conversation-log.ts';
import { readInboxes } from '../support/inboxes.ts';
import type { Deployment } from './deployment/deployment.ts';
import { type Line, readHistory } from './history.ts';

/** Violations of a kind that are printed; the history has them all. */
const MAX_SHOWN = 5;

export interface Verdict {
  readonly violations: readonly string[];
  /** What was looked at, in words. */
  readonly counts: Readonly<Record<string, number>>;
}

interface Message {
  readonly key: string;
  readonly by: string;
  readonly pos: number;
}

/** By conversation, in the order of the log. */
export type Timelines = ReadonlyMap<string, readonly Message[]>;

/** All that is judged. */
export interface Evidence {
  readonly history: readonly Line[];
  readonly timelines: Timelines;
  /** By user. */
  readonly inboxes: Holdings;
}

export async function judge(deployment: Deployment, historyFile: string): Promise<Verdict> {
  const evidence: Evidence = {
    history: await readHistory(historyFile),
    timelines: await readLog(deployment),
    inboxes: await inInboxes(deployment),
  };
  return { violations: violationsOf(evidence), counts: countsOf(evidence) };
}

export function violationsOf({ history, timelines, inboxes }: Evidence): string[] {
  const devices = onDevices(history);
  return [
    ...history.flatMap((line) => (line.what === 'broken' ? [`${line.user}/${line.device}: ${line.reason}`] : [])),
    ...show('acked, and not in the log', lost(history, timelines)),
    ...show('in the log, and sent by nobody', phantoms(history, timelines)),
    ...show('a sender’s order is broken', outOfOrder(history, timelines)),
    ...show('sent after an ack, and before what was acked in the log', notInRealTime(history, timelines)),
    ...show('an inbox does not hold what the log has', differences(inboxes, timelines)),
    ...show('a device was not handed what the log has', differences(devices, timelines)),
    ...show('a sender or a device has not even the conversation', absent(devices, inboxes, timelines)),
  ];
}

function countsOf({ history, inboxes }: Evidence): Record<string, number> {
  const count = (what: Line['what']): number => history.filter((line) => line.what === what).length;
  const refused = Map.groupBy(
    history.filter((line) => line.what === 'refused'),
    ({ code }) => `refused with ${code}`,
  );
  return {
    'messages sent': count('send'),
    acked: count('acked'),
    ...Object.fromEntries([...refused].map(([what, lines]) => [what, lines.length])),
    'entries handed to devices': count('entry'),
    'entries in inboxes': [...inboxes.values()].flat().reduce((sum, { indexes }) => sum + indexes.length, 0),
  };
}

async function readLog({ operator, topology }: Deployment): Promise<Timelines> {
  const timelines = new Map<string, Message[]>();
  const seen = new Set<string>();
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    const reader = new JetstreamLogReader({ ...operator, convStream });
    for await (const record of reader.read(1, await reader.lastPos())) {
      if (isUnreadable(record) || record.event.type !== 'messageSent') continue;
      const { by, id } = record.event;
      const key = keyOf(record.conversation, by, id);
      if (seen.has(key)) continue;
      seen.add(key);
      const timeline = timelines.get(record.conversation) ?? [];
      timelines.set(record.conversation, timeline);
      timeline.push({ key, by, pos: record.pos });
    }
  }
  return timelines;
}

export const keyOf = (conversation: string, by: string, id: string): string => `${conversation} ${by} ${id}`;

function lost(history: readonly Line[], timelines: Timelines): string[] {
  const logged = keysOf(timelines);
  return history.flatMap((line) => {
    if (line.what !== 'acked') return [];
    const key = keyOf(line.conversation, line.by, line.id);
    return logged.has(key) ? [] : [`${key} at ${line.pos}`];
  });
}

function phantoms(history: readonly Line[], timelines: Timelines): string[] {
  const sent = new Set(
    history.flatMap((line) => (line.what === 'send' ? [keyOf(line.conversation, line.by, line.id)] : [])),
  );
  return [...keysOf(timelines)].filter((key) => !sent.has(key));
}

/** First sends only: a repetition belongs where the first one is. */
function outOfOrder(history: readonly Line[], timelines: Timelines): string[] {
  const place = new Map<string, number>();
  for (const line of history) {
    const key = line.what === 'send' ? keyOf(line.conversation, line.by, line.id) : '';
    if (key !== '' && !place.has(key)) place.set(key, place.size);
  }
  const found: string[] = [];
  for (const timeline of timelines.values()) {
    const last = new Map<string, Message>();
    for (const message of timeline) {
      const before = last.get(message.by);
      if (before && (place.get(before.key) ?? 0) > (place.get(message.key) ?? 0)) {
        found.push(`${message.key} stands behind ${before.key}`);
      }
      last.set(message.by, message);
    }
  }
  return found;
}

/** Within a conversation: whoever sends after an ack stands behind what was acked. */
function notInRealTime(history: readonly Line[], timelines: Timelines): string[] {
  const positions = new Map([...timelines.values()].flat().map(({ key, pos }) => [key, pos]));
  const acked = new Map<string, number>();
  const found: string[] = [];
  for (const line of history) {
    if (line.what !== 'acked' && line.what !== 'send') continue;
    const key = keyOf(line.conversation, line.by, line.id);
    const pos = positions.get(key);
    if (pos === undefined) continue;
    const before = acked.get(line.conversation) ?? 0;
    if (line.what === 'acked') acked.set(line.conversation, Math.max(before, pos));
    else if (!line.isRepeated && pos < before) found.push(`${key} at ${pos}, sent after the ack of ${before}`);
  }
  return found;
}

/** What somebody has of a conversation: messages in the order in which they came, and every index. */
export interface Held {
  readonly conversation: string;
  readonly keys: string[];
  readonly indexes: number[];
}

/** By who has it: `user-1`, or `user-1/phone`. */
export type Holdings = ReadonlyMap<string, readonly Held[]>;

function onDevices(history: readonly Line[]): Holdings {
  const held = new Map<string, Map<string, Held>>();
  for (const line of history) {
    if (line.what !== 'entry') continue;
    hold(held, `${line.user}/${line.device}`, line);
  }
  return new Map([...held].map(([who, of]) => [who, [...of.values()]]));
}

async function inInboxes({ operator, topology }: Deployment): Promise<Holdings> {
  const held = new Map<string, Map<string, Held>>();
  const { of } = await readInboxes(operator, topology);
  for (const [user, entries] of of) for (const entry of entries) hold(held, user, entry);
  return new Map([...held].map(([who, of]) => [who, [...of.values()]]));
}

interface Entry {
  readonly conversation: string;
  readonly type: string;
  readonly n?: number;
  readonly id?: string;
  readonly by?: string;
}

function hold(held: Map<string, Map<string, Held>>, who: string, { conversation, type, n, id, by }: Entry): void {
  const mine = held.get(who) ?? new Map<string, Held>();
  held.set(who, mine);
  const one = mine.get(conversation) ?? { conversation, keys: [], indexes: [] };
  mine.set(conversation, one);
  if (n === undefined) return;
  one.indexes.push(n);
  if (type === 'message') one.keys.push(keyOf(conversation, by ?? '', id ?? ''));
}

function differences(held: Holdings, timelines: Timelines): string[] {
  const found: string[] = [];
  for (const [who, all] of held) {
    for (const { conversation, keys, indexes } of all) {
      const expected = (timelines.get(conversation) ?? []).map(({ key }) => key);
      const at = expected.findIndex((key, i) => keys[i] !== key);
      const end = Math.min(keys.length, expected.length);
      if (at >= 0 || keys.length !== expected.length) {
        const place = at >= 0 ? at : end;
        found.push(
          `${who} in ${conversation}: ${keys.length} of ${expected.length}; number ${place + 1} is ` +
            `${keys[place] ?? 'nothing'} instead of ${expected[place] ?? 'nothing'}`,
        );
      }
      const gap = indexes.findIndex((n, i) => n !== i + 1);
      if (gap >= 0) found.push(`${who} in ${conversation}: index ${indexes[gap]} comes where ${gap + 1} should`);
    }
  }
  return found;
}

/** Whoever has sent to a conversation has it in the inbox; what the inbox has, each device has been handed. */
function absent(devices: Holdings, inboxes: Holdings, timelines: Timelines): string[] {
  const has = (held: readonly Held[] | undefined, id: string): boolean =>
    held?.some(({ conversation }) => conversation === id) ?? false;
  const found: string[] = [];
  for (const [id, timeline] of timelines) {
    for (const by of new Set(timeline.map((message) => message.by))) {
      if (!has(inboxes.get(by), id)) found.push(`${by} has sent to ${id} and has nothing of it in the inbox`);
    }
  }
  for (const [who, held] of devices) {
    const inbox = inboxes.get(who.slice(0, who.indexOf('/'))) ?? [];
    for (const { conversation } of inbox)
      if (!has(held, conversation)) found.push(`${who} has nothing of ${conversation}`);
  }
  return found;
}

const keysOf = (timelines: Timelines): Set<string> => new Set([...timelines.values()].flat().map(({ key }) => key));

const show = (what: string, found: readonly string[]): string[] =>
  found.length === 0
    ? []
    : [
        `${what}: ${found.length}\n${found
          .slice(0, MAX_SHOWN)
          .map((line) => `  ${line}`)
          .join('\n')}`,
      ];
