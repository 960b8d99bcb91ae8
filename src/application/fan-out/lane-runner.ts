/** Runs a lane while this process holds its lease, follows it while another does. */
import type { Leases } from '../../ports/leases.ts';
import type { Log } from '../../ports/log.ts';
import { Lane, type LaneParts } from './lane.ts';
import { follow, type StandbyParts } from './standby.ts';

/** How often a worker without the lease asks for it, and follows. */
const STANDBY_EVERY_MS = 400;

export interface LaneRunnerParts extends LaneParts, StandbyParts {
  readonly leases: Leases;
  readonly owner: string;
  readonly log: Log;
}

export class LaneRunner {
  readonly #parts: LaneRunnerParts;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: LaneRunnerParts) {
    this.#parts = parts;
  }

  /** Resolves when the lane has ended: after `drain`, or rejected with what no new term cures. */
  start(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Ends after the window in work, with its rows committed and its events acked, and gives the lease away. */
  async drain(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { leases, lane, owner, log } = this.#parts;
    const stop = this.#stop.signal;
    while (!stop.aborted) {
      const lease = await leases.tryAcquire(`fan-out.${lane}`, owner).catch((error: unknown) => {
        log.warn({ what: 'lease not asked', lane, reason: String(error) });
        return undefined;
      });
      if (lease) {
        log.info({ what: 'lane taken', lane, owner });
        try {
          await new Lane(this.#parts).run(AbortSignal.any([stop, lease.lost]));
        } finally {
          await lease.release();
        }
        log.info({ what: 'lane given away', lane, owner });
      } else {
        await this.#standBy(stop);
      }
    }
  }

  async #standBy(stop: AbortSignal): Promise<void> {
    const { lane, log, state } = this.#parts;
    try {
      await follow(this.#parts, stop);
    } catch (error) {
      log.warn({ what: 'standby fell behind', lane, reason: String(error) });
      state.rollback();
    }
    await new Promise((resolve) => setTimeout(resolve, STANDBY_EVERY_MS));
  }
}
