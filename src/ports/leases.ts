/** Who runs what. A lease keeps overlaps rare and short; correctness never rests on it. */
export interface Lease {
  /** Aborted when the lease was lost to another, or could not be renewed in time. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

export interface Leases {
  /** The lease if it is free or its holder has been silent for too long, else undefined. Asking again is how one waits. */
  tryAcquire(name: string, owner: string): Promise<Lease | undefined>;
}
