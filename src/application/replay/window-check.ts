/**
 * One window's records as the log gives them, against those that stand in the stream; and what it would take to put them right.
 *
 * An inbox is in order, and nothing can be put between two messages of a stream. So where one entry of a user's is wrong, it and all
 * behind it of that conversation are written anew at the end, in their order, and those before are taken away (`moves`). Devices
 * drop what they had by (conversation, position); one that had not come so far gets all of it in order.
 */
import type { PlannedRecord } from '../../ports/inbox-writer.ts';
import { windowKey } from '../../projections/repair-lane.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { DeliverFrame } from '../../protocol/frames.ts';
import { packr } from '../../protocol/messagepack.ts';
import { convStreamName, idOfToken, inboxStreamName } from '../../protocol/subjects.ts';
import type { AuditParts, Finding, Flaw, Held } from './audit-parts.ts';
import { textOfEntry } from './entry-text.ts';

/** Records that a repair moves, over all conversations; beyond, the stream is better built anew. */
const MAX_MOVES = 50_000;

/** A record that is written anew at the end of the stream, as a copy; and the sequences of what it takes the place of. */
export interface Move {
  readonly subject: string;
  readonly from: number;
  readonly to: number;
  readonly offset: number;
  readonly body: Uint8Array;
  readonly replaces: readonly number[];
}

interface Window {
  readonly from: number;
  readonly to: number;
}

interface Planned extends Window {
  readonly record: PlannedRecord;
  readonly offset: number;
  readonly plan: readonly PlannedRecord[];
}

export class WindowCheck {
  readonly #parts: AuditParts;
  /** By user's token and conversation: from the first flaw on, what has to be written anew. */
  readonly #moves = new Map<string, Move[]>();
  #moveCount = 0;
  /** Records that stand beside the right ones. */
  readonly #surplus: number[] = [];
  /** Sequence of the newest entry of those in whose inbox a repair has written. */
  readonly #lastSeq = new Map<string, number>();
  /** Tokens of users. */
  readonly #repairedUsers: ReadonlySet<string>;
  readonly #flawedUsers = new Set<string>();

  constructor(parts: AuditParts) {
    this.#parts = parts;
    this.#repairedUsers = new Set(
      [...parts.repaired.values()].flatMap((window) => [...window.values()].flat().map(({ key }) => key)),
    );
  }

  /** In the order of writing. @throws RookeryError STREAM_CHANGE_REFUSED when there are too many */
  get moves(): readonly Move[] {
    if (this.#moveCount > MAX_MOVES) {
      const stream = inboxStreamName(this.#parts.inboxStream);
      const text = `${this.#moveCount} records of ${stream} would be written anew, more than ${MAX_MOVES}: rookery rebuild inbox`;
      throw new RookeryError('STREAM_CHANGE_REFUSED', text);
    }
    return [...this.#moves.values()].flat();
  }

  get surplus(): readonly number[] {
    return this.#surplus;
  }

  /** A window that was written once before, and is whole there. */
  repeated(records: ReadonlyMap<number, readonly Held[]>): void {
    for (const held of [...records.values()].flat()) {
      this.#surplus.push(held.seq);
      this.#tell('doubled', held, frameOf(held.body, held.kind));
    }
  }

  /** @param cutOff records with a smaller offset were dropped with what came before them */
  compare(
    window: Window,
    plan: readonly PlannedRecord[],
    records: ReadonlyMap<number, readonly Held[]>,
    cutOff: number,
  ): void {
    const badPacks = this.#badPacks(plan, records, cutOff);
    for (const [offset, record] of plan.entries()) {
      if (record.kind === 'pack') continue;
      const [held, ...others] = records.get(offset) ?? [];
      const planned = { ...window, record, offset, plan };
      this.#judge(planned, held, others, offset < cutOff, badPacks);
    }
    for (const [offset, held] of records) {
      if (offset < plan.length) continue;
      for (const one of held) {
        this.#surplus.push(one.seq);
        this.#tell('not theirs', one, frameOf(one.body, one.kind));
      }
    }
  }

  #judge(
    planned: Planned,
    held: Held | undefined,
    others: readonly Held[],
    isDropped: boolean,
    badPacks: ReadonlySet<number>,
  ): void {
    const { record, offset, from, to, plan } = planned;
    const key = record.subject.slice(record.subject.lastIndexOf('.') + 1);
    const repairs = this.#parts.repaired.get(windowKey(this.#parts.lane, from, to))?.get(offset) ?? [];
    const repaired = repairs.at(-1);
    const place = repaired ?? held;
    const beside = [...(repaired && held ? [held] : []), ...others, ...repairs.slice(0, -1)];
    for (const one of beside) {
      this.#surplus.push(one.seq);
      this.#tell('doubled', one, frameOfPlanned(record, plan));
    }
    const isPointer = record.kind === 'pointer';
    const wanted = repaired && isPointer ? (plan[packOffsetIn(record)]?.body ?? record.body) : record.body;
    const isRight = place !== undefined && place.key === key && sameBytes(place.body, wanted);
    const hasPack = !isPointer || repaired !== undefined || !badPacks.has(packOffsetIn(record));
    let flaw: Flaw | undefined;
    if (!place) flaw = isDropped ? undefined : 'missing';
    else if (!isRight || !hasPack) flaw = 'damaged';
    if (!flaw && this.#moves.size === 0 && this.#repairedUsers.size === 0) return;
    const isConcerned = flaw !== undefined || this.#isConcerned(key);
    if (!isConcerned || (isDropped && !place)) return;
    const frame = frameOfPlanned(record, plan);
    flaw ??= this.#isBehind(key, frame, place) ? 'out of order' : undefined;
    if (flaw) {
      const difference = place && !isRight ? differenceOf(frame, place) : undefined;
      this.#tell(flaw, { ...(place ?? {}), key }, frame, difference);
    }
    this.#move(planned, key, frame, place, flaw !== undefined);
  }

  /** Whether this user has something to be written anew, or has got something from a repair. */
  #isConcerned(key: string): boolean {
    return this.#repairedUsers.has(key) || this.#flawedUsers.has(key);
  }

  #isBehind(key: string, { conversation }: DeliverFrame, place: Held | undefined): boolean {
    if (!place || !this.#repairedUsers.has(key)) return false;
    const last = this.#lastSeq.get(`${key} ${conversation}`) ?? 0;
    this.#lastSeq.set(`${key} ${conversation}`, Math.max(last, place.seq));
    return place.seq < last;
  }

  #move(
    { record, from, to, offset, plan }: Planned,
    key: string,
    { conversation }: DeliverFrame,
    place: Held | undefined,
    isFlawed: boolean,
  ): void {
    const name = `${key} ${conversation}`;
    let moves = this.#moves.get(name);
    if (!moves && !isFlawed) return;
    if (!moves) this.#moves.set(name, (moves = []));
    this.#flawedUsers.add(key);
    this.#moveCount += 1;
    if (this.#moveCount > MAX_MOVES) return;
    const body = record.kind === 'pointer' ? (plan[packOffsetIn(record)]?.body ?? record.body) : record.body;
    moves.push({ subject: record.subject, from, to, offset, body, replaces: place ? [place.seq] : [] });
  }

  /** Packs that are not there, or not right: every pointer to one is damaged. */
  #badPacks(
    plan: readonly PlannedRecord[],
    records: ReadonlyMap<number, readonly Held[]>,
    cutOff: number,
  ): ReadonlySet<number> {
    const bad = new Set<number>();
    for (const [offset, { kind, body }] of plan.entries()) {
      const [held] = records.get(offset) ?? [];
      // What the stream has dropped is resolved from the log.
      if (kind !== 'pack' || (!held && offset < cutOff)) continue;
      if (held?.kind !== 'pack' || !sameBytes(held.body, body)) bad.add(offset);
    }
    return bad;
  }

  #tell(flaw: Flaw, { seq, key }: Partial<Held>, frame: DeliverFrame | undefined, difference?: string): void {
    const { lane, inboxStream, onFinding } = this.#parts;
    const finding: Finding = {
      ...{ flaw, lane, inboxStream },
      ...(key !== undefined && { user: idOfToken(key) }),
      ...(frame && { conversation: frame.conversation, positions: frame.entries.map(({ pos }) => pos) }),
      ...(seq !== undefined && { seq }),
      ...(difference !== undefined && { difference }),
    };
    onFinding(finding);
  }
}

