/**
 * What waits to be acked, in the order of sending. Pure: it says what may be written; the machine lets it be written.
 *
 * A lane is a conversation: what must not overtake one another. Behind a request that was refused for a passing reason its
 * lane waits, the others go on.
 */
import { type ClientMsgId, type ConversationId, directConversationId, type UserId } from '../domain/ids.ts';
import { isOwnAccountCommand } from '../protocol/account-frames.ts';
import type { ClientFrame } from '../protocol/frames.ts';
import type { Moment } from './inputs-and-effects.ts';
import { FIRST_RETRY_MS, MAX_OUTBOX_BYTES, MAX_OUTBOX_ENTRIES, MAX_PIPELINED, MAX_RETRY_MS } from './limits.ts';
import type { OutboxEntry, Request } from './requests.ts';

/** An entry from its request to its answer. */
export interface Unanswered {
  readonly entry: OutboxEntry;
  /** The call that waits for it; undefined for one that an earlier run has left. */
  readonly ticket: number | undefined;
  /** Known once the user is. */
  lane: ConversationId | undefined;
  /** The request's id on this connection; undefined while it is not under way. */
  id: number | undefined;
  /** By the machine's clock: refused for a passing reason, not to be written before. */
  notBeforeMs: number;
  /** Passing refusals in a row. */
  refusals: number;
}

export class Outbox {
  readonly #entries = new Map<string, Unanswered>();
  readonly #underWay = new Map<number, Unanswered>();
  readonly #held = new Set<Unanswered>();
  #bytes = 0;
  #nextKey = 1;
  /** So many answers are awaited one at a time: one of these requests was too long for the server, and which is not known. */
  #oneByOne = 0;

