/** The sixteen promises, by number, and one way in which one of them did not hold. */
export const PROPERTIES: Readonly<Record<number, string>> = {
  1: 'no acked loss, in the log and in every entitled inbox',
  2: 'no phantoms',
  3: 'one inbox entry per (message, recipient)',
  4: 'one order per conversation, live and replayed',
  5: 'order per sender under pipelining',
  6: 'an acked message precedes one sent after the ack',
  7: 'index gapless, never reused',
  8: 'cursors monotone and stable',
  9: 'an ack implies durable',
  10: 'read after ack on the sender’s other devices',
  11: 'all is there in bounded time after healing',
  12: 'membership: exactly what lies between join and leave',
  13: 'live and catch-up give the history',
  14: 'read marks monotone',
  15: 'refolding the log gives the same inboxes',
  16: 'overload and trouble are told; nobody is stopped for good',
};

export interface Violation {
  readonly property: number;
  readonly what: string;
  /** An id, a user, a conversation: what the records concerned have in common. */
  readonly about: readonly string[];
}

/** Of one property: after so many more nothing new is learnt. */
const MAX_TOLD = 5;

export class Violations {
  readonly found: Violation[] = [];
  readonly counts = new Map<number, number>();

  add(property: number, what: string, ...about: string[]): void {
    const count = (this.counts.get(property) ?? 0) + 1;
    this.counts.set(property, count);
    if (count <= MAX_TOLD) this.found.push({ property, what, about });
  }
}
