/** What the machine is told, and what it wants done. */
import type { ClientMsgId, ConversationId, UserId } from '../domain/ids.ts';
import type { RookeryError } from '../protocol/error-codes.ts';
import type {
  AccountFrame,
  ClientFrame,
  CursorFrame,
  Entry,
  PresenceFrame,
  Query,
  QueryResult,
  ResyncReason,
  ServerFrame,
  TypingFrame,
} from '../protocol/frames.ts';
import type { ClientError } from './client-error.ts';
import type { Address, OutboxEntry, Request } from './requests.ts';
import type { Mark, StoredCursor } from './storage.ts';
import type { Synced, SyncPage } from './sync.ts';

export type Status =
  | { readonly phase: 'offline'; readonly reason: string; readonly retryInMs: number }
  | { readonly phase: 'connecting' }
  /** Told again as `behind` changes, some times a second; absent: nothing is known to be left. */
  | { readonly phase: 'catching up'; readonly behind?: Behind }
  | { readonly phase: 'live' }
  /**
   * `closeCode`, of docs/PROTOCOL.md: where the server has ended it (4200–4299), or has refused the token and there is no other
   * (4100–4199). `reason` is for people.
   */
  | { readonly phase: 'stopped'; readonly reason: string; readonly closeCode?: number };

/** What is yet to be handed over, as far as it is known. What the server has not sent yet it alone knows. */
export interface Behind {
  /** Received, and not handled by the app yet. */
  readonly entries: number;
  /** Of a sync by changes: those that are yet to be told, where the server has counted them. */
  readonly conversations?: number;
}

/** How a message or a command ended. `conversation` and `at` (milliseconds since 1970) only with messages. */
export type Outcome =
  | { readonly pos: number; readonly conversation?: ConversationId; readonly at?: number; readonly error?: undefined }
  | { readonly error: RookeryError | ClientError };

export type TimerName =
  | 'reconnect'
  | 'connect'
  | 'heartbeat'
  | 'pong'
  | 'retry'
  | 'commit'
  | 'sync'
  | 'delivered'
  | 'watch';

export type Input =
  | { readonly type: 'start' }
  /** `ticket` names the call whose promise is to be settled. */
  | { readonly type: 'request'; readonly ticket: number; readonly clientMsgId: ClientMsgId; readonly request: Request }
  | { readonly type: 'query'; readonly ticket: number; readonly query: Query }
  /** These users, and nobody else, are watched from now on. */
  | { readonly type: 'watch'; readonly ticket: number; readonly users: readonly UserId[] }
  /** The user is writing. */
  | { readonly type: 'typing'; readonly address: Address }
  /** For the hello; undefined where the app has none. */
  | { readonly type: 'token'; readonly token: string | undefined }
  | { readonly type: 'opened' }
  | { readonly type: 'frame'; readonly frame: ServerFrame }
  /** The socket is gone, or could not be opened (1006), or no token could be fetched (1006). */
  | { readonly type: 'closed'; readonly code: number; readonly reason: string }
  | { readonly type: 'timer'; readonly name: TimerName }
  /** The app has handled these entries: handed over in this order, the next ones come behind them. */
  | { readonly type: 'handled'; readonly conversation: ConversationId; readonly entries: readonly Entry[] }
  /** All that was handed over before this cursor has been handled. */
  | { readonly type: 'passed'; readonly cursor: PassedCursor }
  /** All of these conversations have been handled. */
  | { readonly type: 'announced'; readonly page: SyncPage }
  /** What a `commit` said is in the storage. */
  | { readonly type: 'committed'; readonly cursor: StoredCursor | undefined }
  | { readonly type: 'stop'; readonly reason: string };

export type PassedCursor = Omit<CursorFrame, 't'>;

/** When an input came. */
export interface Moment {
  /** Milliseconds of a clock that never goes back; of no meaning beyond differences. */
  readonly nowMs: number;
  /** In [0, 1), for jitter. */
  readonly random: number;
}

export type Effect =
  | { readonly type: 'fetch token' }
  | { readonly type: 'open' }
  /** The socket is given up: what it still brings, its closing included, is no input any more. */
  | { readonly type: 'close' }
  /** Only behind the storing of all entries before it; and only on the socket of now. */
  | { readonly type: 'write'; readonly frame: ClientFrame }
  | { readonly type: 'set timer'; readonly name: TimerName; readonly ms: number }
  | { readonly type: 'clear timer'; readonly name: TimerName }
  | { readonly type: 'store entry'; readonly entry: OutboxEntry }
  | { readonly type: 'drop entry'; readonly key: string }
  | { readonly type: 'settle'; readonly ticket: number; readonly outcome: Outcome }
  /** An entry that an earlier run has left: refused for good. */
  | {
      readonly type: 'refused';
      readonly conversation: ConversationId;
      readonly clientMsgId: ClientMsgId;
      readonly error: RookeryError | ClientError;
    }
  | { readonly type: 'answer'; readonly ticket: number; readonly result: QueryResult | RookeryError | ClientError }
  /** `hand over`, `announce` and `pass`: one after the other, answered with `handled`, `announced` and `passed`. */
  | { readonly type: 'hand over'; readonly conversation: ConversationId; readonly entries: readonly Entry[] }
  | { readonly type: 'announce'; readonly page: SyncPage }
  | { readonly type: 'pass'; readonly cursor: PassedCursor }
  | {
      readonly type: 'commit';
      readonly cursor: StoredCursor | undefined;
      readonly marks: readonly (readonly [ConversationId, Mark])[];
    }
  | { readonly type: 'status'; readonly status: Status }
  /** What the server tells and nobody keeps. */
  | { readonly type: 'told'; readonly frame: TypingFrame | AccountFrame | PresenceFrame }
  | { readonly type: 'resync'; readonly reason: ResyncReason }
  | { readonly type: 'synced'; readonly synced: Synced }
  | ({ readonly type: 'gap'; readonly conversation: ConversationId } & Gap);

/** Entries are missing between two indexes. */
export interface Gap {
  readonly after: number;
  readonly found: number;
  /** False: the inbox is asked again. True: it was, and it has them no more; what follows is handed over all the same. */
  readonly lost: boolean;
}