  constructor(stored: readonly OutboxEntry[]) {
    for (const entry of [...stored].sort((a, b) => (a.key < b.key ? -1 : 1))) {
      this.#put(entry, undefined);
      this.#nextKey = numberOfKey(entry.key) + 1;
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Undefined: full. */
  add(ticket: number, clientMsgId: ClientMsgId, request: Request): OutboxEntry | undefined {
    if (this.#entries.size >= MAX_OUTBOX_ENTRIES || this.#bytes + bytesOf(request) > MAX_OUTBOX_BYTES) return undefined;
    const entry = { key: outboxKey(this.#nextKey++), clientMsgId, request };
    this.#put(entry, ticket);
    return entry;
  }

  /** What goes out now: in order, never past one of its lane that is held, at most `room` and what the pipeline takes. */
  next(me: UserId, room: number, nowMs: number, newId: () => number): ClientFrame[] {
    const frames: ClientFrame[] = [];
    const bound = this.#oneByOne > 0 ? 1 : MAX_PIPELINED;
    const heldLanes = new Set<ConversationId>();
    for (const unanswered of this.#entries.values()) {
      if (frames.length >= room || this.#underWay.size >= bound) break;
      if (unanswered.id !== undefined) continue;
      const lane = (unanswered.lane ??= laneOf(unanswered.entry.request, me));
      if (heldLanes.has(lane)) continue;
      if (unanswered.notBeforeMs > nowMs) {
        heldLanes.add(lane);
        continue;
      }
      this.#held.delete(unanswered);
      const id = (unanswered.id = newId());
      this.#underWay.set(id, unanswered);
      frames.push(frameOf(unanswered.entry, id));
    }
    return frames;
  }

  /** Acked, or refused for good. */
  answered(id: number): Unanswered | undefined {
    const unanswered = this.#underWay.get(id);
    if (unanswered) this.#remove(unanswered);
    return unanswered;
  }

  /** Refused for a passing reason: held, it and what comes behind it. */
  hold(id: number, retryAfterMs: number | undefined, { nowMs, random }: Moment): boolean {
    const unanswered = this.#underWay.get(id);
    if (!unanswered) return false;
    const ownMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(unanswered.refusals, 16));
    // Never earlier than asked for; spread, so that the refused do not all come back at once.
    unanswered.notBeforeMs = nowMs + Math.ceil((retryAfterMs ?? ownMs) * (1 + random));
    unanswered.refusals += 1;
    unanswered.id = undefined;
    this.#underWay.delete(id);
    this.#held.add(unanswered);
    return true;
  }

  /** When the first of the held may go out that may not yet, or undefined. The others only wait for room. */
  nextRetryAfter(nowMs: number): number | undefined {
    let first: number | undefined;
    for (const { notBeforeMs } of this.#held) {
      if (notBeforeMs > nowMs) first = Math.min(first ?? notBeforeMs, notBeforeMs);
    }
    return first;
  }

  /** The log's fold has refused what may still wait here, because its ack was lost. */
  rejected(conversation: ConversationId, clientMsgId: ClientMsgId, me: UserId): Unanswered[] {
    const found = [...this.#entries.values()].filter(
      (unanswered) =>
        unanswered.entry.clientMsgId === clientMsgId &&
        (unanswered.lane ??= laneOf(unanswered.entry.request, me)) === conversation,
    );
    for (const unanswered of found) this.#remove(unanswered);
    return found;
  }

  /** What was under way is not any more: it goes out again, first, on the next connection. */
  disconnected(): void {
    for (const unanswered of this.#underWay.values()) unanswered.id = undefined;
    for (const unanswered of this.#held) unanswered.notBeforeMs = 0;
    this.#underWay.clear();
    this.#held.clear();
  }

  /**
   * The server has closed because a frame was too long (1009). Where one request was under way, it was that: it is
   * removed and returned. Else what was under way goes out again one by one, to find it.
   */
  tooLong(): Unanswered | undefined {
    const [first] = this.#underWay.values();
    if (!first) return undefined;
    if (this.#underWay.size > 1) {
      this.#oneByOne = this.#underWay.size;
      return undefined;
    }
    this.#remove(first);
    return first;
  }

  all(): readonly Unanswered[] {
    return [...this.#entries.values()];
  }

  #put(entry: OutboxEntry, ticket: number | undefined): void {
    this.#bytes += bytesOf(entry.request);
    const unsent = { lane: undefined, id: undefined, notBeforeMs: 0, refusals: 0 };
    this.#entries.set(entry.key, { entry, ticket, ...unsent });
  }

  #remove(unanswered: Unanswered): void {
    if (unanswered.id !== undefined) this.#underWay.delete(unanswered.id);
    this.#held.delete(unanswered);
    if (!this.#entries.delete(unanswered.entry.key)) return;
    this.#bytes -= bytesOf(unanswered.entry.request);
    if (this.#oneByOne > 0) this.#oneByOne -= 1;
  }
}

/** What concerns a person is told in the direct conversation, what concerns all of one's own in that with oneself. */
function laneOf(request: Request, me: UserId): ConversationId {
  if (request.t === 'command') {
    const { command } = request;
    if (command.type === 'changePreferences') return command.about || directConversationId(me, me);
    if (isOwnAccountCommand(command)) return directConversationId(me, me);
    return 'user' in command ? directConversationId(me, command.user) : command.conversation;
  }
  const { address } = request;
  return 'to' in address ? directConversationId(me, address.to) : address.conversation;
}

function frameOf({ clientMsgId, request }: OutboxEntry, id: number): ClientFrame {
  if (request.t === 'command') return { t: 'command', id, clientMsgId, command: request.command };
  return { t: 'send', id, ...request.address, clientMsgId, ...request.content };
}

function bytesOf(request: Request): number {
  if (request.t === 'send') return request.content.body.length;
  return request.command.type === 'editMessage' ? request.command.body.length : 0;
}

/** Sorts as text as the numbers do. */
export const outboxKey = (number: number): string => number.toString(36).padStart(11, '0');
const numberOfKey = (key: string): number => Number.parseInt(key, 36);
