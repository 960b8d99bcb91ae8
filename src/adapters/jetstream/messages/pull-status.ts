import type { Msg } from '@nats-io/nats-core';

/** How many messages the server says a pull leaves open, where it says anything of them. */
const OPEN = 'Nats-Pending-Messages';
/** The pull is over before it has brought all it asked for, and the next one may be asked for. */
const NOTHING_THERE = 404;
const EXPIRED = 408;
const CONFLICT = 409;

/**
 * What a message without data says of a pull: how many messages it will not bring any more. 0 for a heartbeat, and for one that has brought
 * them all: that is said behind its last message, and may come when the next pull was asked for already. Undefined: it is no pull that is
 * in order, but the consumer that is not.
 */
export function unfulfilled({ headers }: Msg): number | undefined {
  const code = headers?.code ?? 0;
  if (code === 100) return 0;
  // Of the other conflicts none is about the pull: a consumer that was deleted, a leader that changed, a limit that was passed.
  const isOver =
    code === NOTHING_THERE ||
    code === EXPIRED ||
    (code === CONFLICT && /^(Message Size|Batch Completed)/i.test(headers?.description ?? ''));
  if (!isOver) return undefined;
  return headers?.has(OPEN) ? Number(headers.get(OPEN)) : Number.POSITIVE_INFINITY;
}
