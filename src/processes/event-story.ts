/** All that became of one event: what the fold made of it, in whose inbox it stands, who has confirmed it, and how far workers are. */

import { type FanOutStanding, fanOutStanding } from '../adapters/jetstream/between-processes/lane-standing.ts';
import { askStanding, type Standing } from '../adapters/jetstream/between-processes/standing.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamInboxReader } from '../adapters/jetstream/inbox/inbox-reader.ts';
import { dropping, inboxBounds, readInboxSpan } from '../adapters/jetstream/inbox/inbox-span.ts';
import { JetstreamConversationReader } from '../adapters/jetstream/log/conversation-reader.ts';
import { lastPosAt } from '../adapters/jetstream/log/log-places.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { partsOf } from '../application/delivery/epoch.ts';
import { foldOneEvent, type Outcome } from '../application/replay/one-event.ts';
import type { ConversationId, UserId } from '../domain/ids.ts';
import { isUnreadable, type LogEvent, type LogRecord } from '../ports/conversation-log.ts';
import type { InboxMessage } from '../ports/inbox-reader.ts';
import type { Log } from '../ports/log.ts';
import { LaneTerms } from '../projections/lane-terms.ts';
import { REPAIR_LANE } from '../projections/repair-lane.ts';
import { asRookeryError, type ErrorCode, RookeryError } from '../protocol/error-codes.ts';
import type { Cursor, DeliverFrame } from '../protocol/frames.ts';
import { bodyOf, decodeOrigin, type Origin, pointerBodyOf, RecordKind } from '../protocol/inbox-record.ts';
import { packr } from '../protocol/messagepack.ts';
import {
  convStreamName,
  convStreamOf,
  inboxStreamName,
  inboxStreamOfToken,
  inboxSubjectOfToken,
  type Topology,
  tokenOf,
} from '../protocol/subjects.ts';

/** Of more recipients the devices are not looked up: each is a question to the server. */
const MAX_LOOKED_UP = 50;
/** Between the clocks of the streams' leaders. */
const CLOCK_SLACK_MS = 60_000;

export interface DeviceStanding {
  readonly device: string;
  /** The sequence in the inbox stream that it has confirmed. */
  readonly seq: number;
  /** Else it was in one that is gone, whose sequences say nothing of those that there are now. */
  readonly isOfThisStream: boolean;
  /** It has this entry, and said so. */
  readonly hasConfirmed: boolean;
}

export interface Recipient {
  readonly user: UserId;
  readonly inboxStream: string;
  /** Where it stands in the inbox; absent: it is not there (yet, or no longer: see the story's `inboxes`). */
  readonly seq?: number;
  /** How far they have read the conversation. */
  readonly readUpTo: number;
  readonly devices?: readonly DeviceStanding[];
}

export interface Story {
  readonly record: LogRecord;
  readonly envelope: {
    readonly subject: string;
    readonly messageId: string;
    readonly bytes: number;
    /** Undefined where what stands there tells none. */
    readonly schema: number | undefined;
  };
  readonly outcome: Outcome | undefined;
  readonly recipients: readonly Recipient[];
  /** Positions of retries of it, which the fold refused. */
  readonly duplicates: readonly { readonly pos: number; readonly at: number }[];
  /** Of INBOX streams it concerns: why an entry may not be found there; absent where it can be. */
  readonly inboxes: Readonly<Record<string, 'STREAM_MISSING' | 'beyond retention' | 'not yet'>>;
  readonly fanOut: FanOutStanding;
  readonly readModels: readonly Standing[];
}

export interface StoryParts {
  readonly nats: Nats;
  readonly topology: Topology;
  readonly log: Log;
  /** Aborted: whoever asked wants to know no more. */
  readonly stop: AbortSignal;
}

