/**
 * What every event stands in, in the conversations' log and in that of people: a MessagePack map with a schema version.
 *
 * Logs are read for ever and never rewritten: an event of an older version is upcast when it is read, one version at a time. The
 * bytes of every version ever released stand in test/replay/, and are read in a test by the code of today.
 */
import { RookeryError } from './error-codes.ts';
import { packr } from './messagepack.ts';

export type EventFields = Readonly<Record<string, unknown>>;

/** Makes the fields of one version those of the next. Pure: the same bytes are the same event for ever. */
export type Upcaster = (fields: EventFields) => EventFields;

/**
 * The first makes version 1 version 2, the next 2 to 3. A new version is a new upcaster at the end, and nothing else: the version
 * that is written follows from it. There is none yet: version 1 is all that was ever released. A field that a reader may do without
 * needs no new version.
 */
const UPCASTERS: readonly Upcaster[] = [];

/** What is written today. */
export const LOG_SCHEMA_VERSION = UPCASTERS.length + 1;

export const sealed = (fields: object): Uint8Array => packr.pack({ v: LOG_SCHEMA_VERSION, ...fields });

/**
 * The fields as the version of today has them, without the version.
 * @param upcasters another chain, for its own test
 * @throws RookeryError EVENT_UNREADABLE with the reason; a version that is newer than this code is never guessed at
 */
export function opened(data: Uint8Array, upcasters = UPCASTERS): EventFields {
  let value: unknown;
  try {
    value = packr.unpack(data);
  } catch (cause) {
    throw unreadable('not MessagePack', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable('not a map');
  const { v, ...fields } = value as Record<string, unknown>;
  const newest = upcasters.length + 1;
  if (v === newest) return fields;
  if (!Number.isSafeInteger(v) || (v as number) < 1) throw unreadable(`schema version ${String(v)} is not known`);
  if ((v as number) > newest) {
    throw unreadable(`schema version ${String(v)} is newer than ${newest}, the newest that is known here`);
  }
  return upcasters.slice((v as number) - 1).reduce<EventFields>((older, upcast) => upcast(older), fields);
}

export const unreadable = (reason: string, cause?: unknown): RookeryError =>
  new RookeryError('EVENT_UNREADABLE', reason, { cause });
