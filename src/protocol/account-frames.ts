/** What frames say of accounts. Pinned with frames.ts. */
import type { AccountKind, Profile, ProfileChanges, UserSettings } from '../domain/account.ts';
import type { ConversationId, DeviceId, UserId } from '../domain/ids.ts';

/** About one's own account. What is left out stays. */
export type OwnAccountCommand =
  | { readonly type: 'changeProfile'; readonly profile: ProfileChanges }
  | { readonly type: 'changeSettings'; readonly settings: Partial<UserSettings> }
  /** All tokens issued until now count no more, the one that is used here among them. */
  | { readonly type: 'signOut' }
  | { readonly type: 'renameDevice'; readonly device: DeviceId; readonly name: string }
  /** Its session ends, and tokens issued until now count no more for it. */
  | { readonly type: 'revokeDevice'; readonly device: DeviceId };

const ABOUT_ONESELF: ReadonlySet<string> = new Set<OwnAccountCommand['type']>([
  'changeProfile',
  'changeSettings',
  'signOut',
  'renameDevice',
  'revokeDevice',
]);

/** They keep their order among themselves, as what is told in the conversation with oneself. */
export const isOwnAccountCommand = <Other extends { readonly type: string }>(
  command: Other | OwnAccountCommand,
): command is OwnAccountCommand => ABOUT_ONESELF.has(command.type);

/** What everybody may see of a user. */
export interface PublicProfile extends Profile {
  readonly user: UserId;
  readonly kind: AccountKind;
  readonly deactivated?: true;
}

export interface OwnAccount extends PublicProfile {
  readonly settings: UserSettings;
}

/** Whom one knows, or has blocked, or who has asked. */
export interface ListedContact {
  readonly user: UserId;
  /** The direct conversation of the two. */
  readonly conversation: ConversationId;
  /** `requested`: one has asked; `asked`: the other has; `none`: blocked alone. */
  readonly state: 'contacts' | 'requested' | 'asked' | 'none';
  /** Since when it is so: the log's time in milliseconds since 1970. */
  readonly at: number;
  readonly blocked?: true;
  /** One's own name and groups for them, as in the preferences. */
  readonly remark?: string;
  readonly labels?: readonly string[];
}

export interface ContactPage {
  /** In the order of the conversations' UTF-8. */
  readonly contacts: readonly ListedContact[];
  /** Where the next page begins; absent: this is the last one. */
  readonly cursor?: string;
}

export interface Profiles {
  /** Of those that have an account, in the order they were asked for. */
  readonly profiles: readonly PublicProfile[];
}