/** @returns undefined when `stop` aborted. @throws RookeryError NOT_FOUND, STREAM_MISSING, LOG_UNAVAILABLE */
export async function storyOf(parts: StoryParts, convStream: number, pos: number): Promise<Story | undefined> {
  const { nats, topology, stop } = parts;
  const { nc, jsm, inboxPrefix } = nats;
  const record = await new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream }).at(pos);
  const stored = record && (await jsm.streams.getMessage(convStreamName(convStream), { seq: pos }));
  if (!record || !stored) throw new RookeryError('NOT_FOUND', `nothing stands at ${convStreamName(convStream)}@${pos}`);
  const envelope = {
    subject: stored.subject,
    messageId: stored.header?.get('Nats-Msg-Id') ?? '',
    bytes: stored.data.length,
    schema: schemaOf(stored.data),
  };
  const fanOut = await fanOutStanding(jsm, convStream, topology, Date.now());
  const readModels = await askStanding(nc);
  const about = { record, envelope, fanOut, readModels };
  if (isUnreadable(record)) return { ...about, outcome: undefined, recipients: [], duplicates: [], inboxes: {} };
  const { conversation } = record;
  const reader = new JetstreamConversationReader({ nc, jsm, inboxPrefix, convStream, conversation });
  const folded = await foldOneEvent(reader, record, stop);
  if (!folded) return undefined;
  const { outcome, audience, readMarks, duplicates } = folded;
  const found = await Promise.all(
    [...streamsOf(audience, topology)].map(([k, users]) => inInbox(parts, k, fanOut, record, users)),
  );
  const places = new Map(found.flatMap(({ places }) => [...places]));
  const inboxes = Object.fromEntries(
    found.flatMap(({ stream, why }) => (why === undefined ? [] : [[stream, why] as const])),
  );
  const recipients: Recipient[] = [];
  for (const user of audience) {
    if (stop.aborted) return undefined;
    const k = inboxStreamOfToken(tokenOf(user), topology);
    const seq = places.get(tokenOf(user));
    const place = { convStream, pos, k, seq };
    const devices = audience.length <= MAX_LOOKED_UP ? await devicesOf(parts, user, place) : undefined;
    recipients.push({
      ...{ user, inboxStream: inboxStreamName(k), readUpTo: readMarks.get(user) ?? 0 },
      ...(seq !== undefined && { seq }),
      ...(devices && { devices }),
    });
  }
  return { ...about, outcome, recipients, duplicates, inboxes };
}

function schemaOf(data: Uint8Array): number | undefined {
  try {
    const version = (packr.unpack(data) as { readonly v?: unknown } | null)?.v;
    return typeof version === 'number' ? version : undefined;
  } catch {
    return undefined;
  }
}

function streamsOf(audience: readonly UserId[], topology: Topology): Map<number, Set<string>> {
  const streams = new Map<number, Set<string>>();
  for (const user of audience) {
    const token = tokenOf(user);
    const k = inboxStreamOfToken(token, topology);
    streams.set(k, (streams.get(k) ?? new Set()).add(token));
  }
  return streams;
}

interface InInbox {
  readonly stream: string;
  readonly places: ReadonlyMap<string, number>;
  readonly why?: Story['inboxes'][string];
}

/** From shortly before the event was stored, until a checkpoint says that all of its window was written; then what repairs wrote. */
async function inInbox(
  { nats, log, stop }: StoryParts,
  k: number,
  { lane, acked }: FanOutStanding,
  record: LogEvent,
  tokens: ReadonlySet<string>,
): Promise<InInbox> {
  const stream = inboxStreamName(k);
  const places = new Map<string, number>();
  try {
    const bounds = await inboxBounds(nats.jsm, k);
    const { first, last } = bounds;
    const terms = new LaneTerms();
    const markers = await new JetstreamInboxReader({ ...nats, stream: k, log }).markers();
    for (const { data, seq } of markers) terms.observeMarker(decodeOrigin(data), seq);
    const from = 1 + (await lastPosAt(nats, stream, record.at - CLOCK_SLACK_MS));
    let isOldest = from <= first;
    let isCutOff = isOldest && acked >= record.pos;
    let isComplete = false;
    for await (const message of readInboxSpan(nats, k, Math.max(first, from), last)) {
      if (stop.aborted) break;
      const origin = decodeOrigin(message.data);
      if (origin.lane !== lane || terms.judge(origin, message.seq) !== 'valid') continue;
      // The oldest of the lane that is kept, where it tells: a window's first record has the offset 0.
      if (isOldest)
        isCutOff = record.pos <= origin.to && (message.kind === 'cp' || origin.from > record.pos || origin.offset > 0);
      isOldest = false;
      if (message.kind === 'cp' && origin.to >= record.pos) isComplete = true;
      if (isComplete) break;
      if (tokens.has(message.key) && isOf(message, origin, record)) places.set(message.key, message.seq);
    }
    const repair = markers.find(({ data }) => decodeOrigin(data).lane === REPAIR_LANE);
    const missing = new Set([...tokens].filter((token) => !places.has(token)));
    if (repair && missing.size > 0) {
      const subjects = missing.size <= MAX_LOOKED_UP ? [...missing].map(inboxSubjectOfToken) : undefined;
      for await (const message of readInboxSpan(nats, k, Math.max(first, repair.seq), last, subjects)) {
        if (stop.aborted) break;
        const origin = decodeOrigin(message.data);
        if (origin.lane !== REPAIR_LANE || terms.judge(origin, message.seq) !== 'valid') continue;
        // Of several the newest counts.
        if (missing.has(message.key) && isOf(message, origin, record)) places.set(message.key, message.seq);
      }
    }
    if (places.size === tokens.size) return { stream, places };
    if (isCutOff && dropping(bounds)(record.at)) return { stream, places, why: 'beyond retention' };
    return isComplete ? { stream, places } : { stream, places, why: 'not yet' };
  } catch (thrown) {
    if (asRookeryError(thrown).code !== ('STREAM_MISSING' satisfies ErrorCode)) throw thrown;
    return { stream, places, why: 'STREAM_MISSING' };
  }
}

