/**
 * The epoch of a cursor: the identity of its INBOX stream, and which past the stream had (projections/lineage.ts). While the log is
 * replayed to a device, in front of both how far that has come, so that a device whose connection is lost keeps what it has.
 */

/** All of the logs before `log`, and of that one all up to `pos`, has been replayed. */
export interface Replayed {
  /** Number of the CONV stream. */
  readonly log: number;
  readonly pos: number;
}

export interface EpochParts {
  readonly stream: string;
  readonly past: string;
  readonly replayed?: Replayed;
}

/** What a client takes for one (PROTOCOL.md, section 5). */
export const MAX_EPOCH_CHARS = 64;
const REPLAYED = /^([0-9a-z]{1,2})-([0-9a-z]{1,11})~/;

export function epochOf(stream: string, past: string, replayed?: Replayed): string {
  const place = past === '' ? stream : `${stream}.${past}`;
  return replayed ? `${replayed.log.toString(36)}-${replayed.pos.toString(36)}~${place}` : place;
}

export function partsOf(epoch: string): EpochParts {
  const [prefix, log, pos] = REPLAYED.exec(epoch) ?? [''];
  const [stream = '', ...past] = epoch.slice(prefix.length).split('.');
  const parts = { stream, past: past.join('.') };
  if (log === undefined || pos === undefined) return parts;
  return { ...parts, replayed: { log: Number.parseInt(log, 36), pos: Number.parseInt(pos, 36) } };
}
