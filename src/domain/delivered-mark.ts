/**
 * Up to which index some device of one of the two of a direct conversation has stored it: what the other may show as delivered.
 * As a read mark it only moves forward, and what was read was delivered.
 */
export type DeliveredMark = number;

export const initialDeliveredMark: DeliveredMark = 0;

/** One that does not move it is no error (devices race): it changes nothing. */
export const movesDeliveredMark = (mark: DeliveredMark, readMark: number, upTo: number): boolean =>
  upTo > mark && upTo > readMark;
