/**
 * Which devices an account is used from. One that comes in for the first time, or as something else than before, is written down
 * beside its session: nobody waits for it, and what could not be written is when it comes in again.
 */
import { devicesIn, issueOf } from '../../domain/account.ts';
import { type Devices, deviceOf, isNews, MAX_DEVICES } from '../../domain/devices.ts';
import type { ClientMsgId, DeviceId, UserId } from '../../domain/ids.ts';
import { leastRecentlyUsed, type Online } from '../../domain/online.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { Identity } from '../../ports/tokens.ts';
import { asRookeryError, type ErrorCode } from '../../protocol/error-codes.ts';
import type { HelloFrame } from '../../protocol/frames.ts';
import type { Accounts } from './accounts.ts';
import { Slots } from './slots.ts';

/** Written at a time, and those that wait: beyond it one is not written down before it comes in again. */
const MAX_WRITES = 16;
const MAX_WAITING = 50_000;
/** It was written meanwhile by another, or may not be written: nothing is lost. */
const NOTHING_TO_DO: ReadonlySet<ErrorCode> = new Set(['NO_CHANGE', 'DEVICE_REVOKED', 'ACCOUNT_DEACTIVATED']);

export type Said = Pick<HelloFrame, 'device' | 'kind' | 'name'>;

export class DeviceRegister {
  readonly #accounts: Accounts;
  readonly #where: (user: UserId) => Promise<Online>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #writes = new Slots(MAX_WRITES);

  /** @param where a user's devices are online, or were last seen */
  constructor(accounts: Accounts, where: (user: UserId) => Promise<Online>, clock: Clock, log: Log) {
    this.#accounts = accounts;
    this.#where = where;
    this.#clock = clock;
    this.#log = log;
  }

  /** A session has begun. */
  arrived(identity: Identity, { device, kind = 'other', name = '' }: Said): void {
    const account = this.#accounts.peek(identity.user);
    const known = account && deviceOf(devicesIn(account), device);
    if (known && !isNews(known, { kind, name })) return;
    if (this.#writes.waiting >= MAX_WAITING) return;
    this.#writes
      .run(() => this.#write(identity, { device, kind, name }))
      .catch((thrown: unknown) => {
        const { code } = asRookeryError(thrown);
        if (!NOTHING_TO_DO.has(code)) this.#log.warn({ what: 'device not written down', reason: String(thrown) });
      });
  }

  async #write({ user, credential }: Identity, { device, kind, name }: Required<Said>): Promise<void> {
    const at = this.#clock.nowMs();
    const account = await this.#accounts.get(user);
    const issuedAt = issueOf(account, credential, at);
    const forgets = await this.#roomFor(user, device, devicesIn(account));
    const id = crypto.randomUUID() as ClientMsgId;
    const added = { type: 'addDevice', by: 'user', id, device, kind, name, addedAt: at, issuedAt } as const;
    await this.#accounts.change(user, { ...added, ...(forgets !== undefined && { forgets }) });
  }

  /** What is to be forgotten for it. @throws RookeryError LOG_UNAVAILABLE, OVERLOADED: not known which, so it is not written down now */
  async #roomFor(user: UserId, device: DeviceId, devices: Devices): Promise<DeviceId | undefined> {
    if (devices.known.length < MAX_DEVICES || deviceOf(devices, device)) return undefined;
    return leastRecentlyUsed(devices.known, await this.#where(user));
  }
}