const packOffsetIn = ({ body }: PlannedRecord): number =>
  new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(0);

/** A planned record is sound: its own bytes say what it delivers. */
function frameOfPlanned(record: PlannedRecord, plan: readonly PlannedRecord[]): DeliverFrame {
  const body = record.kind === 'pointer' ? (plan[packOffsetIn(record)]?.body ?? record.body) : record.body;
  return packr.unpack(body) as DeliverFrame;
}

/** Of bytes that may be damaged: undefined where they say nothing. */
function frameOf(body: Uint8Array, kind: Held['kind']): DeliverFrame | undefined {
  if (kind === 'pointer') return undefined;
  try {
    const frame = packr.unpack(body) as Partial<DeliverFrame> | null;
    return typeof frame?.conversation === 'string' && Array.isArray(frame.entries)
      ? (frame as DeliverFrame)
      : undefined;
  } catch {
    return undefined;
  }
}

function differenceOf(wanted: DeliverFrame, { body, kind }: Held): string {
  const found = frameOf(body, kind);
  if (!found) return 'its bytes are not readable';
  for (const [i, entry] of wanted.entries.entries()) {
    const other = found.entries[i] as unknown as Record<string, unknown> | undefined;
    for (const [field, value] of Object.entries(entry)) {
      const [says, there] = [textOfEntry(value), textOfEntry(other?.[field])];
      if (says !== there) return `${field}: the log says ${says}, it says ${there || 'nothing'}`;
    }
  }
  return 'it differs in its bytes';
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

/** A finding on one line. */
export function findingText({
  flaw,
  lane,
  inboxStream,
  user,
  conversation,
  positions,
  seq,
  difference,
}: Finding): string {
  const where = `${inboxStreamName(inboxStream)}${seq === undefined ? '' : `@${seq}`}`;
  const [first] = positions ?? [];
  const more = (positions?.length ?? 0) > 1 ? ` … ${positions?.at(-1)}` : '';
  const what = first === undefined ? '' : `  ${convStreamName(lane)}@${first}${more} of ${conversation}`;
  return `${flaw}  ${where}${user === undefined ? '' : `  ${user}`}${what}${difference === undefined ? '' : `  (${difference})`}`;
}
