/**
 * A user's whole past, folded anew from the log: what a device gets whose cursor means nothing any more.
 *
 * The log is read twice: once to learn which conversations concern the user, once to fold those, so that memory follows the
 * user's own conversations and not the log. Known gap until the read models exist: it is the whole log that is read, so it
 * is bounded in events, and done for one device at a time.
 *
 * Of a device whose connection is lost meanwhile the work is kept for a while: what was read for it is not read again, so that it gets
 * there however short its connections are. At another gateway, or later, it is folded anew up to where the device was.
 */
import { LRUCache } from 'lru-cache';
import { closeCodes } from '../../protocol/close-codes.ts';
import type { Device } from './device.ts';
import type { Replayed } from './epoch.ts';
import type { DeliveryParts } from './parts.ts';
import { ReplayWork } from './replay-work.ts';
import { Turns } from './turns.ts';

/** Replays at a time. One whose socket is full gives its turn up until that has drained: who does not read holds nobody up. */
const MAX_REPLAYS = 4;
/** Devices in line; one more is turned away with OVERLOADED. */
const MAX_WAITING = 1_000;
/**
 * Work kept of connections that were lost, and for how long; the oldest goes first. Of each event of the user's conversations some 400
 * bytes are kept: together no more than that, or one alone. The same bound again has the work of those whose sockets are full.
 */
const KEPT = { max: 16, maxEvents: 500_000, ms: 60_000 };
/** A socket that takes nothing for so long is given up. */
const STALLED_AFTER_MS = 60_000;
const DRAIN_POLL_MS = 20;

export class Replay {
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(MAX_REPLAYS, MAX_WAITING);
  readonly #kept: LRUCache<string, ReplayWork>;
  /** What is under way for the newest connection of a device. */
  readonly #underWay = new Map<string, { readonly device: Device; readonly end: Promise<void> }>();
  readonly #maxStalledEvents: number;
  /** Of those whose sockets are full. */
  #stalledEvents = 0;

  constructor(parts: DeliveryParts, { max, maxEvents, ms } = KEPT) {
    this.#parts = parts;
    this.#maxStalledEvents = maxEvents;
    this.#kept = new LRUCache<string, ReplayWork>({
      max,
      maxSize: maxEvents,
      sizeCalculation: ({ events }) => Math.min(1 + events, maxEvents),
      // Also where nobody asks for it again.
      ...{ ttl: ms, ttlAutopurge: true },
    });
  }

  /** Devices that something is kept for. */
  get kept(): number {
    return this.#kept.size;
  }

  /**
   * On from where the device's replay was cut off. `gone` also when it had to turn the device away.
   * @param reached a portion has been written: the device is told from where it can go on
   * @throws RookeryError OVERLOADED, LOG_UNAVAILABLE
   */
  async run(device: Device, reached: (place: Replayed) => void): Promise<'done' | 'gone'> {
    const key = JSON.stringify([device.user, device.id]);
    const before = this.#underWay.get(key);
    const { promise: end, resolve } = Promise.withResolvers<void>();
    const own = { device, end };
    this.#underWay.set(key, own);
    try {
      // Whose connection is lost leaves its work when it finds that out.
      if (before?.device.isGone) await before.end;
      return await this.#turns.take(() => this.#run(key, device, reached));
    } finally {
      if (this.#underWay.get(key) === own) this.#underWay.delete(key);
      resolve();
    }
  }

  async #run(key: string, device: Device, reached: (place: Replayed) => void): Promise<'done' | 'gone'> {
    if (device.isGone) return 'gone';
    const { logs, limits } = this.#parts;
    const ends = await Promise.all(logs.map((log) => log.lastPos()));
    if (ends.reduce((sum, end) => sum + end, 0) > limits.maxReplayEvents) {
      device.connection.close(closeCodes.TOO_FAR_BEHIND, 'the log is too long to be replayed for one device');
      return 'gone';
    }
    const from = startOf(device, ends);
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    const work = kept?.canGoOn(from, ends) ? kept : new ReplayWork(device.user, from);
    work.writeAgain(from, device, reached);
    const outcome = await this.#go(work, ends, device, reached);
    if (outcome === 'gone') this.#kept.set(key, work);
    return outcome;
  }

  async #go(
    work: ReplayWork,
    ends: readonly number[],
    device: Device,
    reached: (place: Replayed) => void,
  ): Promise<'done' | 'gone'> {
    for (;;) {
      const log = this.#parts.logs[work.log];
      if (!log) return 'done';
      const end = ends[work.log] ?? 0;
      if (!(await work.scan(log, end, device))) return 'gone';
      while (!work.isDone(end)) {
        await work.fold(log, end, device, reached);
        if (device.isGone) return 'gone';
        if (device.isFull && (await this.#drained(work, device)) === 'gone') return 'gone';
      }
      work.next();
    }
  }

  /** One more than may hold their work while they do not read comes again, and goes on with what is kept of it. */
  async #drained({ events }: ReplayWork, device: Device): Promise<'done' | 'gone'> {
    if (this.#stalledEvents > 0 && this.#stalledEvents + events > this.#maxStalledEvents) {
      device.connection.close(closeCodes.OVERLOADED, 'too many devices are slow to take their past');
      return 'gone';
    }
    this.#stalledEvents += events;
    try {
      return await this.#turns.without(() => drained(device));
    } finally {
      this.#stalledEvents -= events;
    }
  }
}

/** From the beginning, where the place does not lie in the logs there are. */
function startOf({ replayed }: Device, ends: readonly number[]): Replayed {
  return replayed && replayed.pos <= (ends[replayed.log] ?? -1) ? replayed : { log: 0, pos: 0 };
}

async function drained(device: Device): Promise<'done' | 'gone'> {
  let least = device.connection.bufferedBytes;
  let movedAt = Date.now();
  while (device.isFull && !device.isGone) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    const { bufferedBytes } = device.connection;
    if (bufferedBytes < least) {
      least = bufferedBytes;
      movedAt = Date.now();
    } else if (Date.now() - movedAt > STALLED_AFTER_MS) {
      device.connection.close(closeCodes.OVERLOADED, 'the socket takes nothing');
      return 'gone';
    }
  }
  return device.isGone ? 'gone' : 'done';
}
