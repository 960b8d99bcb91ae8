/** What a user sets for themselves, as it comes off the wire. */
import type { Preferences } from '../domain/conversation.ts';
import { utf8Length } from '../domain/ids.ts';
import { RookeryError } from './error-codes.ts';
import { fitName } from './fit-name.ts';
import { MAX_DRAFT_CHARS, MAX_LABEL_CHARS, MAX_LABELS, MAX_REMARK_CHARS } from './limits.ts';

type Check = (value: unknown) => boolean;

const isBoolean: Check = (value) => typeof value === 'boolean';
const isText =
  (maxChars: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= maxChars && utf8Length(value) >= 0;

/** Each may be absent; a key that is not here is refused. */
const PREFERENCES: Readonly<Record<keyof Preferences, Check>> = {
  pinned: isBoolean,
  archived: isBoolean,
  hidden: isBoolean,
  markedUnread: isBoolean,
  mutedUntil: (value) => Number.isSafeInteger(value) && (value as number) >= -1,
  draft: isText(MAX_DRAFT_CHARS),
  remark: isText(MAX_REMARK_CHARS),
  labels: (value) => Array.isArray(value) && value.length <= MAX_LABELS && value.every(isText(MAX_LABEL_CHARS)),
};

/** @throws RookeryError BAD_REQUEST, BAD_NAME that names the field */
export function parsePreferences(fields: Record<string, unknown>): Preferences {
  const names = Object.keys(fields);
  if (names.length === 0) throw new RookeryError('BAD_REQUEST', '`preferences` names none');
  for (const name of names) {
    const check = Object.hasOwn(PREFERENCES, name) ? PREFERENCES[name as keyof Preferences] : undefined;
    if (!check?.(fields[name])) throw new RookeryError('BAD_REQUEST', `\`preferences.${name.slice(0, 32)}\` is none`);
  }
  const { remark = '', labels = [] } = fields as Preferences;
  for (const name of [remark, ...labels]) fitName(name, name === remark ? 'preferences.remark' : 'preferences.labels');
  return fields as Preferences;
}
