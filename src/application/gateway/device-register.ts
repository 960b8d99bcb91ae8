/**
 * Which devices an account is used from. One that comes in for the first time, or as something else than before, is written down
 * beside its session: nobody waits for it, and what could not be written is when it comes in again.
 */
import { devicesIn, issueOf } from '../../domain/account.ts';
import { deviceOf, isNews } from '../../domain/devices.ts';
import type { ClientMsgId } from '../../domain/ids.ts';
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
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #writes = new Slots(MAX_WRITES);

  constructor(accounts: Accounts, clock: Clock, log: Log) {
    this.#accounts = accounts;
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
    const issuedAt = issueOf(await this.#accounts.get(user), credential, at);
    const id = crypto.randomUUID() as ClientMsgId;
    const added = { type: 'addDevice', by: 'user', id, device, kind, name, addedAt: at, issuedAt } as const;
    await this.#accounts.change(user, added);
  }
}
