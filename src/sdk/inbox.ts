/**
 * How far a device is: in each conversation by its mark, in the inbox stream by its cursor. Pure. Two sets of marks: what
 * was received tells repetitions and gaps, what the app has handled is what gets stored, so that a crash repeats and never
 * loses.
 *
 * Memory: a mark a conversation. Entries are not kept.
 */
import { type ClientMsgId, type ConversationId, directPair, type UserId } from '../domain/ids.ts';
import type { ErrorCode } from '../protocol/error-codes.ts';
import type { Cursor, CursorFrame, Entry, Resume } from '../protocol/frames.ts';
import type { Delivered } from './deliveries.ts';
import type { Gap } from './inputs-and-effects.ts';
import type { Mark, StoredCursor, StoredState } from './storage.ts';
import type { PendingSync } from './sync.ts';

const NOTHING: Mark = { pos: 0, n: 0, at: 0 };

export interface Received {
  /** Not handed over before, in order. */
  readonly fresh: readonly Entry[];
  /** Where it is not `lost`, nothing behind it is in `fresh`, and the inbox is to be asked again. */
  readonly gap?: Gap;
  /** What the log's fold returned to this user. */
  readonly rejected: readonly { readonly id: ClientMsgId; readonly code: ErrorCode }[];
}

export interface Progress {
  readonly cursor: StoredCursor | undefined;
  /** Those that moved since the last time. */
  readonly marks: readonly (readonly [ConversationId, Mark])[];
}

export class Inbox {
  readonly #received: Map<ConversationId, Mark>;
  readonly #handled: Map<ConversationId, Mark>;
  /** Handled, and not yet given out to be stored. */
  readonly #moved = new Set<ConversationId>();
  /** Indexes behind which entries were missing, and the inbox was asked again. */
  readonly #askedAgain = new Map<ConversationId, number>();
  #resume: Resume;
  /** All before it is handled. Within an epoch it only grows, also while the inbox is read again from its beginning. */
  #cursor: Cursor | undefined;
  /** All that the log had before this time is handled, or told by the sync under way. */
  #asOf: number | undefined;
  /** What goes into the storage with the cursor. */
  #sync: PendingSync | undefined;
  #cursorMoved = false;
  /** What is being stored, of that which is to be told as delivered. */
  #storing: Delivered[] = [];

