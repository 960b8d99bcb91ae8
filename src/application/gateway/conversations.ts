/**
 * What a client may do to a conversation, as the gateway decides it: on a view that may be stale, with the same code the
 * fold decides with again. A refusal is never given on a stale view; an acceptance may be, the fold has the last word.
 */
import {
  type ConversationCommand,
  type ConversationEvent,
  eventOf,
  type MessageContent,
  type MessageRef,
  partOf,
  type RefusalCode,
  refusalOf,
} from '../../domain/conversation.ts';
import { type ClientMsgId, type ConversationId, directConversationId, type UserId } from '../../domain/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Appended, ConversationLog, UserLog } from '../../ports/conversation-log.ts';
import type { Asked, ConversationViews, View } from '../../ports/conversation-views.ts';
import { isExpired } from '../../projections/fan-out.ts';
import type { OwnAccountCommand } from '../../protocol/account-frames.ts';
import { asRookeryError, RookeryError } from '../../protocol/error-codes.ts';
import type { Command, ConversationView } from '../../protocol/frames.ts';
import type { ContactRequests } from './contact-requests.ts';
import { MAX_QUERIED_MEMBERS, viewFor } from './conversation-view.ts';
import { keyOf, ViewCache } from './view-cache.ts';
import { refuseUnwilling, unlessUnknown } from './willing.ts';
import type { WritingPolicy } from './writing-policy.ts';

/** A state command decides again so often when others change the conversation meanwhile; then CONFLICT. */
const MAX_DECISIONS = 6;
const FIRST_CONFLICT_PAUSE_MS = 5;
/** Between two looks whether the worker has folded what the log has: doubled each time, half a second in all. */
const FIRST_LOOK_PAUSE_MS = 2;
const LAST_LOOK_PAUSE_MS = 256;

export interface Address {
  readonly conversation?: ConversationId;
  /** The other user of a direct conversation. */
  readonly to?: UserId;
}

export interface Sent extends Appended {
  readonly conversation: ConversationId;
  /** Milliseconds since 1970, by the gateway's clock. */
  readonly at: number;
}

export interface Hearers {
  readonly memberCount: number;
  readonly others: readonly UserId[];
}

export interface ConversationsParts {
  readonly log: ConversationLog & UserLog;
  readonly views: ConversationViews;
  readonly clock: Clock;
  readonly policy: WritingPolicy;
  readonly contactRequests: ContactRequests;
}

export class Conversations {
  readonly #log: ConversationLog & UserLog;
  readonly #views: ConversationViews;
  readonly #clock: Clock;
  readonly #policy: WritingPolicy;
  readonly #contactRequests: ContactRequests;
  readonly #cache = new ViewCache();
  /** Fetches under way, by conversation and sender: what that one sends there meanwhile shares the view. */
  readonly #fetching = new Map<string, Promise<View | undefined>>();
  /** Changes under way, by conversation and sender: what that one does there next is decided behind them. */
  readonly #changing = new Map<string, Turn>();
  /** What waits to be handed to the log, by conversation and sender: the newest, behind all before it. */
  readonly #waiting = new Map<string, Turn>();
  /** By conversation and sender: what has failed for a passing reason while others waited, and the newest of these. */
  readonly #spoilt = new Map<string, { readonly upTo: number; readonly error: RookeryError }>();
  /** Counts what has had to wait. */
  #arrivals = 0;
  /** Queries under way: who asks the same meanwhile shares the next answer. */
  readonly #asking = new Map<string, Asking<View | undefined>>();

