/** Which fault comes when: decided by the seed, written down with its times, waited for until all is well again. */
import { appendFileSync } from 'node:fs';
import { type Deployment, replicated, settled } from './deployment/deployment.ts';
import type { Fault, Injected } from './faults/fault.ts';
import type { Random } from './random.ts';

/** Between the end of one fault and the next. */
const PAUSE_MS = [300, 2_000] as const;
/** Share of faults that come two at a time. */
const OVERLAP_SHARE = 0.25;
/**
 * The bound on healing: after it something is stuck. A half-open connection alone takes 15 s to be found, a crash loop
 * 2 s to be tried again.
 */
export const HEALED_WITHIN_MS = 60_000;

export interface Happened {
  readonly fault: string;
  readonly target: string;
  readonly at: string;
  readonly lastedMs: number;
  /** From the end of the cause until every lane had confirmed what the log held then. */
  readonly healedMs: number;
}

export interface Disturbance {
  readonly happened: readonly Happened[];
  /** What did not mend itself, in words; then nothing more was injected. */
  readonly violation: string | undefined;
}

export interface ScheduleOptions {
  readonly forMs: number;
  readonly faults: readonly Fault[];
  readonly random: Random;
  /** One JSON line an event. */
  readonly logFile: string;
  readonly say: (line: string) => void;
  readonly cancelled: AbortSignal;
}

/** Injects until the time is over. What it has begun it heals. */
export async function disturb(deployment: Deployment, options: ScheduleOptions): Promise<Disturbance> {
  const { forMs, random, cancelled } = options;
  const until = performance.now() + forMs;
  const happened: Happened[] = [];
  const deck = new Deck(options.faults, random);
  while (performance.now() < until && !cancelled.aborted) {
    await pause(random.between(...PAUSE_MS), cancelled);
    const first = deck.draw();
    const second = random.chance(OVERLAP_SHARE) ? deck.drawBeside(first) : undefined;
    try {
      const episode = new Episode(deployment, options);
      happened.push(...(await episode.run(second ? [first, second] : [first])));
    } catch (error) {
      return { happened, violation: (error as Error).message };
    }
  }
  return { happened, violation: undefined };
}

/** Each fault once, in an order of chance, before any comes again. */
class Deck {
  readonly #faults: readonly Fault[];
  readonly #random: Random;
  #left: Fault[] = [];

  constructor(faults: readonly Fault[], random: Random) {
    this.#faults = faults;
    this.#random = random;
  }

  draw(): Fault {
    if (this.#left.length === 0) this.#left = [...this.#faults];
    return this.#take(this.#random.pick(this.#left));
  }

  /** One that lays its hands on other parts; undefined where none is left. */
  drawBeside({ touches }: Fault): Fault | undefined {
    const others = this.#left.filter((fault) => !fault.touches.some((part) => touches.includes(part)));
    return others.length === 0 ? undefined : this.#take(this.#random.pick(others));
  }

  #take(fault: Fault): Fault {
    this.#left.splice(this.#left.indexOf(fault), 1);
    return fault;
  }
}

interface UnderWay {
  readonly fault: Fault;
  readonly at: Date;
  readonly injected: Injected;
}

/** One or two faults, from the first harm until all is well. */
class Episode {
  readonly #deployment: Deployment;
  readonly #options: ScheduleOptions;

  constructor(deployment: Deployment, options: ScheduleOptions) {
    this.#deployment = deployment;
    this.#options = options;
  }

  /** @throws Error that says what has not mended itself */
  async run(faults: readonly Fault[]): Promise<Happened[]> {
    const underWay = await Promise.all(faults.map((fault) => this.#inject(fault)));
    const lasted = await Promise.all(underWay.map((one) => this.#heal(one)));
    const healedAt = performance.now();
    let healedMs: number;
    try {
      await settled(this.#deployment, HEALED_WITHIN_MS);
      healedMs = Math.round(performance.now() - healedAt);
      await replicated(this.#deployment);
      for (const { injected } of underWay) await injected.verify?.();
    } catch (error) {
      const names = underWay.map(({ fault, injected }) => `${fault.name} (${injected.target})`).join(' and ');
      throw new Error(`after ${names}: ${(error as Error).message}`);
    }
    this.#note({ what: 'settled', healedMs });
    return underWay.map(({ fault, at, injected: { target } }, i) => ({
      ...{ fault: fault.name, target, at: at.toISOString(), lastedMs: lasted[i] as number, healedMs },
    }));
  }

  async #inject(fault: Fault): Promise<UnderWay> {
    const at = new Date();
    const injected = await fault.inject(this.#deployment, this.#options.random);
    this.#note({ what: 'injected', fault: fault.name, target: injected.target });
    return { fault, at, injected };
  }

  /** @returns how long the fault lasted, in milliseconds */
  async #heal({ fault, at, injected }: UnderWay): Promise<number> {
    await pause(this.#options.random.between(...fault.lastsMs), this.#options.cancelled);
    await injected.heal();
    this.#note({ what: 'healed', fault: fault.name });
    return Date.now() - at.getTime();
  }

  #note(event: { readonly what: string } & Record<string, unknown>): void {
    const { logFile, say } = this.#options;
    const time = new Date().toISOString();
    appendFileSync(logFile, `${JSON.stringify({ time, ...event })}\n`);
    const { what, fault = '', target = '', healedMs } = event;
    say(`${time.slice(11, 23)}  ${what} ${fault} ${target}${healedMs === undefined ? '' : `after ${healedMs} ms`}`);
  }
}

function pause(ms: number, cancelled: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (cancelled.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      cancelled.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    cancelled.addEventListener('abort', done);
  });
}
