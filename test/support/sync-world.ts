/**
 * What a device that syncs by changes meets, in small: a log in two lanes, one user's inbox that gets it late and drops its
 * oldest, a read model that is late as well, and connections. Each part moves only when a test says so.
 */
import type { ConversationId } from '../../src/domain/ids.ts';
import type {
  ChangedConversation,
  ClientFrame,
  CursorFrame,
  Entry,
  ListedConversation,
  QueryFrame,
  ServerFrame,
} from '../../src/protocol/frames.ts';
import { bytes, conversation, msgId, user } from './given.ts';

export const ROOMS = ['a', 'b', 'c', 'd', 'e'].map(conversation);
const LANES = 2;
const laneOf = (room: ConversationId): number => ROOMS.indexOf(room) % LANES;
/** Conversations of a page: fewer than there are. */
const PAGE = 2;
const EPOCH = 'e';

export interface Logged {
  readonly room: ConversationId;
  readonly lane: number;
  readonly entry: Extract<Entry, { readonly type: 'message' }>;
}

interface Question {
  readonly frame: QueryFrame;
}

export class SyncWorld {
  /** By lane. */
  readonly logs: Logged[][] = [[], []];
  /** Sequence 1 first. */
  readonly inbox: Logged[] = [];
  outgoing: ServerFrame[] = [];
  readonly replies: { readonly since: number; readonly page: number }[] = [];
  resyncs = 0;
  #now = 1_000;
  #firstSeq = 1;
  readonly #emitted = [0, 0];
  readonly #read = [0, 0];
  #deliveredTo = 0;
  #questions: Question[] = [];
  #failNext = false;

  append(room: ConversationId): void {
    const lane = laneOf(room);
    const log = this.logs[lane] as Logged[];
    const n = log.filter((one) => one.room === room).length + 1;
    const pos = log.length + 1;
    const base = { type: 'message', pos, n, at: ++this.#now, by: user('bob'), id: msgId(`${room}${n}`) } as const;
    log.push({ room, lane, entry: { ...base, contentType: 'x', body: bytes('') } });
  }

  /** The worker of a lane brings the next event into the inbox. */
  emit(lane: number): void {
    const next = this.logs[lane]?.[this.#emitted[lane] ?? 0];
    if (!next) return;
    this.#emitted[lane] = (this.#emitted[lane] ?? 0) + 1;
    this.inbox.push(next);
  }

  /** The read model's worker reads the next event of a lane. */
  readModelReads(lane: number): void {
    if ((this.#read[lane] ?? 0) < (this.logs[lane]?.length ?? 0)) this.#read[lane] = (this.#read[lane] ?? 0) + 1;
  }

  /** The inbox drops the older half of what it keeps. */
  evict(): void {
    this.#firstSeq = Math.max(this.#firstSeq, Math.ceil((this.#firstSeq + this.inbox.length) / 2));
  }

  /** The next question is refused for a passing reason. */
  fail(): void {
    this.#failNext = true;
  }

  receive(frame: ClientFrame, welcome: ServerFrame): void {
    if (frame.t === 'query') this.#questions.push({ frame });
    if (frame.t !== 'hello') return;
    this.outgoing = [welcome];
    this.#questions = [];
    const { resume } = frame;
    const at = resume === 'everything' ? 0 : resume === 'latest' ? undefined : resume.seq;
    if (at === undefined || at + 1 < this.#firstSeq) this.#resync(at === undefined ? 'NOTHING_KEPT' : 'CURSOR_TOO_OLD');
    else this.#deliveredTo = at;
  }

  /** While it is connected: it was too slow, and what it should get next is gone. */
  fallBehind(): void {
    if (this.#deliveredTo + 1 < this.#firstSeq) this.#resync('CURSOR_TOO_OLD');
  }

  /** Up to two entries, and perhaps the cursor behind them. */
  deliver(withCursor: boolean): void {
    this.fallBehind();
    const until = Math.min(this.inbox.length, this.#deliveredTo + 2);
    for (const { room, entry } of this.inbox.slice(this.#deliveredTo, until)) {
      this.outgoing.push({ t: 'deliver', conversation: room, entries: [entry] });
    }
    this.#deliveredTo = until;
    if (withCursor) this.outgoing.push(this.#cursor());
  }

  /** Answers the oldest question whose answer would not be too old. */
  answer(): void {
    const i = this.#questions.findIndex(({ frame }) => this.#hasReached(frame.reached));
    const [question] = i === -1 ? [] : this.#questions.splice(i, 1);
    if (!question) return;
    const { id, query } = question.frame;
    if (this.#failNext) {
      this.#failNext = false;
      this.outgoing.push({ t: 'error', id, code: 'READ_MODEL_UNAVAILABLE', message: '', retryAfterMs: 10 });
      return;
    }
    if (query.type !== 'changes' && query.type !== 'conversations') return;
    const since = query.type === 'changes' ? query.since : 0;
    const after = query.type === 'changes' && query.cursor !== undefined ? Number(query.cursor) : 0;
    const all = this.changedSince(since);
    const rest = all.filter(({ conversation }) => ROOMS.indexOf(conversation) >= after);
    const page = rest.slice(0, PAGE);
    const last = page.at(-1);
    this.replies.push({ since, page: after });
    const more = rest.length > page.length && last ? { cursor: String(ROOMS.indexOf(last.conversation) + 1) } : {};
    const conversations = query.type === 'changes' ? page : (page as unknown as ListedConversation[]);
    this.outgoing.push({ t: 'result', id, result: { conversations, ...more } as never });
  }

  /** As the read model has them now, by their ids. */
  changedSince(since: number): ChangedConversation[] {
    return ROOMS.flatMap((room) => {
      const lane = laneOf(room);
      const known = this.logs[lane]?.slice(0, this.#read[lane]).filter((one) => one.room === room) ?? [];
      const last = known.at(-1)?.entry;
      if (!last || last.at < since) return [];
      return [{ conversation: room, lastIndex: last.n, lastAt: last.at, last, amended: [] } as never];
    });
  }

  #resync(reason: 'NOTHING_KEPT' | 'CURSOR_TOO_OLD'): void {
    this.resyncs += 1;
    const reached = this.logs.map(({ length }) => length.toString(36)).join('.');
    this.#deliveredTo = this.inbox.length;
    this.outgoing.push({ t: 'resync', reason, by: 'changes', reached }, this.#cursor());
  }

  #hasReached(reached: string | undefined): boolean {
    return (reached ?? '').split('.').every((pos, lane) => (this.#read[lane] ?? 0) >= Number.parseInt(pos || '0', 36));
  }

  /** `asOf` as late as it may be: the time of the first event that is not delivered. */
  #cursor(): CursorFrame {
    const delivered = new Set(this.inbox.slice(0, this.#deliveredTo));
    const missing = this.logs.flat().filter((one) => !delivered.has(one));
    const asOf = Math.min(this.#now + 1, ...missing.map(({ entry }) => entry.at));
    return { t: 'cursor', epoch: EPOCH, seq: this.#deliveredTo, asOf };
  }
}