  constructor({ log, views, clock, policy, contactRequests }: ConversationsParts) {
    this.#log = log;
    this.#views = views;
    this.#clock = clock;
    this.#policy = policy;
    this.#contactRequests = contactRequests;
    views.onChange((id) => this.#cache.delete(id));
  }

  /**
   * Messages of one sender to one conversation are appended in the order of the calls.
   * @throws RookeryError with a refusal's code, or as ConversationLog.append
   */
  send(by: UserId, id: ClientMsgId, { conversation, to }: Address, content: MessageContent): Promise<Sent> {
    const target = to === undefined ? (conversation as ConversationId) : directConversationId(by, to);
    return this.#say(target, { type: 'messageSent', by, id, ...content });
  }

  /** A message, or what changes one: in the order of the calls, or an edit could overtake what it edits. */
  #say(target: ConversationId, event: ConversationEvent): Promise<Sent> {
    const key = keyOf(target, event.by);
    const at = this.#clock.nowMs();
    if (isExpired(event, at)) return Promise.reject(refused('MESSAGE_ID_EXPIRED'));
    const waits = this.#waiting.has(key) || this.#changing.has(key);
    if (!waits && this.#spoilt.size > 0) this.#spoilt.delete(key);
    const view = waits ? undefined : this.#cache.get(target, event.by);
    // Hot path: with a view at hand the event is appended in this very turn.
    const stamped = view && this.#policy.stampedNow(target, event);
    if (stamped && !refusalOf(view.conversation, stamped, { at })) return this.#append(target, stamped);
    const arrival = ++this.#arrivals;
    const decided = after(this.#changing.get(key), async () => {
      const stamped = await this.#policy.stamped(target, event);
      return { stamped, standing: await this.#decide(target, stamped) };
    });
    return inTurn(this.#waiting, key, decided, ({ stamped, standing }) => {
      if (standing) return Promise.resolve(this.sent(target, standing));
      const spoilt = this.#spoilt.get(key);
      return spoilt && arrival <= spoilt.upTo ? Promise.reject(spoilt.error) : this.#append(target, stamped);
    });
  }

  /** @throws RookeryError with a refusal's code, CONFLICT, or as ConversationLog.append */
  async command(by: UserId, id: ClientMsgId, command: Exclude<Command, OwnAccountCommand>): Promise<Appended> {
    if (command.type === 'changePreferences') {
      const { type, about, preferences } = command;
      return this.#say(about || directConversationId(by, by), eventOf({ type, about, preferences, by, id }));
    }
    if (command.type === 'requestContact') {
      const { type, user, greeting } = command;
      return this.#change(directConversationId(by, user), eventOf({ type, greeting, by, id }));
    }
    if (command.type === 'declineContact' || command.type === 'removeContact') {
      return this.#change(directConversationId(by, command.user), eventOf({ type: command.type, by, id }));
    }
    if ('user' in command) {
      const blocked = command.type === 'blockUser';
      // First the truth about people; the direct conversation repeats it. Whoever retries after a crash repeats both.
      await this.#log.appendBlock({ by, id, user: command.user, blocked });
      return this.#change(directConversationId(by, command.user), eventOf({ type: command.type, by, id }));
    }
    const { conversation, sender: _, ...rest } = { sender: undefined, ...command };
    const domainCommand = { ...rest, ...targetOf(command, by), by, id } as ConversationCommand;
    const event = eventOf(domainCommand);
    if (command.type === 'markRead' || command.type === 'markDelivered') return this.#mark(conversation, event);
    return partOf(event) === 'm' ? this.#say(conversation, event) : this.#change(conversation, event);
  }

