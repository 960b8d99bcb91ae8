/**
 * Who may see whether somebody is online: as that one wants it (`lastSeenFor`), and never who was blocked. Whether two are contacts,
 * and who has blocked whom, the worker of their conversation knows; what it said is kept until it tells of a change.
 */
import { LRUCache } from 'lru-cache';
import type { Account } from '../../domain/account.ts';
import { type ConversationId, directConversationId, type UserId } from '../../domain/ids.ts';
import { isBlocked, type Roster } from '../../domain/roster.ts';
import type { ConversationViews } from '../../ports/conversation-views.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Accounts } from './accounts.ts';
import { Slots } from './slots.ts';

/** Pairs kept, about 200 bytes each; the least recently used go first. */
const MAX_PAIRS = 200_000;
/** A pair is asked for anew after this time: news of a change may have been lost. */
const PAIR_TTL_MS = 60_000;
/** Asked of the workers at a time, and how often one. */
const MAX_ASKED = 32;
const ATTEMPTS = 4;

type Pair = Pick<Roster, 'contact' | 'blockers'>;

export class PresencePrivacy {
  readonly #accounts: Accounts;
  readonly #views: Pick<ConversationViews, 'fetch'>;
  readonly #pairs = new LRUCache<ConversationId, Pair>({ max: MAX_PAIRS, ttl: PAIR_TTL_MS, ttlResolution: 1_000 });
  /** Being asked for: true where it has changed meanwhile, so that the answer may be older. */
  readonly #asking = new Map<ConversationId, { hasChanged: boolean; readonly pair: Promise<Pair> }>();
  readonly #slots = new Slots(MAX_ASKED);

  constructor(accounts: Accounts, views: Pick<ConversationViews, 'fetch'>) {
    this.#accounts = accounts;
    this.#views = views;
  }

  /** @throws RookeryError LOG_UNAVAILABLE where it cannot be told now */
  async maySee(asker: UserId, other: UserId): Promise<boolean> {
    if (asker === other) return true;
    const account = await this.#accounts.get(other);
    if (!this.#isThere(account) || account.settings.lastSeenFor === 'nobody') return false;
    const { contact, blockers } = await this.#pair(asker, other);
    if (isBlocked(blockers, asker)) return false;
    return account.settings.lastSeenFor === 'everybody' || contact.state === 'contacts';
  }

  changed(conversation: ConversationId): void {
    this.#pairs.delete(conversation);
    const asking = this.#asking.get(conversation);
    if (asking) asking.hasChanged = true;
  }

  #isThere({ state }: Account): boolean {
    return state === 'active' || (state === 'none' && this.#accounts.isOpen);
  }

  async #pair(one: UserId, other: UserId): Promise<Pair> {
    const id = directConversationId(one, other);
    const known = this.#pairs.get(id);
    if (known) return known;
    const underWay = this.#asking.get(id);
    if (underWay && !underWay.hasChanged) return underWay.pair;
    const asking = { hasChanged: false, pair: this.#slots.run(() => this.#ask(id, [one, other])) };
    this.#asking.set(id, asking);
    try {
      const pair = await asking.pair;
      if (!asking.hasChanged) this.#pairs.set(id, pair);
      return pair;
    } finally {
      if (this.#asking.get(id) === asking) this.#asking.delete(id);
    }
  }

  async #ask(id: ConversationId, about: readonly UserId[]): Promise<Pair> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const view = await this.#views.fetch(id, { about });
      if (view) return { contact: view.conversation.roster.contact, blockers: view.conversation.roster.blockers };
    }
    throw new RookeryError('LOG_UNAVAILABLE', 'nobody answers for this conversation', { retryAfterMs: 500 });
  }
}
