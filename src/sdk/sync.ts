/**
 * How a device is brought up by what has changed instead of by entries: conversations page by page, the next one asked for when
 * the app has handled the last, so that memory holds one page however many there are. Pure.
 *
 * Meanwhile entries come live. What lies between a conversation's mark and the first entry that comes live is told by the
 * pages; which of both comes first does not matter.
 */
import type { ConversationId } from '../domain/ids.ts';
import type { RookeryError } from '../protocol/error-codes.ts';
import type {
  ChangedConversation,
  ChangesPage,
  ClientFrame,
  ConversationPage,
  Query,
  QueryResult,
} from '../protocol/frames.ts';
import { FIRST_RETRY_MS, MAX_SYNC_FAILURES, SYNC_PAGE_CONVERSATIONS } from './limits.ts';

/** What is not told yet. It is stored beside the cursor, from the first cursor behind the `resync` on. */
export interface PendingSync {
  /** Milliseconds since 1970: all that the log had before is known. */
  readonly since: number;
  /** The device had nothing: the first page of the list is all that is told. */
  readonly isFirst: boolean;
  /** Of the `resync`: answers that are older do not count. */
  readonly reached: string;
  /** The page to be told next; absent: the first one. */
  readonly page?: string;
}

/** Told in the end: nothing is missing any more. */
export interface Synced {
  /** Milliseconds since 1970: what has changed since then was told. 0 for a device that had nothing. */
  readonly since: number;
  /** Of a device that had nothing: where the list goes on, for `conversations`; absent: it was told to its end. */
  readonly more?: string;
  /** Of a device that had nothing. */
  readonly badge?: NonNullable<ConversationPage['badge']>;
}

/** A page in the app's hands. */
export interface SyncPage {
  readonly sync: PendingSync;
  readonly conversations: readonly ChangedConversation[];
  /** Those whose index goes on from what is told, as nothing has come live yet. */
  readonly moved: readonly (readonly [ConversationId, number])[];
  /** Absent: it is the last one. */
  readonly next?: string;
  readonly rest: Omit<Synced, 'since'>;
}

/** `with the app`: the page is being handled. `waits`: for a timer, after a refusal. */
type State = 'nothing to do' | 'to be asked' | 'asked' | 'with the app' | 'waits';

export class Sync {
  #pending: PendingSync | undefined;
  #state: State;
  /** Of this connection; or of one before, while pages are left from then. */
  #reached: string | undefined;
  #id = 0;
  /** Conversations not told yet, where the server has counted them. */
  #left: number | undefined;
  #failures = 0;

  constructor(pending: PendingSync | undefined) {
    this.#pending = pending;
    this.#state = pending ? 'to be asked' : 'nothing to do';
    this.#reached = pending?.reached;
  }

  get pending(): PendingSync | undefined {
    return this.#pending;
  }

  /** What queries are to carry, the app's as well: where it looks up what was told, nothing may be missing there. */
  get reached(): string | undefined {
    return this.#reached;
  }

  /** Conversations that are yet to be told; undefined where that is not known. */
  get left(): number | undefined {
    return this.#pending && this.#left;
  }

  get underWay(): number {
    return this.#state === 'asked' ? 1 : 0;
  }

  /** A `resync`: from the first page on. One that was under way began earlier, and nothing of it counts as told. */
  begin(reached: string, since: number, isFirst: boolean): void {
    const begun = this.#pending ?? { since, isFirst };
    this.#pending = { since: begun.since, isFirst: begun.isFirst, reached };
    this.#reached = reached;
    this.#left = undefined;
    // A page that the app still has is waited for: memory holds one.
    if (this.#state !== 'with the app') this.#state = 'to be asked';
  }

  next(room: number, newId: () => number): ClientFrame[] {
    const sync = this.#pending;
    if (!sync || this.#state !== 'to be asked' || room < 1) return [];
    this.#state = 'asked';
    this.#id = newId();
    return [{ t: 'query', id: this.#id, query: queryOf(sync), reached: sync.reached }];
  }

  isAnswer(id: number): boolean {
    return this.#state === 'asked' && this.#id === id;
  }

  /** @param move whether the conversation goes on from this index */
  answered(result: QueryResult, move: (id: ConversationId, lastIndex: number) => boolean): SyncPage {
    const sync = this.#pending as PendingSync;
    const page = sync.isFirst ? firstPage(result as ConversationPage) : pageOf(result as ChangesPage);
    if (sync.isFirst) this.#left = page.conversations.length;
    else if (sync.page === undefined) this.#left = (result as ChangesPage).total;
    this.#state = 'with the app';
    this.#failures = 0;
    const moved = page.conversations.flatMap(({ conversation, lastIndex }) =>
      move(conversation, lastIndex) ? [[conversation, lastIndex] as const] : [],
    );
    return { sync, moved, ...page };
  }

  /**
   * @returns after how many milliseconds to ask again; undefined: the sync is to begin anew, for its pages or what they must have
   *   reached mean nothing to the server of now
   */
  refused({ retryable, retryAfterMs }: RookeryError, random: number): number | undefined {
    this.#failures += 1;
    if (!retryable || this.#failures > MAX_SYNC_FAILURES) {
      this.#failures = 0;
      return undefined;
    }
    this.#state = 'waits';
    return Math.ceil((retryAfterMs ?? FIRST_RETRY_MS) * 2 ** (this.#failures - 1) * (1 + random));
  }

  retry(): void {
    if (this.#state === 'waits') this.#state = 'to be asked';
  }

  disconnected(): void {
    if (this.#state === 'asked' || this.#state === 'waits') this.#state = 'to be asked';
    if (!this.#pending) this.#reached = undefined;
  }

  /** The app has handled a page. Gives what to tell in the end, if it was the last one. */
  handled({ sync, conversations, next, rest }: SyncPage): Synced | undefined {
    if (sync !== this.#pending) {
      // Begun anew meanwhile: what was told is true, and does not count.
      this.#state = 'to be asked';
      return undefined;
    }
    if (this.#left !== undefined) this.#left = Math.max(0, this.#left - conversations.length);
    this.#pending = next === undefined ? undefined : { ...sync, page: next };
    this.#state = next === undefined ? 'nothing to do' : 'to be asked';
    return next === undefined ? { since: sync.since, ...rest } : undefined;
  }
}

const pageOf = ({ conversations, cursor }: ChangesPage): Omit<SyncPage, 'sync' | 'moved'> => ({
  conversations,
  rest: {},
  ...(cursor !== undefined && { next: cursor }),
});

const firstPage = ({ conversations, cursor, badge }: ConversationPage): Omit<SyncPage, 'sync' | 'moved'> => ({
  conversations: conversations.map((listed) => ({ ...listed, amended: [] })),
  rest: { ...(cursor !== undefined && { more: cursor }), ...(badge && { badge }) },
});

function queryOf({ isFirst, since, page }: PendingSync): Query {
  const limit = SYNC_PAGE_CONVERSATIONS;
  if (isFirst) return { type: 'conversations', limit };
  return { type: 'changes', since, limit, ...(page !== undefined && { cursor: page }) };
}