const isOf = (message: InboxMessage, { from, to }: Origin, { conversation, pos }: LogEvent): boolean =>
  message.kind === 'inbox' && from <= pos && pos <= to && holds(message, conversation, pos);

function holds({ data }: InboxMessage, conversation: ConversationId, pos: number): boolean {
  if (decodeOrigin(data).kind === RecordKind.pointer) {
    const [of, , steps] = packr.unpack(pointerBodyOf(data)) as [ConversationId, number, number[]];
    let at = 0;
    return of === conversation && steps.some((step) => (at += step) === pos);
  }
  const frame = packr.unpack(bodyOf(data)) as DeliverFrame;
  return frame.conversation === conversation && frame.entries.some((entry) => entry.pos === pos);
}

/** Where an event stands in the log, and in an inbox. */
interface Places {
  readonly convStream: number;
  readonly pos: number;
  readonly k: number;
  readonly seq: number | undefined;
}

async function devicesOf({ nats }: StoryParts, user: UserId, { convStream, pos, k, seq }: Places) {
  const { jsm } = nats;
  const { created } = await jsm.streams.info(inboxStreamName(k)).catch(() => ({ created: 0 }));
  const epoch = new Date(created as unknown as string).getTime().toString(36);
  const subject = `$KV.cursors.${tokenOf(user).replaceAll('~', '=')}.*`;
  const devices: DeviceStanding[] = [];
  for (let from = 1; ; ) {
    const message = await jsm.direct.getMessage('KV_cursors', { next_by_subj: subject, seq: from });
    if (!message) return devices;
    from = message.seq + 1;
    if (message.data.length === 0) continue;
    const cursor = message.json<Cursor>();
    const device = message.subject.slice(message.subject.lastIndexOf('.') + 1).replaceAll('=', '~');
    const { stream, replayed } = partsOf(cursor.epoch);
    const isOfThisStream = stream === epoch;
    // To whom the log is replayed has what stands in the stream when that has come so far.
    const isReplayed = !replayed || convStream < replayed.log || (convStream === replayed.log && pos <= replayed.pos);
    const hasConfirmed = isOfThisStream && isReplayed && seq !== undefined && cursor.seq >= seq;
    devices.push({ device, seq: cursor.seq, isOfThisStream, hasConfirmed });
  }
}

/**
 * Positions of events with this id, by whoever wrote them. An id that carries its time (UUIDv7) is looked for around that time, any
 * other in the whole log, and so is one that is not there: an imported log need not be in the order of its times. Ends when `stop` aborts.
 */
export async function* positionsOf(
  parts: StoryParts,
  id: string,
  around: { readonly from: number; readonly to: number } | undefined,
  conversation: ConversationId | undefined,
  onProgress: (pos: number, end: number) => void,
) {
  let isFound = false;
  for await (const found of positionsWithin(parts, id, around, conversation, onProgress)) {
    isFound = true;
    yield found;
  }
  if (around && !isFound && !parts.stop.aborted) yield* positionsWithin(parts, id, undefined, conversation, onProgress);
}

async function* positionsWithin(
  { nats, topology, stop }: StoryParts,
  id: string,
  around: { readonly from: number; readonly to: number } | undefined,
  conversation: ConversationId | undefined,
  onProgress: (pos: number, end: number) => void,
) {
  const { nc, jsm, inboxPrefix } = nats;
  for (let convStream = 0; convStream < topology.convStreams; convStream++) {
    if (conversation !== undefined && convStreamOf(conversation, topology) !== convStream) continue;
    const parts = { nc, jsm, inboxPrefix, convStream };
    const reader =
      conversation === undefined
        ? new JetstreamLogReader(parts)
        : new JetstreamConversationReader({ ...parts, conversation });
    const stream = convStreamName(convStream);
    const from = around ? (await lastPosAt(nats, stream, around.from)) + 1 : 1;
    const end = around ? await lastPosAt(nats, stream, around.to) : await reader.lastPos();
    for await (const record of reader.read(from, end)) {
      if (stop.aborted) return;
      onProgress(record.pos, end);
      if (!isUnreadable(record) && record.event.id === id) yield { convStream, record };
    }
  }
}
