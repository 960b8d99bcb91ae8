/**
 * An account: what is known of a user as such. `decide` and `evolve` are pure; time, secrets' hashes and ids come in the
 * command. Whom one knows, whom one has blocked and how one wants a conversation shown stands in the conversations
 * (conversation-events.ts), the password in a log of its own.
 *
 * | event               | who may cause it                  | what it changes                                          |
 * |---------------------|-----------------------------------|----------------------------------------------------------|
 * | accountCreated      | the backend, once                 | all                                                      |
 * | profileChanged      | the user, the backend             | what others see                                          |
 * | settingsChanged     | the user, the backend             | when and by whom one wants to be reached                 |
 * | accountDeactivated  | the backend                       | nobody comes in with it, and who is in goes out          |
 * | accountReactivated  | the backend                       |                                                          |
 * | signedOut           | the user, the backend             | tokens issued before count no more                       |
 * | botTokenAdded       | the backend, for a bot            | with what a bot comes in                                 |
 * | botTokenRevoked     | the backend                       |                                                          |
 * | deviceAdded         | the gateway it comes in at        | with what the account is used (devices.ts)               |
 * | deviceRenamed       | the user, the backend             |                                                          |
 * | deviceRevoked       | the user, the backend             | its tokens count no more for it                          |
 */
import {
  type DeviceEvent,
  type DeviceRefusal,
  type Devices,
  deviceRefusal,
  evolveDevices,
  isRevoked,
  NO_DEVICES,
} from './devices.ts';
import type { ClientMsgId, DeviceId, UserId } from './ids.ts';

export type AccountKind = 'person' | 'bot';

/** What everybody may see. */
export interface Profile {
  readonly name: string;
  /** Address of a picture; the engine never fetches it. */
  readonly avatar: string;
  /** Whatever else the app shows, by name. */
  readonly fields: Readonly<Record<string, string>>;
}

/** What is absent stays; a field that is null goes. */
export interface ProfileChanges {
  readonly name?: string;
  readonly avatar?: string;
  readonly fields?: Readonly<Record<string, string | null>>;
}

/** No notifications at these times of each day: minutes since midnight, `from` included, in a time zone of the IANA list. */
export interface QuietHours {
  readonly from: number;
  readonly to: number;
  readonly timeZone: string;
}

export interface UserSettings {
  readonly quietHours: QuietHours | null;
  /** Who may see whether one is online, and when one last was. */
  readonly lastSeenFor: 'everybody' | 'contacts' | 'nobody';
  /** Whose direct messages one takes. */
  readonly messagesFrom: 'everybody' | 'contacts';
}

/** With what a bot comes in. The secret itself is known to who was given it alone. */
export interface BotToken {
  readonly id: string;
  /** What it is for, in its maker's words. */
  readonly name: string;
  /** SHA-256 of the secret, in base64url. */
  readonly hash: string;
  /** Milliseconds since 1970; `expiresAt` 0: never. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface Account {
  readonly user: UserId;
  readonly kind: AccountKind;
  /** `none`: nobody has made it, nor changed anything. Where accounts are not required such a user is like any other. */
  readonly state: 'none' | 'active' | 'deactivated';
  readonly profile: Profile;
  readonly settings: UserSettings;
  /** Tokens issued before count no more: milliseconds since 1970. */
  readonly tokensFrom: number;
  readonly botTokens: readonly BotToken[];
  /** Absent: none was ever written down. */
  readonly devices?: Devices;
  /** Keys of the newest changes, the newest last: what comes with one of them again is a retry. */
  readonly recent: readonly string[];
}

type By = {
  readonly by: 'user' | 'backend';
  readonly id: ClientMsgId;
};

export type AccountEvent =
  | (By & { readonly type: 'accountCreated'; readonly kind: AccountKind; readonly profile: ProfileChanges })
  | (By & { readonly type: 'profileChanged'; readonly profile: ProfileChanges })
  | (By & { readonly type: 'settingsChanged'; readonly settings: Partial<UserSettings> })
  | (By & { readonly type: 'accountDeactivated' })
  | (By & { readonly type: 'accountReactivated' })
  /** `before`: milliseconds since 1970. */
  | (By & { readonly type: 'signedOut'; readonly before: number })
  | (By & { readonly type: 'botTokenAdded'; readonly token: BotToken })
  | (By & { readonly type: 'botTokenRevoked'; readonly token: string })
  | (By & DeviceEvent);

