/** What frames say of accounts. Pinned with frames.ts. */
import type { AccountKind, Profile, ProfileChanges, UserSettings } from '../domain/account.ts';
import type { UserId } from '../domain/ids.ts';

/** About one's own account. What is left out stays. */
export type OwnAccountCommand =
  | { readonly type: 'changeProfile'; readonly profile: ProfileChanges }
  | { readonly type: 'changeSettings'; readonly settings: Partial<UserSettings> }
  /** All tokens issued until now count no more, the one that is used here among them. */
  | { readonly type: 'signOut' };

const ABOUT_ONESELF: ReadonlySet<string> = new Set<OwnAccountCommand['type']>([
  'changeProfile',
  'changeSettings',
  'signOut',
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

export interface Profiles {
  /** Of those that have an account, in the order they were asked for. */
  readonly profiles: readonly PublicProfile[];
}
