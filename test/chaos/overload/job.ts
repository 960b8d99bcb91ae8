/** What the overload run asks of its load generator, and what it is told: over Node's IPC. */

export interface Load {
  readonly urls: readonly string[];
  readonly secretFile: string;
  /** Direct conversations, each with a sender and a receiver of its own. */
  readonly pairs: number;
}

/** `perS: 'closed'` keeps some messages of each pair on their way; a number sends so many a second, whatever comes back. */
export interface Stage {
  readonly perS: number | 'closed';
}

/** Of one second. */
export interface Second {
  readonly sent: number;
  readonly acked: number;
  readonly delivered: number;
  readonly refused: number;
  /** Messages that their clients had no room for: too much of theirs waits to be sent again. */
  readonly unwritten: number;
  /** Refusals that name no time to wait: there must be none. */
  readonly refusedWithoutTime: number;
  /** Any error but OVERLOADED, by code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
  readonly deliveryP50Ms: number;
  readonly deliveryP99Ms: number;
}

/** When all that was acked has had its time to arrive. */
export interface Balance {
  readonly acked: number;
  readonly delivered: number;
  /** Acked and never delivered to the receiver. */
  readonly lost: number;
  /** Delivered under an index that was there already. */
  readonly doubled: number;
  /** Sent, and neither acked, refused nor failed: never answered. */
  readonly unanswered: number;
  readonly closedSockets: number;
}

export type FromLoad =
  | { readonly ready: true }
  | { readonly second: Second }
  | { readonly balance: Balance }
  | { readonly error: string };
export type ToLoad = { readonly load: Load } | { readonly stage: Stage } | { readonly settle: true };
