/**
 * What a device meets, in small: a log in two lanes, one user's inbox that gets it late, drops its oldest, loses its end or is made anew, a
 * log that is brought back from a copy, a read model that is late as well, and connections. Each part moves only when a test says so.
 */
import { epochOf, partsOf, type Replayed } from '../../src/application/delivery/epoch.ts';
import type { ConversationId } from '../../src/domain/ids.ts';
import { Lineage } from '../../src/projections/lineage.ts';
import type {
  ChangedConversation,
  ClientFrame,
  CommandFrame,
  Cursor,
  CursorFrame,
  Entry,
  ListedConversation,
  OnGap,
  QueryFrame,
  Resume,
  ResyncReason,
  ServerFrame,
} from '../../src/protocol/frames.ts';
import { conversation, msgId, user } from './given.ts';

export const DIRECT = conversation('direct:bob:me');
export const ROOMS = [...['a', 'b', 'c', 'd'].map(conversation), DIRECT];
const LANES = 2;
const laneOf = (room: ConversationId): number => ROOMS.indexOf(room) % LANES;
/** Conversations of a page: fewer than there are. */
const PAGE = 2;
/** So large that a few of them are all that a device holds unhandled; in memory once. */
const BODY = new Uint8Array(20 * 1_024 * 1_024);

export interface Logged {
  readonly room: ConversationId;
  /** The message with the index before. */
  readonly before: Logged | undefined;
  readonly entry: Entry;
  /** Whether the user was a member. */
  readonly isSeen: boolean;
}

export class SyncWorld {
  /** By lane. */
  logs: Logged[][] = [[], []];
  /** Sequence 1 first; undefined: a marker. */
  inbox: (Logged | undefined)[] = [];
  outgoing: ServerFrame[] = [];
  readonly replies: { readonly since: number; readonly page: number }[] = [];
  /** What lay before the place of who wanted nothing old. */
  readonly notWanted = new Set<string>();
  resyncs = 0;
  replays = 0;
  lostEnds = 0;
  copies = 0;
  /** In the direct conversation, as the log has it. */
  delivered = 0;
  readonly skipped: Logged[] = [];
  #stream = 's1';
  #markers: { readonly seq: number; readonly nonce: number }[] = [];
  #lineage = new Lineage();
  #needsMarker = true;
  #now = 1_000;
  #made = 1;
  #firstSeq = 1;
  #emitted = [0, 0];
  #read = [0, 0];
  #questions: QueryFrame[] = [];
  #commands: CommandFrame[] = [];
  #failNext = false;
  #refuseNext = false;
  // Of the connection.
  #onGap: OnGap = 'replay';
  #at = 0;
  #resumed: Cursor | undefined;
  #replay: (Replayed & { readonly ends: readonly number[] }) | undefined;

  append(room: ConversationId, by = 'bob'): void {
    this.#append(room, { type: 'message', contentType: 'x', body: BODY, by: user(by) });
  }

