/** Types of events as they are named on a command line. */
import { EVENT_TYPES } from '../domain/conversation-events.ts';
import { RookeryError } from '../protocol/error-codes.ts';

/** @param option what was typed before it; @param others that are there besides @throws RookeryError BAD_REQUEST, which lists them */
export function refuseUnknownKind(kind: string, option: string, ...others: readonly string[]): void {
  const known: readonly string[] = [...EVENT_TYPES, ...others];
  if (known.includes(kind)) return;
  throw new RookeryError(
    'BAD_REQUEST',
    `${option}${kind}: there is no such type of event; there are ${known.join(', ')}`,
  );
}
