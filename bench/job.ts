/** What the orchestrator asks of the generator, and what it gets back: over Node's IPC, as JSON. */

export type Job =
  /** Groups of `members` (2: direct conversations), each with `window` messages on their way until all members have them. */
  | {
      readonly kind: 'live';
      readonly url: string;
      readonly secretFile: string;
      readonly groups: number;
      readonly members: number;
      readonly window: number;
      readonly warmupMs: number;
      readonly measureMs: number;
    }
  /** The same against a plain WebSocket server that sends what it gets to everybody. */
  | {
      readonly kind: 'broadcast';
      readonly url: string;
      readonly members: number;
      readonly window: number;
      readonly warmupMs: number;
      readonly measureMs: number;
    }
  /** Opens connections and keeps them until it is told to go. */
  | {
      readonly kind: 'idle';
      readonly url: string;
      readonly secretFile: string | undefined;
      readonly connections: number;
    }
  /** A device goes away, `messages` of `conversations` come for it, and it comes back with its cursor. */
  | {
      readonly kind: 'catch-up';
      readonly url: string;
      readonly secretFile: string;
      readonly conversations: number;
      readonly messages: number;
    };

export interface Result {
  /** Deliveries, messages or connections a second, or whatever the row counts. */
  readonly value: number;
  /** Milliseconds; of deliveries. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Milliseconds, of acks. */
  readonly ackP50Ms?: number;
  readonly ackP99Ms?: number;
  readonly messagesPerS?: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
}
