/**
 * Tells what was delivered: in a direct conversation, up to which of the other's messages this device has stored. By itself, behind
 * the storing, at most once in DELIVERED_EVERY_MS a conversation. What is still to be told stands in the conversation's mark, so
 * that no end of the process leaves it untold. Not through the outbox: a later one says all that an earlier one did. Pure.
 */
import type { ClientMsgId, ConversationId } from '../domain/ids.ts';
import type { ClientFrame } from '../protocol/frames.ts';
import type { Moment } from './inputs-and-effects.ts';
import { DELIVERED_EVERY_MS } from './limits.ts';
import type { Mark } from './storage.ts';

export interface Delivered {
  readonly conversation: ConversationId;
  readonly upTo: number;
}

export class Deliveries {
  /** Stored, and not on its way. */
  readonly #waiting = new Map<ConversationId, number>();
  /** On this connection, by their ids. */
  readonly #underWay = new Map<number, Delivered>();
  /** By the machine's clock: not to be told before. */
  readonly #notBefore = new Map<ConversationId, number>();
  /** What the app has marked as read: it needs not be told as delivered. */
  readonly #read = new Map<ConversationId, number>();

  /** @param marks what an earlier run has left untold is among them */
  constructor(marks: readonly (readonly [ConversationId, Mark])[]) {
    for (const [conversation, { untold }] of marks) if (untold) this.#waiting.set(conversation, untold);
  }

  get hasWork(): boolean {
    return this.#waiting.size > 0;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** @returns whether it is to be told: not what the app has marked as read already */
  stored({ conversation, upTo }: Delivered): boolean {
    if (upTo <= (this.#read.get(conversation) ?? 0)) return false;
    this.#waiting.set(conversation, upTo);
    return true;
  }

  /** The log may be another one, with indexes of its own. */
  resynced(): void {
    this.#read.clear();
  }

  /** The app marks it as read. */
  read({ conversation, upTo }: Delivered): void {
    this.#read.set(conversation, upTo);
    if ((this.#waiting.get(conversation) ?? upTo) <= upTo) this.#waiting.delete(conversation);
  }

  /** What goes out now. */
  next(room: number, nowMs: number, newId: () => number): ClientFrame[] {
    const frames: ClientFrame[] = [];
    for (const [conversation, upTo] of this.#waiting) {
      if (frames.length >= room) break;
      if ((this.#notBefore.get(conversation) ?? 0) > nowMs) continue;
      const id = newId();
      this.#waiting.delete(conversation);
      this.#notBefore.set(conversation, nowMs + DELIVERED_EVERY_MS);
      this.#underWay.set(id, { conversation, upTo });
      // The same from each device of the user: the log takes it once.
      const clientMsgId = `rookery.delivered.${upTo}` as ClientMsgId;
      frames.push({ t: 'command', id, clientMsgId, command: { type: 'markDelivered', conversation, upTo } });
    }
    return frames;
  }

  /** When the first of those that wait may be told, or undefined. Those that only wait for room may be told now. */
  nextAtMs(nowMs: number): number | undefined {
    let first: number | undefined;
    for (const [conversation, atMs] of this.#notBefore) {
      if (atMs <= nowMs) this.#notBefore.delete(conversation);
      else if (this.#waiting.has(conversation)) first = Math.min(first ?? atMs, atMs);
    }
    return first;
  }

  /** Told, or refused for good. */
  answered(id: number): Delivered | undefined {
    const delivered = this.#underWay.get(id);
    this.#underWay.delete(id);
    return delivered;
  }

  /** Refused for a passing reason: later, unless there is more to tell by then. */
  hold(id: number, retryAfterMs: number | undefined, { nowMs, random }: Moment): boolean {
    const delivered = this.answered(id);
    if (!delivered) return false;
    const isSurpassed = [...this.#underWay].some(
      ([other, { conversation }]) => other > id && conversation === delivered.conversation,
    );
    if (!isSurpassed) this.#waitAgain(delivered);
    const pauseMs = Math.max(DELIVERED_EVERY_MS, retryAfterMs ?? 0);
    this.#notBefore.set(delivered.conversation, nowMs + Math.ceil(pauseMs * (1 + random)));
    return true;
  }

  disconnected(): void {
    // The newest first: it says all that the others of its conversation did.
    for (const delivered of [...this.#underWay.values()].reverse()) this.#waitAgain(delivered);
    this.#underWay.clear();
  }

  #waitAgain({ conversation, upTo }: Delivered): void {
    if (!this.#waiting.has(conversation)) this.stored({ conversation, upTo });
  }
}
