/**
 * Who may write to whom in a direct conversation, beside blocks: contacts alone, where the deployment or the receiver wants it
 * so. What is in force goes into the event, and whether the two are contacts the fold decides in the order of the log: so the
 * answer is the same whenever the log is read again, whatever is configured by then.
 */
import type { Account } from '../../domain/account.ts';
import type { ConversationEvent } from '../../domain/conversation.ts';
import { type ConversationId, directPair, type UserId } from '../../domain/ids.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Accounts } from './accounts.ts';

export interface WritingPolicy {
  /** Hot path: the event with what is in force, or undefined where that cannot be told at once. */
  stampedNow(target: ConversationId, event: ConversationEvent): ConversationEvent | undefined;
  /** @throws RookeryError ACCOUNT_UNKNOWN, LOG_UNAVAILABLE */
  stamped(target: ConversationId, event: ConversationEvent): Promise<ConversationEvent>;
}

export class AccountPolicy implements WritingPolicy {
  readonly #accounts: Accounts;
  readonly #friendsOnly: boolean;

  constructor(accounts: Accounts, messaging: 'open' | 'friendsOnly') {
    this.#accounts = accounts;
    this.#friendsOnly = messaging === 'friendsOnly';
  }

  stampedNow(target: ConversationId, event: ConversationEvent): ConversationEvent | undefined {
    const receiver = receiverOf(target, event);
    if (receiver === undefined) return event;
    const [from, to] = [this.#accounts.peek(event.by), this.#accounts.peek(receiver)];
    return from && to && this.#isThere(to) ? this.#stamp(event, from, to) : undefined;
  }

  async stamped(target: ConversationId, event: ConversationEvent): Promise<ConversationEvent> {
    const receiver = receiverOf(target, event);
    if (receiver === undefined) return event;
    const [from, to] = await Promise.all([this.#accounts.get(event.by), this.#accounts.get(receiver)]);
    if (!this.#isThere(to)) throw new RookeryError('ACCOUNT_UNKNOWN', 'the receiver has no account');
    return this.#stamp(event, from, to);
  }

  #isThere({ state }: Account): boolean {
    return state !== 'none' || this.#accounts.isOpen;
  }

  /** Bots are the operator's: they speak to everybody, and everybody to them, unless a receiver wants it otherwise. */
  #stamp(event: ConversationEvent, from: Account, to: Account): ConversationEvent {
    const isBetweenPersons = from.kind === 'person' && to.kind === 'person';
    const contactsOnly = to.settings.messagesFrom === 'contacts' || (this.#friendsOnly && isBetweenPersons);
    return contactsOnly ? ({ ...event, contactsOnly: true } as ConversationEvent) : event;
  }
}

/** The other one of a direct conversation, of what says something; undefined of all else. */
function receiverOf(target: ConversationId, { type, by }: ConversationEvent): UserId | undefined {
  if (type !== 'messageSent' && type !== 'messageEdited') return undefined;
  return directPair(target)?.find((user) => user !== by);
}
