/**
 * Which gateways are there. Each beats; who is silent while our own beats come back has gone, and what it had of sessions with it.
 * Nobody compares clocks: silence is counted in beats of our own, so that who hears nothing at all takes nobody for gone.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { PresenceStore } from '../../ports/presence-store.ts';

const BEAT_EVERY_MS = 1_000;
/** Beats of our own without one of another's: it is gone. With the beats' pace: within 10 s, however busy the store is. */
const SILENT_BEATS = 5;
/** When a gateway is met for the first time, by an entry of its: a last beat so old is one of long ago, whatever the clocks. */
const LONG_AGO_MS = 60_000;
/** Gateways that have not been heard of for so long are forgotten: who was last seen there was last seen when they came in. */
const FORGET_AFTER_MS = 90 * 24 * 3_600_000;
/** Gateways kept in mind; the one met first goes first, and is asked for again. */
const MAX_KNOWN = 4_096;

interface Known {
  /** Its last beat: milliseconds since 1970, by its clock. */
  at: number;
  /** How many of our own beats had come back by then. */
  tick: number;
  isGone: boolean;
}

export interface LiveGatewaysParts {
  readonly store: PresenceStore;
  readonly own: string;
  readonly clock: Clock;
  readonly log: Log;
  /** It has gone, or is back. */
  readonly onChange: (gateway: string) => void;
}

export class LiveGateways {
  readonly #parts: LiveGatewaysParts;
  readonly #known = new Map<string, Known>();
  #ticks = 0;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;

  constructor(parts: LiveGatewaysParts) {
    this.#parts = parts;
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async start(): Promise<void> {
    const { store, own, clock } = this.#parts;
    await store.beat(own, clock.nowMs());
    await store.forgetGateways(clock.nowMs() - FORGET_AFTER_MS);
    this.#timer = setInterval(() => this.#beat(), BEAT_EVERY_MS);
  }

  /** The last beat says when it was there: its sessions were last seen then. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    this.#beat();
    await this.#beating;
  }

  heard(gateway: string, at: number): void {
    if (gateway === this.#parts.own) return this.#tick();
    const known = this.#known.get(gateway);
    this.#remember(gateway, { at, tick: this.#ticks, isGone: false });
    if (known?.isGone) this.#parts.onChange(gateway);
  }

  /** When it was last there (milliseconds since 1970, 0 where nobody knows); undefined: it is, as far as is known. */
  readonly goneAt = (gateway: string): number | undefined => {
    const known = this.#known.get(gateway);
    return known?.isGone ? known.at : undefined;
  };

  /** Asks for those that were never heard of. @throws RookeryError LOG_UNAVAILABLE */
  async meet(gateways: Iterable<string>): Promise<void> {
    const { store, own, clock } = this.#parts;
    for (const gateway of new Set(gateways)) {
      if (gateway === '' || gateway === own || this.#known.has(gateway)) continue;
      const at = await store.lastBeat(gateway);
      if (this.#known.has(gateway)) continue;
      const isGone = at === undefined || at < clock.nowMs() - LONG_AGO_MS;
      this.#remember(gateway, { at: at ?? 0, tick: this.#ticks, isGone });
    }
  }

  #remember(gateway: string, known: Known): void {
    for (const oldest of this.#known.keys()) if (this.#known.size >= MAX_KNOWN) this.#known.delete(oldest);
    this.#known.set(gateway, known);
  }

  #tick(): void {
    this.#ticks += 1;
    for (const [gateway, known] of this.#known) {
      if (known.isGone || this.#ticks - known.tick < SILENT_BEATS) continue;
      known.isGone = true;
      this.#parts.onChange(gateway);
    }
  }

  #beat(): void {
    const { store, own, clock, log } = this.#parts;
    this.#beating ??= store
      .beat(own, clock.nowMs())
      .catch((error: unknown) => log.warn({ what: 'beat not stored', reason: String(error) }))
      .finally(() => (this.#beating = undefined));
  }
}