const COMMAND_TO_EVENT = {
  createAccount: 'accountCreated',
  changeProfile: 'profileChanged',
  changeSettings: 'settingsChanged',
  deactivateAccount: 'accountDeactivated',
  reactivateAccount: 'accountReactivated',
  signOut: 'signedOut',
  addBotToken: 'botTokenAdded',
  revokeBotToken: 'botTokenRevoked',
  addDevice: 'deviceAdded',
  renameDevice: 'deviceRenamed',
  revokeDevice: 'deviceRevoked',
} as const satisfies Record<string, AccountEvent['type']>;

type CommandType = keyof typeof COMMAND_TO_EVENT;

/** A command is an event somebody wants to happen: same fields, imperative name. */
export type AccountCommand = {
  [Type in CommandType]: Omit<Extract<AccountEvent, { type: (typeof COMMAND_TO_EVENT)[Type] }>, 'type'> & {
    readonly type: Type;
  };
}[CommandType];

/** Why a change is refused; each is a stable error code of the protocol (docs/ERRORS.md). */
export type AccountRefusal =
  | 'ACCOUNT_EXISTS'
  | 'ACCOUNT_UNKNOWN'
  | 'ACCOUNT_DEACTIVATED'
  | 'NOT_A_BOT'
  | 'TOO_MANY_TOKENS'
  | 'TOO_MANY_FIELDS'
  | DeviceRefusal;

/** Free fields of a profile. At the limit TOO_MANY_FIELDS, until some are taken away. */
export const MAX_PROFILE_FIELDS = 32;
/** Tokens of a bot that were not revoked. At the limit TOO_MANY_TOKENS; expired ones make room first. */
export const MAX_BOT_TOKENS = 10;
/** A retry is known as one for so many changes of the account after it. */
export const MAX_RECENT = 32;

const DEFAULT_SETTINGS: UserSettings = { quietHours: null, lastSeenFor: 'everybody', messagesFrom: 'everybody' };

/** A user nobody has said anything of. */
export const initialAccount = (user: UserId): Account => ({
  user,
  kind: 'person',
  state: 'none',
  profile: { name: '', avatar: '', fields: {} },
  settings: DEFAULT_SETTINGS,
  tokensFrom: 0,
  botTokens: [],
  recent: [],
});

export const devicesIn = ({ devices = NO_DEVICES }: Pick<Account, 'devices'>): Devices => devices;

/** What makes a retry of a change known: a user's ids and a backend's share no space. */
export const changeKey = ({ by, id }: Pick<AccountEvent, 'by' | 'id'>): string => `${by}:${id}`;

/** What a decision needs beside the state. */
export interface AccountCircumstances {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Whether somebody who has no account may use the service, and so change what is theirs: then the change begins it. */
  readonly isOpen: boolean;
}

export type AccountDecision =
  | { readonly event: AccountEvent; readonly refusal?: undefined }
  | { readonly refusal: AccountRefusal; readonly event?: undefined };

export function decideAccount(
  account: Account,
  command: AccountCommand,
  circumstances: AccountCircumstances,
): AccountDecision {
  const event = { ...command, type: COMMAND_TO_EVENT[command.type] } as AccountEvent;
  const refusal = accountRefusal(account, event, circumstances);
  return refusal ? { refusal } : { event };
}

function accountRefusal(
  account: Account,
  event: AccountEvent,
  { at, isOpen }: AccountCircumstances,
): AccountRefusal | undefined {
  if (event.type === 'accountCreated') {
    return account.state === 'none' ? fieldsRefusal(account, event.profile) : 'ACCOUNT_EXISTS';
  }
  if (account.state === 'none' && !isOpen) return 'ACCOUNT_UNKNOWN';
  if (account.state === 'deactivated' && event.by === 'user') return 'ACCOUNT_DEACTIVATED';
  switch (event.type) {
    case 'profileChanged': {
      const refusal = fieldsRefusal(account, event.profile);
      return refusal ?? (isSame(account.profile, changed(account.profile, event.profile)) ? 'NO_CHANGE' : undefined);
    }
    case 'settingsChanged':
      return isSame(account.settings, { ...account.settings, ...event.settings }) ? 'NO_CHANGE' : undefined;
    case 'accountDeactivated':
      return account.state === 'deactivated' ? 'NO_CHANGE' : undefined;
    case 'accountReactivated':
      return account.state === 'deactivated' ? undefined : 'NO_CHANGE';
    case 'signedOut':
      return event.before > account.tokensFrom ? undefined : 'NO_CHANGE';
    case 'botTokenAdded':
      if (account.kind !== 'bot') return 'NOT_A_BOT';
      if (account.botTokens.some(({ id }) => id === event.token.id)) return 'NO_CHANGE';
      return valid(account.botTokens, at).length >= MAX_BOT_TOKENS ? 'TOO_MANY_TOKENS' : undefined;
    case 'botTokenRevoked':
      return account.botTokens.some(({ id }) => id === event.token) ? undefined : 'NO_CHANGE';
    default:
      return deviceRefusal(devicesIn(account), event);
  }
}

