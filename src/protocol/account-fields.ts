/** What a user or a backend says of an account, as it comes off the wire. */
import type { AccountKind, ProfileChanges, QuietHours, UserSettings } from '../domain/account.ts';
import { type DeviceId, parseDeviceId, utf8Length } from '../domain/ids.ts';
import type { OwnAccountCommand } from './account-frames.ts';
import { RookeryError } from './error-codes.ts';
import { fitName } from './fit-name.ts';
import * as limits from './limits.ts';

type Fields = Record<string, unknown>;

const MINUTES_PER_DAY = 24 * 60;
/** Begins with a letter: so none is `__proto__`. */
const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

const bad = (message: string): RookeryError => new RookeryError('BAD_REQUEST', message);

/** Undefined for a command about something else. @throws RookeryError BAD_REQUEST, BAD_ID */
export function parseOwnAccountCommand(fields: Fields): OwnAccountCommand | undefined {
  const { type } = fields;
  switch (type) {
    case 'changeProfile':
      return { type, profile: parseProfileChanges(fields.profile) };
    case 'changeSettings':
      return { type, settings: parseUserSettings(fields.settings) };
    case 'signOut':
      return { type };
    case 'renameDevice':
      return {
        type,
        device: deviceOf(fields),
        name: fitName(textOf(fields.name, 'name', limits.MAX_DEVICE_NAME_CHARS), 'name'),
      };
    case 'revokeDevice':
      return { type, device: deviceOf(fields) };
    default:
      return undefined;
  }
}

function deviceOf({ device }: Fields): DeviceId {
  const id = parseDeviceId(device);
  if (!id) throw new RookeryError('BAD_ID', '`device` must be an id: 1 to 128 bytes of UTF-8');
  return id;
}

/** @throws RookeryError BAD_REQUEST, BAD_NAME that names the field */
export function parseProfileChanges(value: unknown): ProfileChanges {
  const changes = parseProfile(value);
  if (Object.keys(changes).length === 0) throw bad('`profile` changes nothing');
  return changes;
}

/** As it is at first: may be empty. @throws RookeryError BAD_REQUEST, BAD_NAME that names the field */
export function parseProfile(value: unknown): ProfileChanges {
  const { name, avatar, fields, ...others } = mapOf(value, 'profile');
  refuseOthers(others, 'profile');
  return {
    ...(name !== undefined && {
      name: fitName(textOf(name, 'profile.name', limits.MAX_PROFILE_NAME_CHARS), 'profile.name'),
    }),
    ...(avatar !== undefined && { avatar: textOf(avatar, 'profile.avatar', limits.MAX_AVATAR_CHARS) }),
    ...(fields !== undefined && { fields: parseFields(mapOf(fields, 'profile.fields')) }),
  };
}

function parseFields(fields: Fields): Record<string, string | null> {
  const entries = Object.entries(fields);
  if (entries.length > limits.MAX_PROFILE_CHANGES) throw bad(`\`profile.fields\` has more than can be`);
  return Object.fromEntries(
    entries.map(([name, value]): [string, string | null] => {
      if (!FIELD_NAME.test(name)) throw bad('a name in `profile.fields` is none');
      const where = `profile.fields.${name}`;
      return [name, value === null ? null : textOf(value, where, limits.MAX_PROFILE_FIELD_CHARS)];
    }),
  );
}

/** @throws RookeryError BAD_REQUEST that names the setting */
export function parseUserSettings(value: unknown): Partial<UserSettings> {
  const { quietHours, lastSeenFor, messagesFrom, ...others } = mapOf(value, 'settings');
  refuseOthers(others, 'settings');
  const settings = {
    ...(quietHours !== undefined && { quietHours: quietHours === null ? null : parseQuietHours(quietHours) }),
    ...(lastSeenFor !== undefined && {
      lastSeenFor: oneOf(lastSeenFor, 'settings.lastSeenFor', ['everybody', 'contacts', 'nobody']),
    }),
    ...(messagesFrom !== undefined && {
      messagesFrom: oneOf(messagesFrom, 'settings.messagesFrom', ['everybody', 'contacts']),
    }),
  };
  if (Object.keys(settings).length === 0) throw bad('`settings` names no setting');
  return settings;
}

export const parseAccountKind = (value: unknown): AccountKind => oneOf(value, 'kind', ['person', 'bot']);

function parseQuietHours(value: unknown): QuietHours {
  const { from, to, timeZone } = mapOf(value, 'settings.quietHours');
  return { from: minuteOf(from, 'from'), to: minuteOf(to, 'to'), timeZone: timeZoneOf(timeZone) };
}

function minuteOf(value: unknown, name: string): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) >= MINUTES_PER_DAY) {
    throw bad(`\`settings.quietHours.${name}\` must be a minute of the day`);
  }
  return value as number;
}

function timeZoneOf(value: unknown): string {
  const refused = bad('`settings.quietHours.timeZone` is no time zone');
  if (typeof value !== 'string' || value.length === 0 || value.length > limits.MAX_TIME_ZONE_CHARS) throw refused;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    throw refused;
  }
}

function mapOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(`\`${name}\` must be an object`);
  return value as Fields;
}

function refuseOthers(others: Fields, name: string): void {
  const [other] = Object.keys(others);
  if (other !== undefined) throw bad(`\`${name}.${other.slice(0, 32)}\` is none`);
}

function textOf(value: unknown, name: string, maxChars: number): string {
  if (typeof value !== 'string' || value.length > maxChars || utf8Length(value) < 0) {
    throw bad(`\`${name}\` must be a string of at most ${maxChars} characters`);
  }
  return value;
}

function oneOf<const Value>(value: unknown, name: string, values: readonly Value[]): Value {
  if (!values.includes(value as Value)) throw bad(`\`${name}\` must be one of ${values.join(', ')}`);
  return value as Value;
}