  constructor({ cursor, marks }: StoredState, first: 'latest' | 'everything') {
    this.#received = new Map(marks);
    this.#handled = new Map(marks);
    this.#cursor = cursor && { epoch: cursor.epoch, seq: cursor.seq };
    this.#asOf = cursor?.asOf;
    this.#sync = cursor?.sync;
    this.#resume = this.#cursor ?? first;
    // What has come live since the sync began is behind the marks, what is to be told lies before or behind.
    if (this.#sync) this.resynced();
  }

  /** Where the next connection begins. */
  get resume(): Resume {
    return this.#resume;
  }

  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  /** Milliseconds since 1970: all that the log had before is handled; 0 where nothing is known. */
  get asOf(): number {
    return this.#asOf ?? 0;
  }

  /** Whether there is something to store. */
  get hasProgress(): boolean {
    return this.#cursorMoved || this.#moved.size > 0;
  }

  receive(conversation: ConversationId, entries: readonly Entry[], me: UserId): Received {
    const fresh: Entry[] = [];
    const rejected: { id: ClientMsgId; code: ErrorCode }[] = [];
    let mark = this.#received.get(conversation) ?? NOTHING;
    let gap: Gap | undefined;
    for (const entry of entries) {
      if (isRepeated(entry, mark)) continue;
      const missing = missingBefore(entry, mark, me);
      if (missing) {
        const lost = this.#askedAgain.get(conversation) === missing.after;
        gap = { ...missing, lost };
        if (!lost) {
          this.#askedAgain.set(conversation, missing.after);
          this.#resume = 'everything';
          break;
        }
      }
      mark = advanced(mark, entry);
      fresh.push(entry);
      if (entry.type === 'rejected' && entry.by === me) rejected.push(entry);
    }
    if (fresh.length > 0) this.#received.set(conversation, mark);
    if (mark.n > (this.#askedAgain.get(conversation) ?? mark.n)) this.#askedAgain.delete(conversation);
    return { fresh, rejected, ...(gap && { gap }) };
  }

  /** A cursor frame: a later connection goes on from here. It may lie before what is stored, while the inbox is read again. */
  reached(cursor: Cursor): void {
    this.#resume = cursor;
  }

  /** The next connection has no cursor to go on from. */
  restart(): void {
    this.#resume = 'latest';
  }

  /** What is not told yet, to be stored with the next cursor that is passed. */
  pends(sync: PendingSync | undefined): void {
    this.#sync = sync;
    this.#cursorMoved = this.#cursor !== undefined;
  }

  /**
   * The newest index is told, as a read model has it that may be late: what came live before a crash can be further.
   * @returns whether entries go on from it; not where one has come live already
   */
  goesOnFrom(conversation: ConversationId, lastIndex: number): boolean {
    const mark = this.#received.get(conversation) ?? NOTHING;
    if (mark.n > 0) return false;
    const { n } = this.#handled.get(conversation) ?? NOTHING;
    this.#received.set(conversation, { ...mark, n: Math.max(n, lastIndex) });
    return true;
  }

  /** As `goesOnFrom` has said; handled. */
  told(moved: readonly (readonly [ConversationId, number])[]): void {
    for (const [conversation, lastIndex] of moved) {
      const mark = this.#handled.get(conversation) ?? NOTHING;
      this.#handled.set(conversation, { ...mark, n: Math.max(mark.n, lastIndex) });
      this.#moved.add(conversation);
    }
  }

  /**
   * Of the list one page was told, and no more will be. Where what is handled is not what has come since, what a crash would leave of it
   * says nothing of the next entry's index.
   */
  toldInPart(): void {
    for (const [conversation, mark] of this.#handled) {
      const received = this.#received.get(conversation) ?? NOTHING;
      if (mark.n === 0 || (received.n > 0 && received.pos === mark.pos)) continue;
      this.#handled.set(conversation, { ...mark, n: 0 });
      this.#moved.add(conversation);
    }
  }

  /**
   * What follows goes on somewhere in a conversation: it comes from the log, perhaps not from its beginning, or what lies between
   * is told otherwise.
   */
  resynced(): void {
    for (const [conversation, mark] of this.#received) this.#received.set(conversation, { ...mark, n: 0 });
  }

  /** @param tellsFor the user, where what is delivered is told */
  handled(conversation: ConversationId, entries: readonly Entry[], tellsFor?: UserId): void {
    const before = this.#handled.get(conversation) ?? NOTHING;
    let mark = before;
    for (const entry of entries) mark = advanced(mark, entry);
    const isTold = tellsFor !== undefined && directPair(conversation) !== undefined;
    const untold = isTold ? untoldAfter(before.untold, entries, tellsFor) : undefined;
    this.#handled.set(conversation, untold === undefined ? mark : { ...mark, untold });
    this.#moved.add(conversation);
  }

  /** The server knows, or needs not know any more, that it is stored up to there. */
  deliveredTold({ conversation, upTo }: Delivered): void {
    const mark = this.#handled.get(conversation);
    if (mark?.untold === undefined || mark.untold > upTo) return;
    const { untold: _, ...rest } = mark;
    this.#handled.set(conversation, rest);
    this.#moved.add(conversation);
  }

  /** What was taken to be stored is: what of it is to be told as delivered. */
  stored(): readonly Delivered[] {
    return this.#storing.splice(0);
  }

  /** All entries before `cursor` are handled. */
  passed({ epoch, seq, asOf = 0 }: Omit<CursorFrame, 't'>): void {
    if (asOf > this.asOf) {
      this.#asOf = asOf;
      this.#cursorMoved = true;
    }
    if (this.#cursor?.epoch === epoch && this.#cursor.seq >= seq) return;
    this.#cursor = { epoch, seq };
    this.#cursorMoved = true;
  }

  takeProgress(): Progress {
    const marks = [...this.#moved].map(
      (conversation) => [conversation, this.#handled.get(conversation) as Mark] as const,
    );
    this.#moved.clear();
    this.#cursorMoved = false;
    for (const [conversation, { untold }] of marks) if (untold) this.#storing.push({ conversation, upTo: untold });
    const asOf = this.#asOf !== undefined && { asOf: this.#asOf };
    const cursor = this.#cursor && { ...this.#cursor, ...asOf, ...(this.#sync && { sync: this.#sync }) };
    return { cursor, marks };
  }
}

const indexOf = (entry: Entry): number | undefined => ('n' in entry ? entry.n : undefined);

/**
 * Positions of a conversation only grow, in one log. An entry that is not behind the mark and yet younger than everything
 * handed over stands in another log, begun anew or brought back from a copy: it is no repetition.
 */
const isOfAnotherLog = (entry: Entry, mark: Mark): boolean => entry.pos <= mark.pos && entry.at > mark.at;

/** Left out before, while entries without an index came from behind it: its index tells that it was never handed over. */
const isLate = (entry: Entry, mark: Mark): boolean =>
  entry.pos < mark.pos && entry.at <= mark.at && mark.n > 0 && (indexOf(entry) ?? 0) > mark.n;

const isRepeated = (entry: Entry, mark: Mark): boolean =>
  entry.pos <= mark.pos && !isOfAnotherLog(entry, mark) && !isLate(entry, mark);

/** The index is gapless for a member. The first one may be any; and whoever is added again goes on where the others are. */
function missingBefore(entry: Entry, mark: Mark, me: UserId): { after: number; found: number } | undefined {
  const n = indexOf(entry);
  if (n === undefined || mark.n === 0 || n <= mark.n + 1 || isOfAnotherLog(entry, mark)) return undefined;
  const joins =
    entry.type === 'memberJoined'
      ? entry.by === me
      : (entry.type === 'membersAdded' || entry.type === 'groupCreated') && entry.members.includes(me);
  return joins ? undefined : { after: mark.n, found: n };
}

/** The newest index of the other's, in the order of the log; what the user has read, on whichever device, is told by that. */
function untoldAfter(before: number | undefined, entries: readonly Entry[], me: UserId): number | undefined {
  let untold = before;
  for (const entry of entries) {
    const n = indexOf(entry);
    if (n !== undefined && entry.by !== me) untold = n;
    else if (entry.type === 'conversationRead' && entry.by === me && entry.upTo >= (untold ?? 0)) untold = undefined;
  }
  return untold;
}

function advanced(mark: Mark, entry: Entry): Mark {
  if (isLate(entry, mark)) return { ...mark, n: indexOf(entry) ?? mark.n };
  const known = entry.pos > mark.pos ? mark.n : 0;
  return { pos: entry.pos, n: indexOf(entry) ?? known, at: Math.max(mark.at, entry.at) };
}
