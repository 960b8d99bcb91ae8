/**
 * A lane that no worker has: what a repair puts into an INBOX stream is of it, and of its own terms. So a worker that reads back
 * where it was never meets a record of a repair as its own.
 *
 * Its records are copies that keep the window and the offset of the record whose place they take, and with that its name; which lane
 * that was follows from the conversation.
 */
export const REPAIR_LANE = 0xffff;

/** A window's name; a record's among all that a lane ever plans for one INBOX stream is that and its offset. */
export const windowKey = (lane: number, from: number, to: number): string => `${lane}:${from}:${to}`;