  /** What a member may see of a conversation. @throws RookeryError NOT_A_MEMBER, LOG_UNAVAILABLE */
  async view(by: UserId, id: ConversationId): Promise<ConversationView> {
    const asked = { about: [by], members: MAX_QUERIED_MEMBERS };
    const view = await latest(this.#asking, keyOf(id, by), () => this.#current(id, asked));
    if (!view) throw unanswered();
    const seen = viewFor(by, view, this.#clock.nowMs());
    if (!seen) throw refused('NOT_A_MEMBER');
    return seen;
  }

  /**
   * Who else would get what `by` said there now, of a large group not all; undefined where they may not speak, or nobody can tell.
   * @throws as WritingPolicy
   */
  async hearersOf(by: UserId, target: ConversationId): Promise<Hearers | undefined> {
    const event = await this.#policy.stamped(target, { ...SILENCE, by });
    const view = this.#cache.get(target, by) ?? (await this.#fetch(target, by));
    if (!view || this.#refusal(view, event)) return undefined;
    const { members, blockers } = view.conversation.roster;
    // Whom one has blocked is not told what one does.
    const others = blockers.has(by) ? [] : [...members.keys()].filter((user) => user !== by);
    return { memberCount: view.memberCount, others };
  }

  /** Undefined: nobody can tell. @throws LOG_UNAVAILABLE, also where it was refused lately and nobody can tell now */
  async #mayWrite(by: UserId, user: UserId): Promise<boolean | undefined> {
    const target = directConversationId(by, user);
    const event = await this.#policy.stamped(target, { ...SILENCE, by }).catch(unlessUnknown);
    if (!event) return true;
    const known = this.#cache.get(target, by) ?? (await this.#fetch(target, by));
    if (!known || !this.#refusal(known, event)) return known && true;
    const current = await this.#current(target, { about: [by] });
    if (!current) throw unanswered();
    return !this.#refusal(current, event);
  }

  /** @returns where it stands already, if it does: then it is a retry, and its first answer stands. @throws its refusal */
  async #decide(target: ConversationId, event: ConversationEvent): Promise<Appended | undefined> {
    const view = this.#cache.get(target, event.by) ?? (await this.#fetch(target, event.by));
    if (!view || !this.#refusal(view, event)) return undefined;
    const current = await this.#current(target, { about: usersIn(event), intended: event });
    if (current?.seenAt !== undefined) return { pos: current.seenAt, duplicate: true };
    const refusal = current && this.#refusal(current, event);
    if (refusal) throw refused(refusal);
    return undefined;
  }

  async #append(target: ConversationId, event: ConversationEvent): Promise<Sent> {
    try {
      return this.sent(target, await this.#log.append(target, event));
    } catch (thrown) {
      // Its sender will try again: what waits behind it must not be stored before that.
      const error = asRookeryError(thrown);
      const key = keyOf(target, event.by);
      if (error.retryable && this.#waiting.has(key)) this.#spoilt.set(key, { upTo: this.#arrivals, error });
      throw error;
    }
  }

  sent(conversation: ConversationId, { pos, duplicate }: Appended): Sent {
    return { conversation, pos, duplicate, at: this.#clock.nowMs() };
  }

  /** Only whether the user may mark there is decided here: a cached view does not know the newest index. */
  async #mark(target: ConversationId, event: ConversationEvent): Promise<Appended> {
    const view = this.#cache.get(target, event.by) ?? (await this.#fetch(target, event.by));
    if (view && this.#mayNotMark(view, event)) {
      // The view may be older than what has let them in.
      const current = await this.#current(target, { about: [event.by] });
      const refusal = current && this.#mayNotMark(current, event);
      if (refusal) throw refused(refusal);
    }
    return this.#log.append(target, event);
  }

  #mayNotMark(view: View, event: ConversationEvent): RefusalCode | undefined {
    const refusal = this.#refusal(view, event);
    return refusal === 'INDEX_BEYOND_END' ? undefined : refusal;
  }

  /** Behind what its sender said there before; and one change behind the other: each is decided on what the one before made. */
  #change(target: ConversationId, event: ConversationEvent): Promise<Appended> {
    const key = keyOf(target, event.by);
    const ready = after(this.#changing.get(key), async () => undefined);
    const change = inTurn(this.#waiting, key, ready, () => this.#changeNow(target, event));
    putTurn(this.#changing, key, change);
    return change;
  }

  /** State events carry an optimistic lock: two admins who act at once are decided one after the other. */
  async #changeNow(target: ConversationId, event: ConversationEvent): Promise<Appended> {
    if (isExpired(event, this.#clock.nowMs())) throw refused('MESSAGE_ID_EXPIRED');
    const asked = { about: usersIn(event), intended: event };
    for (let attempt = 1; ; attempt++) {
      let view = await this.#views.fetch(target, asked);
      if (view?.seenAt === undefined && (attempt > 1 || (view && this.#refusal(view, event)))) {
        view = await this.#current(target, asked);
      }
      if (view?.seenAt !== undefined) return { pos: view.seenAt, duplicate: true };
      const refusal = view && this.#refusal(view, event);
      if (refusal) throw refused(refusal);
      if (attempt === 1) {
        this.#contactRequests.count(event, view?.conversation);
        await refuseUnwilling(event, view?.conversation.roster, (by, user) => this.#mayWrite(by, user));
      }
      this.#cache.delete(target);
      try {
        // Without a view the fold decides alone.
        return await this.#log.append(target, event, view ? { expectedStatePos: view.statePos } : {});
      } catch (thrown) {
        const error = asRookeryError(thrown);
        if (error.code !== 'CONFLICT' || attempt === MAX_DECISIONS) throw error;
        // The worker may not have folded the change that came between: give it the time.
        await new Promise((resolve) => setTimeout(resolve, FIRST_CONFLICT_PAUSE_MS * 2 ** attempt));
      }
    }
  }

  /**
   * A view that knows every change the log has by now: what is refused is refused on nothing less, or a command right behind
   * the ack of another would be decided on what was before it. Undefined where that takes too long, or the log cannot tell now:
   * then the fold decides. (A passing refusal instead would let what was sent behind it overtake it.)
   */
  async #current(id: ConversationId, asked: Asked): Promise<View | undefined> {
    const statePos = await this.#log.lastStatePos(id).catch(unlessPassing);
    if (statePos === undefined) return undefined;
    for (let pauseMs = FIRST_LOOK_PAUSE_MS; pauseMs <= LAST_LOOK_PAUSE_MS; pauseMs *= 2) {
      const view = await this.#views.fetch(id, asked);
      if (!view || view.statePos >= statePos) return view;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return undefined;
  }

  /** Whether the message stands that an edit or recall names, only the fold can tell: the worker may not have folded it yet. */
  #refusal({ conversation }: View, event: ConversationEvent): RefusalCode | undefined {
    return refusalOf(conversation, event, { at: this.#clock.nowMs() });
  }

  #fetch(id: ConversationId, by: UserId): Promise<View | undefined> {
    const fetch = async (): Promise<View | undefined> => {
      const view = await this.#views.fetch(id, { about: [by] });
      if (view) this.#cache.set(id, by, view);
      return view;
    };
    return once(this.#fetching, keyOf(id, by), fetch);
  }
}

/** A message by nobody, to ask whether there could be one. */
const SILENCE = { type: 'messageSent', id: '' as ClientMsgId, contentType: '', body: new Uint8Array() } as const;

/**
 * Resolves when it is over; with the error where it failed for a passing reason. Its sender will try again, so what waits
 * behind it fails with it: done without it, it would stand before it.
 */
type Turn = Promise<RookeryError | undefined>;

/** Nothing, where the log does not answer now. */
function unlessPassing(thrown: unknown): undefined {
  if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE') throw thrown;
}

/** @throws the passing error of `turn`, or what `work` throws */
async function after<T>(turn: Turn | undefined, work: () => Promise<T>): Promise<T> {
  const error = await turn;
  if (error) throw error;
  return work();
}

function putTurn(turns: Map<string, Turn>, key: string, work: Promise<unknown>): void {
  const turn = work.then(
    () => undefined,
    (thrown: unknown) => {
      const error = asRookeryError(thrown);
      return error.retryable ? error : undefined;
    },
  );
  turns.set(key, turn);
  void turn.then(() => {
    if (turns.get(key) === turn) turns.delete(key);
  });
}

/** Calls `work` once it is `ready` and what waited under `key` before was called, or refused. @throws what `ready` or `work` throws */
function inTurn<R, T>(
  waiting: Map<string, Turn>,
  key: string,
  ready: Promise<R>,
  work: (readied: R) => Promise<T>,
): Promise<T> {
  // It may be refused before its turn comes.
  ready.catch(() => undefined);
  // Wrapped: the next waits for the call, not for its result.
  const called = after(waiting.get(key), () => ready).then((readied) => ({ result: work(readied) }));
  putTurn(waiting, key, called);
  return called.then(({ result }) => result);
}

/** One of a kind at a time: who comes meanwhile gets the same. */
function once<T>(underWay: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  let promise = underWay.get(key);
  if (!promise) {
    promise = work().finally(() => underWay.delete(key));
    underWay.set(key, promise);
  }
  return promise;
}

interface Asking<T> {
  readonly now: Promise<T>;
  next?: Promise<T>;
}

/** One at a time, and one behind it for all who come meanwhile: an answer under way may be older than their question. */
function latest<T>(underWay: Map<string, Asking<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const asking = underWay.get(key);
  if (asking) {
    asking.next ??= asking.now.then(
      () => latest(underWay, key, work),
      () => latest(underWay, key, work),
    );
    return asking.next;
  }
  const now = work().finally(() => underWay.delete(key));
  underWay.set(key, { now });
  return now;
}

/** Everybody whose place in the conversation the decision about `event` depends on. */
function usersIn(event: ConversationEvent): UserId[] {
  return [
    event.by,
    ...('members' in event ? event.members : []),
    ...('member' in event ? [event.member] : []),
    ...('target' in event ? [event.target.by] : []),
  ];
}

/** Whose message is meant: one's own where nobody is named. */
function targetOf(command: Command, by: UserId): { target?: MessageRef } {
  if (command.type === 'editMessage') return { target: { by, id: command.target } };
  if (command.type === 'recallMessage') return { target: { by: command.sender ?? by, id: command.target } };
  return {};
}

const unanswered = (): RookeryError =>
  new RookeryError('LOG_UNAVAILABLE', 'nobody answers for this conversation', { retryAfterMs: 500 });

export const refused = (code: RefusalCode | 'MESSAGE_ID_EXPIRED'): RookeryError =>
  new RookeryError(code, `refused: ${code.toLowerCase().replaceAll('_', ' ')}`);