  /** The user leaves the conversation; or comes back, and goes on where the others are. */
  leavesOrJoins(room: ConversationId): void {
    if (room === DIRECT) return;
    if (this.#known(room).length > 0)
      this.#append(room, { type: this.#isIn(room) ? 'membersRemoved' : 'membersAdded', members: [user('me')] });
  }

  /** An entry without an index. @param by another device of the user's, if it is their own */
  appendReadMark(room: ConversationId, by: string): void {
    const messages = this.#known(room).filter((one) => 'n' in one.entry);
    if (messages.length > 0) this.#append(room, { type: 'conversationRead', upTo: messages.length, by: user(by) });
  }

  /** The worker of a lane brings the next event into the inbox. */
  emit(lane: number): void {
    const next = this.logs[lane]?.[this.#emitted[lane] ?? 0];
    if (!next) return;
    this.#emitted[lane] = (this.#emitted[lane] ?? 0) + 1;
    if (!next.isSeen) return;
    if (this.#needsMarker) this.takeOver();
    this.inbox.push(next);
  }

  /** Another worker, or the same anew: cursors from now on tell of it. */
  takeOver(): void {
    this.#needsMarker = false;
    this.inbox.push(undefined);
    const marker = { seq: this.inbox.length, nonce: ++this.#made };
    this.#markers.push(marker);
    this.#lineage.observe(marker.seq, marker.nonce);
  }

  /** The read model's worker reads the next event of a lane. */
  readModelReads(lane: number): void {
    if ((this.#read[lane] ?? 0) < (this.logs[lane]?.length ?? 0)) this.#read[lane] = (this.#read[lane] ?? 0) + 1;
  }

  /** The inbox drops the older half of what it keeps. */
  evict(): void {
    this.#firstSeq = Math.max(this.#firstSeq, Math.ceil((this.#firstSeq + this.inbox.length) / 2));
  }

  /** The server lost power: the newest part of the inbox is gone, and is written again behind a marker. */
  loseEnd(): void {
    const { past } = partsOf(this.#epoch());
    this.lostEnds += 1;
    this.inbox = this.inbox.slice(0, Math.max(this.#firstSeq - 1, this.inbox.length - 3));
    const last = (lane: number) => this.inbox.findLast((one) => one && laneOf(one.room) === lane)?.entry.pos ?? 0;
    this.#emitted = this.#emitted.map((_, lane) => last(lane));
    this.#markers = this.#markers.filter(({ seq }) => seq <= this.inbox.length);
    this.#lineage = new Lineage();
    for (const { seq, nonce } of this.#markers) this.#lineage.observe(seq, nonce);
    this.#needsMarker = true;
    const place = this.#lineage.placeOf(past, this.#at);
    if (place === undefined) this.#resync('CURSOR_UNKNOWN');
    else this.#at = Math.min(place, this.inbox.length);
  }

  /** The inbox is another one: all of the log comes into it from its beginning. */
  makeAnew(): void {
    this.#stream = `s${++this.#made}`;
    this.#markers = [];
    this.#lineage = new Lineage();
    this.#needsMarker = true;
    this.inbox = [];
    this.#firstSeq = 1;
    this.#emitted = [0, 0];
    this.#resync('EPOCH_CHANGED');
  }

  /** The log is what it was some time ago, or begins anew; connections are lost. @param share of it that is left, 0 to 1 */
  restore(share: number): void {
    this.copies += 1;
    this.logs = this.logs.map((log) => log.slice(0, Math.floor(log.length * share)));
    this.#read = this.#read.map((read, lane) => Math.min(read, this.logs[lane]?.length ?? 0));
    this.makeAnew();
    this.outgoing = [];
  }

  /** The next question or command is refused for a passing reason. */
  fail(): void {
    this.#failNext = true;
  }

  /** The next question is refused for good. */
  refuse(): void {
    this.#refuseNext = true;
  }

  /** The log takes the oldest command. */
  takeCommand(): void {
    const command = this.#commands.shift();
    if (command?.command.type !== 'markDelivered') return;
    const {
      id,
      command: { upTo },
    } = command;
    if (this.#failNext) this.outgoing.push({ t: 'error', id, code: 'OVERLOADED', message: '', retryAfterMs: 10 });
    else {
      this.outgoing.push({ t: 'done', id, pos: 1 });
      this.delivered = Math.max(this.delivered, upTo);
    }
    this.#failNext = false;
  }

  /** The connection is gone, with all that was on its way. */
  disconnected(): void {
    this.outgoing = [];
    this.#questions = [];
    this.#commands = [];
  }

  receive(frame: ClientFrame, welcome: ServerFrame): void {
    if (frame.t === 'query') this.#questions.push(frame);
    if (frame.t === 'command') this.#commands.push(frame);
    if (frame.t !== 'hello') return;
    this.outgoing = [welcome];
    this.#replay = undefined;
    this.#onGap = frame.onGap ?? 'replay';
    if (frame.resume === 'latest' && this.#onGap === 'changes') this.#resync('NOTHING_KEPT');
    else this.#place(frame.resume);
    if (frame.resume === 'latest' && this.#onGap === 'replay') this.#showNothingOld();
  }

  /** A defect of the gateway, once: what comes next is not written. */
  skip(): void {
    if (this.#replay || this.skipped.length > 0 || this.#at >= this.inbox.length) return;
    this.#at += 1;
    const one = this.inbox[this.#at - 1];
    if (one) this.skipped.push(one);
  }

  /** While it is connected: it was too slow, and what it should get next is gone. */
  fallBehind(): void {
    if (this.#at + 1 < this.#firstSeq) this.#resync('CURSOR_TOO_OLD');
  }

  /** Up to two entries, and perhaps the cursor behind them; of a replay a portion. */
  deliver(withCursor: boolean): void {
    if (this.#replay) return this.#replayOn(this.#replay, withCursor);
    this.fallBehind();
    if (this.#replay) return;
    const until = Math.min(this.inbox.length, this.#at + 2);
    this.#write(this.inbox.slice(this.#at, until));
    this.#at = until;
    if (withCursor) this.outgoing.push(this.#cursor());
  }

  /** Answers the oldest question whose answer would not be too old; refuses it where the log has nothing that would make it so. */
  answer(): void {
    const found = this.#questions.findIndex(({ reached }) => this.#hasReached(reached));
    const isInVain = found === -1 && this.logs.every(({ length }, lane) => this.#read[lane] === length);
    const [question] = found !== -1 || isInVain ? this.#questions.splice(Math.max(0, found), 1) : [];
    if (!question) return;
    const { id, query } = question;
    if (this.#failNext || this.#refuseNext || isInVain) {
      const code = this.#refuseNext ? 'BAD_REQUEST' : 'READ_MODEL_UNAVAILABLE';
      this.#failNext = this.#refuseNext = false;
      this.outgoing.push({ t: 'error', id, code, message: '', ...(code !== 'BAD_REQUEST' && { retryAfterMs: 10 }) });
      return;
    }
    if (query.type !== 'changes' && query.type !== 'conversations') return;
    const since = query.type === 'changes' ? query.since : 0;
    const after = query.type === 'changes' && query.cursor !== undefined ? Number(query.cursor) : 0;
    const rest = this.changedSince(since).filter(({ conversation }) => ROOMS.indexOf(conversation) >= after);
    const page = rest.slice(0, PAGE);
    const last = page.at(-1);
    this.replies.push({ since, page: after });
    const more = rest.length > page.length && last ? { cursor: String(ROOMS.indexOf(last.conversation) + 1) } : {};
    const conversations = query.type === 'changes' ? page : (page as unknown as ListedConversation[]);
    this.outgoing.push({ t: 'result', id, result: { conversations, ...more } as never });
  }

  /** As the read model has them now, by their ids; `last` as it was logged. */
  changedSince(since: number): (ChangedConversation & { readonly last: Logged })[] {
    return ROOMS.flatMap((room) => {
      const lane = laneOf(room);
      const known = this.logs[lane]?.slice(0, this.#read[lane]).filter((one) => one.room === room && one.isSeen) ?? [];
      const last = known.findLast(({ entry }) => 'n' in entry);
      const at = known.at(-1)?.entry.at ?? 0;
      return last && at >= since ? [{ conversation: room, lastIndex: indexOf(last), last, amended: [] } as never] : [];
    });
  }

  #append(room: ConversationId, what: object): void {
    const log = this.logs[laneOf(room)] as Logged[];
    const all = this.#known(room).filter((one) => 'n' in one.entry);
    const n = 'type' in what && what.type === 'conversationRead' ? {} : { n: all.length + 1 };
    const pos = log.length + 1;
    const id = msgId(`${room}${this.copies}.${pos}`);
    const entry = { pos, at: ++this.#now, by: user('bob'), id, ...n, ...what } as Entry;
    const isSeen = this.#isIn(room) || entry.type === 'membersAdded';
    log.push({ room, before: all.findLast((one) => one.isSeen), entry, isSeen });
  }

  #known(room: ConversationId): Logged[] {
    return (this.logs[laneOf(room)] as Logged[]).filter((one) => one.room === room);
  }

  #isIn(room: ConversationId): boolean {
    const change = this.#known(room).findLast((one) => 'members' in one.entry);
    return change?.entry.type !== 'membersRemoved';
  }

  /** From where a device goes on. */
  #place(resume: Resume): void {
    this.#resumed = typeof resume === 'string' ? undefined : resume;
    if (resume === 'latest') this.#at = this.inbox.length;
    else if (resume === 'everything') this.#at = 0;
    else {
      const { stream, past, replayed } = partsOf(resume.epoch);
      if (stream !== this.#stream) return this.#resync('EPOCH_CHANGED');
      const place = this.#lineage.placeOf(past, resume.seq);
      if (place === undefined) return this.#resync('CURSOR_UNKNOWN');
      this.#at = Math.min(place, this.inbox.length);
      if (replayed && this.#at + 1 >= this.#firstSeq) return this.#goOnReplaying(replayed);
    }
    this.fallBehind();
  }

  #goOnReplaying({ log, pos }: Replayed): void {
    if (this.#onGap === 'changes') return this.#resync('CURSOR_UNKNOWN');
    this.outgoing.push({ t: 'resync', reason: 'TOO_FAR_BEHIND' });
    const ends = this.logs.map(({ length }) => length);
    this.#replay = pos <= (ends[log] ?? -1) ? { log, pos, ends } : { log: 0, pos: 0, ends };
  }

  #showNothingOld(): void {
    for (const one of this.inbox.slice(0, this.#at)) if (one) this.notWanted.add(one.entry.id);
    this.outgoing.push(this.#cursor());
  }

  #resync(reason: ResyncReason): void {
    this.resyncs += 1;
    this.#resumed = undefined;
    this.#at = this.inbox.length;
    const ends = this.logs.map(({ length }) => length);
    if (this.#onGap === 'changes') {
      const reached = ends.map((end) => end.toString(36)).join('.');
      this.outgoing.push({ t: 'resync', reason, by: 'changes', reached }, this.#cursor());
    } else {
      this.replays += 1;
      this.outgoing.push({ t: 'resync', reason });
      this.#replay = { log: 0, pos: 0, ends };
    }
  }

  #replayOn({ log, pos, ends }: Replayed & { readonly ends: readonly number[] }, withCursor: boolean): void {
    const end = ends[log];
    if (end === undefined) {
      this.#replay = undefined;
      this.outgoing.push(this.#cursor());
    } else if (pos >= end) {
      this.#replay = { log: log + 1, pos: 0, ends };
    } else {
      const until = Math.min(end, pos + 2);
      this.#write((this.logs[log] ?? []).slice(pos, until));
      this.#replay = { log, pos: until, ends };
      const epoch = epochOf(this.#stream, this.#lineage.at(this.#at), { log, pos: until });
      if (withCursor) this.outgoing.push({ t: 'cursor', epoch, seq: this.#at, more: true });
    }
  }

  /** Entries of a conversation that stand side by side come in one frame. */
  #write(all: readonly (Logged | undefined)[]): void {
    const known = all.filter((one) => one?.isSeen) as Logged[];
    const [first, second] = known;
    if (first && first.room === second?.room)
      this.outgoing.push({ t: 'deliver', conversation: first.room, entries: [first.entry, second.entry] });
    else
      for (const { room, entry } of known) this.outgoing.push({ t: 'deliver', conversation: room, entries: [entry] });
  }

  #hasReached(reached: string | undefined): boolean {
    return (reached ?? '').split('.').every((pos, lane) => (this.#read[lane] ?? 0) >= Number.parseInt(pos || '0', 36));
  }

  #epoch(): string {
    return epochOf(this.#stream, this.#lineage.at(this.#at));
  }

  /** `asOf` as late as it may be: the time of the first event that is not delivered. */
  #cursor(): CursorFrame {
    const delivered = new Set(this.inbox.slice(0, this.#at));
    let asOf = this.#now + 1;
    for (const log of this.logs) asOf = Math.min(asOf, log.find((one) => !delivered.has(one))?.entry.at ?? asOf);
    const epoch = this.#epoch();
    const seq = this.#resumed?.epoch === epoch ? Math.max(this.#at, this.#resumed.seq) : this.#at;
    return { t: 'cursor', epoch, seq, asOf };
  }
}

const indexOf = ({ entry }: Logged): number => ('n' in entry ? entry.n : 0);
