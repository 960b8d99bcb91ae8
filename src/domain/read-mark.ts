/**
 * How far one user has read one conversation: the index of the newest entry seen. Its own small state, apart from the
 * conversation's: in a group of thousands a read mark must not cost a copy of everybody's.
 */
export type ReadMark = number;

export const initialReadMark: ReadMark = 0;

/** A mark only moves forward: one that does not is no error (devices race), it just changes nothing. */
export const movesReadMark = (mark: ReadMark, upTo: number): boolean => upTo > mark;
