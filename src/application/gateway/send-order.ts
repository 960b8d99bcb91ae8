/**
 * The order of one session, past a refusal that passes. A client sends on before it knows that a request was refused; what it
 * has sent to the same conversation meanwhile is refused as well, until the refused one comes again. Else it would be stored
 * before it.
 */
import { type ClientMsgId, type ConversationId, directConversationId, type UserId } from '../../domain/ids.ts';
import { isOwnAccountCommand } from '../../protocol/account-frames.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { CommandFrame, SendFrame } from '../../protocol/frames.ts';

/**
 * Who has not come again for so long, and twice the time it was told to wait, is waited for no longer. After as long once more
 * without one that came in its turn all go free: who repeats nothing is not held up for ever by what they send anew.
 */
const COMES_AGAIN_WITHIN_MS = 5_000;
/** Requests held back at a time, and conversations; beyond, what is held back goes free: the client keeps no order of its own. */
const MAX_HELD_IN_CONVERSATION = 1_000;
const MAX_CONVERSATIONS = 1_000;

interface Refused {
  readonly id: ClientMsgId;
  /** Its place in the session: that of its first coming. */
  readonly place: number;
  /** Waited for, by its own newest refusal. */
  until: number;
}

interface Held {
  /** By their places: they are to come again one behind the other. Never empty. */
  readonly refused: Refused[];
  error: RookeryError;
  /** The first is waited for; afterwards the first that has its own time left: those behind that one wait for it, too. */
  until: number;
}

export class SendOrder {
  /** Only of who was ever refused something: most sessions are not. */
  #held: Map<ConversationId, Held> | undefined;
  #places = 0;

  /**
   * Hot path. @returns its place, for `failed`
   * @param nowMs monotonic
   * @throws RookeryError as the one it has to wait for, with the time that was given there, if any
   */
  enter(conversation: ConversationId, id: ClientMsgId, nowMs: number): number {
    const held = this.#held?.get(conversation);
    if (!held) return ++this.#places;
    const { refused } = held;
    const first = firstAwaited(held, nowMs);
    if (first < 0) {
      this.#held?.delete(conversation);
      return ++this.#places;
    }
    const at = refused.findIndex((one) => one.id === id);
    const found = refused[at];
    if (found && at <= first) {
      // Those before it are late.
      refused.splice(0, at + 1);
      held.until = nowMs + patienceMs(held.error);
      if (refused.length === 0) this.#held?.delete(conversation);
      return found.place;
    }
    const until = nowMs + patienceMs(held.error);
    if (found) found.until = until;
    else this.#hold(conversation, held, { id, place: ++this.#places, until });
    const { code, retryAfterMs } = held.error;
    throw new RookeryError(
      code,
      'one before it in the conversation was refused and has not come again',
      retryAfterMs === undefined ? {} : { retryAfterMs },
    );
  }

  /** What had entered at `place` has failed. */
  failed(conversation: ConversationId, id: ClientMsgId, place: number, error: RookeryError, nowMs: number): void {
    if (!error.retryable) return;
    const until = nowMs + patienceMs(error);
    this.#held ??= new Map();
    const held = this.#held.get(conversation);
    if (held) {
      Object.assign(held, { error, until });
      return this.#hold(conversation, held, { id, place, until });
    }
    for (const [oldest] of this.#held) if (this.#held.size >= MAX_CONVERSATIONS) this.#held.delete(oldest);
    this.#held.set(conversation, { refused: [{ id, place, until }], error, until });
  }

  #hold(conversation: ConversationId, { refused }: Held, one: Refused): void {
    if (refused.length >= MAX_HELD_IN_CONVERSATION) this.#held?.delete(conversation);
    else refused.splice(refused.findLastIndex(({ place }) => place < one.place) + 1, 0, one);
  }
}

/** @returns which in the queue must come next, unless one before it does; -1: nobody is waited for */
function firstAwaited({ refused, error, until }: Held, nowMs: number): number {
  if (nowMs < until) return 0;
  return nowMs < until + patienceMs(error) ? refused.findIndex((one) => nowMs < one.until) : -1;
}

const patienceMs = ({ retryAfterMs = 0 }: RookeryError): number => COMES_AGAIN_WITHIN_MS + 2 * retryAfterMs;

/** Where a request has its place in the order: what concerns a person is told in the direct conversation. */
export function conversationOf(frame: SendFrame | CommandFrame, me: UserId): ConversationId {
  if (frame.t === 'send')
    return frame.to === undefined ? (frame.conversation as ConversationId) : directConversationId(me, frame.to);
  const { command } = frame;
  if (command.type === 'changePreferences') return command.about || directConversationId(me, me);
  if (isOwnAccountCommand(command)) return directConversationId(me, me);
  return 'user' in command ? directConversationId(me, command.user) : command.conversation;
}
