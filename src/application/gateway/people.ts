/** What a client may do to its own account, and ask of others'. */
import { type Account, type AccountCommand, devicesIn } from '../../domain/account.ts';
import type { Device } from '../../domain/devices.ts';
import type { ClientMsgId, UserId } from '../../domain/ids.ts';
import type { Online, OnlineDevice } from '../../domain/online.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Appended } from '../../ports/conversation-log.ts';
import type { OwnAccount, OwnAccountCommand, Profiles, PublicProfile } from '../../protocol/account-frames.ts';
import type { DeviceList, ListedDevice } from '../../protocol/frames.ts';
import type { Accounts } from './accounts.ts';

export class People {
  readonly #accounts: Accounts;
  readonly #clock: Clock;
  readonly #online: (user: UserId) => Promise<Online>;

  /** @param online where a user is, of gateways that are there */
  constructor(accounts: Accounts, clock: Clock, online: (user: UserId) => Promise<Online>) {
    this.#accounts = accounts;
    this.#clock = clock;
    this.#online = online;
  }

  /** @throws RookeryError as Accounts.change */
  command(user: UserId, id: ClientMsgId, command: OwnAccountCommand): Promise<Appended> {
    return this.#accounts.change(user, this.#changeOf(id, command));
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async own(user: UserId): Promise<OwnAccount> {
    return ownAccountOf(await this.#accounts.get(user));
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async profiles(users: readonly UserId[]): Promise<Profiles> {
    const accounts = await Promise.all(users.map((user) => this.#accounts.get(user)));
    return { profiles: accounts.filter(({ state }) => state !== 'none').map(publicProfileOf) };
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async devices(user: UserId): Promise<DeviceList> {
    const known = devicesIn(await this.#accounts.get(user)).known;
    const online = new Map((await this.#online(user)).map((one) => [one.device, one]));
    return { devices: known.map((device) => listedDevice(device, online.get(device.device))) };
  }

  #changeOf(id: ClientMsgId, command: OwnAccountCommand): AccountCommand {
    const by = { by: 'user', id } as const;
    switch (command.type) {
      case 'changeProfile':
        return { type: 'changeProfile', ...by, profile: command.profile };
      case 'changeSettings':
        return { type: 'changeSettings', ...by, settings: command.settings };
      case 'signOut':
        return { type: 'signOut', ...by, before: this.#clock.nowMs() };
      case 'renameDevice':
        return { type: 'renameDevice', ...by, device: command.device, name: command.name };
      case 'revokeDevice':
        return { type: 'revokeDevice', ...by, device: command.device, before: this.#clock.nowMs() };
    }
  }
}

function listedDevice(device: Device, seen: OnlineDevice | undefined): ListedDevice {
  if (!seen) return { ...device, online: false };
  const agent = seen.agent === '' ? {} : { agent: seen.agent };
  if (seen.session !== '') return { ...device, online: true, since: seen.since, ...agent };
  return { ...device, online: false, lastSeen: seen.seenAt, ...agent };
}

export const ownAccountOf = (account: Account): OwnAccount => ({
  ...publicProfileOf(account),
  settings: account.settings,
});

export const publicProfileOf = ({ user, kind, state, profile }: Account): PublicProfile => ({
  user,
  kind,
  ...profile,
  ...(state === 'deactivated' && { deactivated: true as const }),
});
