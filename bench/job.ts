/** What the bench asks of its generator, and what it gets back: over Node's IPC, as JSON. */

/** How long a closed loop warms up, and how long it is then measured. */
export interface Timing {
  readonly warmupMs: number;
  readonly measureMs: number;
}

/** Who writes to whom. Everybody gets everything, the sender's own messages too. */
export interface Shape {
  /** Conversations, each with members of its own. */
  readonly groups: number;
  /** Of each group; 2: direct conversations. */
  readonly members: number;
  /** Members of each group that send, in turns. */
  readonly senders: number;
  /** Messages of each group on their way at a time: the next leaves when one is acked and delivered to all. */
  readonly window: number;
}

interface ServerAddress {
  readonly url: string;
  readonly secretFile: string;
}

export interface LiveJob extends ServerAddress, Shape, Timing {
  readonly kind: 'live';
}

/** The same against a plain WebSocket server that sends what it gets to all of a room. */
export interface BroadcastJob extends Shape, Timing {
  readonly kind: 'broadcast';
  readonly url: string;
}

/** Messengers that a row can stand beside. */
export const PEERS = ['centrifugo', 'wukongim'] as const;
export type PeerName = (typeof PEERS)[number];

/** The shape of a live row against another messenger. */
export interface PeerJob extends Shape, Timing {
  readonly kind: 'peer';
  readonly peer: PeerName;
  readonly url: string;
  /** Of its HTTP API. */
  readonly apiUrl: string;
}

/** Opens connections and keeps them until its process is told to go. */
export interface IdleJob {
  readonly kind: 'idle';
  readonly url: string;
  /** Absent for a plain WebSocket server, which asks for no token. */
  readonly secretFile?: string;
  /** Connections of the first phase, which is over before the others are opened. */
  readonly first: number;
  readonly more: number;
}

/** A device goes away, messages come for it, and it comes back with its cursor, several times over. */
export interface CatchUpJob extends ServerAddress {
  readonly kind: 'catch-up';
  readonly conversations: number;
  readonly messages: number;
  /** Resumes that count, after one that warms up. */
  readonly resumes: number;
}

export type Job = LiveJob | BroadcastJob | PeerJob | IdleJob | CatchUpJob;

export interface Result {
  /** Deliveries a second; of `idle` connections, of `catch-up` messages a second. */
  readonly value: number;
  /** Messages a second that were delivered to all. */
  readonly messagesPerS?: number;
  /** Of deliveries; of `catch-up` from the hello to the cursor at the end. */
  readonly p50Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
  readonly ackP50Ms?: number | undefined;
  readonly ackP99Ms?: number | undefined;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  /** Requests that were answered with an error. */
  readonly refused?: number;
}

/** Where a job is; the next one begins when the bench says `go`. */
export type Phase = 'measuring' | 'measured';

export type FromGenerator = { readonly phase: Phase } | { readonly result: Result } | { readonly error: string };
export type ToGenerator = { readonly job: Job } | { readonly go: true };