const fieldsRefusal = ({ profile }: Account, changes: ProfileChanges): AccountRefusal | undefined =>
  Object.keys(changed(profile, changes).fields).length > MAX_PROFILE_FIELDS ? 'TOO_MANY_FIELDS' : undefined;

/** The account after an event that was let pass. */
export function evolveAccount(account: Account, event: AccountEvent): Account {
  const recent = [...account.recent, changeKey(event)].slice(-MAX_RECENT);
  // Somebody who comes in is not yet somebody of whom something was said.
  if (isOfDevice(event)) return { ...account, recent, devices: evolveDevices(devicesIn(account), event) };
  const begun = { ...account, recent, state: account.state === 'none' ? 'active' : account.state } as const;
  switch (event.type) {
    case 'accountCreated':
      return { ...begun, kind: event.kind, profile: changed(account.profile, event.profile) };
    case 'profileChanged':
      return { ...begun, profile: changed(account.profile, event.profile) };
    case 'settingsChanged':
      return { ...begun, settings: { ...account.settings, ...event.settings } };
    case 'accountDeactivated':
      return { ...begun, state: 'deactivated' };
    case 'accountReactivated':
      return { ...begun, state: 'active' };
    case 'signedOut':
      return { ...begun, tokensFrom: event.before };
    case 'botTokenAdded':
      return { ...begun, botTokens: [...valid(account.botTokens, event.token.createdAt), event.token] };
    case 'botTokenRevoked':
      return { ...begun, botTokens: account.botTokens.filter(({ id }) => id !== event.token) };
  }
}

const isOfDevice = (event: AccountEvent): event is AccountEvent & DeviceEvent =>
  event.type === 'deviceAdded' || event.type === 'deviceRenamed' || event.type === 'deviceRevoked';

function changed(profile: Profile, { name, avatar, fields }: ProfileChanges): Profile {
  const merged = Object.entries({ ...profile.fields, ...fields }).filter((field): field is [string, string] => {
    return field[1] !== null;
  });
  return {
    name: name ?? profile.name,
    avatar: avatar ?? profile.avatar,
    // In one order, whatever the order of the changes: equal profiles are equal bytes.
    fields: Object.fromEntries(merged.sort(([one], [other]) => (one < other ? -1 : 1))),
  };
}

/** Of plain values with their keys in one order. */
const isSame = (one: object, other: object): boolean => JSON.stringify(one) === JSON.stringify(other);

const valid = (tokens: readonly BotToken[], at: number): readonly BotToken[] =>
  tokens.filter(({ expiresAt }) => expiresAt === 0 || expiresAt > at);

/** With what somebody wants to come in, or is in. */
export type Credential =
  /** `issuedAt`: milliseconds since 1970; 0 where it does not say. */
  | { readonly issuedAt: number; readonly botToken?: undefined }
  | { readonly botToken: string; readonly issuedAt?: undefined };

/** Why it does not let them in, or not any more; each is an error code and a close code of the protocol. */
export type EntryRefusal = 'ACCOUNT_UNKNOWN' | 'ACCOUNT_DEACTIVATED' | 'TOKEN_REVOKED' | 'DEVICE_REVOKED';

/** @param device from which; undefined where that is not known */
export function entryRefusalOf(
  account: Account,
  credential: Credential,
  { at, isOpen }: AccountCircumstances,
  device?: DeviceId,
): EntryRefusal | undefined {
  if (account.state === 'deactivated') return 'ACCOUNT_DEACTIVATED';
  const issuedAt = issueOf(account, credential, at);
  if (credential.botToken === undefined) {
    if (account.state === 'none' && !isOpen) return 'ACCOUNT_UNKNOWN';
    if (issuedAt < account.tokensFrom) return 'TOKEN_REVOKED';
  } else if (issuedAt === NEVER) return 'TOKEN_REVOKED';
  return device !== undefined && isRevoked(devicesIn(account), device, issuedAt) ? 'DEVICE_REVOKED' : undefined;
}

const NEVER = Number.NEGATIVE_INFINITY;

/** When it was issued: milliseconds since 1970, 0 where it does not say; NEVER for a bot's that counts no more. */
export const issueOf = (account: Account, { issuedAt, botToken }: Credential, at: number): number =>
  botToken === undefined ? issuedAt : (botTokenOf(account, botToken, at)?.createdAt ?? NEVER);

/** The token that a bot may come in with at `at`, by its id. */
export const botTokenOf = ({ botTokens }: Account, id: string, at: number): BotToken | undefined =>
  valid(botTokens, at).find((token) => token.id === id);
