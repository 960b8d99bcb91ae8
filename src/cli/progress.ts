/** How far something has come, with its rate and the time left: a bar on stderr, drawn over and over. Nothing where that is no terminal. */
import { cut, widthOf } from './terminal.ts';

const BAR_CHARS = 30;
/** In a narrow terminal. */
const LEAST_BAR_CHARS = 5;
const DEFAULT_COLUMNS = 80;
const DRAW_EVERY_MS = 100;

/** What of a terminal is used; `process.stderr` is one. */
export interface BarTerminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

/** Of the bar that stands on a line that is not ended. */
let unfinished: BarTerminal | undefined;

/** Whoever writes something else begins on a line of its own. @returns whether there was a bar on this one */
export function endBar(): boolean {
  const terminal = unfinished;
  unfinished = undefined;
  return terminal?.write('\n') !== undefined;
}

export class ProgressBar {
  readonly #what: string;
  readonly #from: number;
  readonly #unit: string;
  readonly #terminal: BarTerminal;
  readonly #startedMs = performance.now();
  #toldMs = Number.NEGATIVE_INFINITY;
  #isDone = false;

  /** @param from where it begins; @param what stands before the bar; @param unit what is counted, or `bytes` */
  constructor(what: string, from: number, unit = 'events', terminal: BarTerminal = process.stderr) {
    this.#what = what;
    this.#from = from;
    this.#unit = unit;
    this.#terminal = terminal;
  }

  at(position: number, end: number): void {
    const nowMs = performance.now();
    if (this.#terminal.isTTY !== true || process.env.TERM === 'dumb' || this.#isDone) return;
    if (position < end && nowMs - this.#toldMs < DRAW_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#isDone = position >= end;
    const share = end === this.#from ? 1 : (position - this.#from) / (end - this.#from);
    const perSecond = (position - this.#from) / Math.max(0.001, (nowMs - this.#startedMs) / 1_000);
    const left = this.#isDone || perSecond === 0 ? '' : `  ${shownSeconds((end - position) / perSecond)} left`;
    const told = `${Math.floor(share * 100)} %  ${this.#counted(position, end, perSecond)}${left}`;
    this.#terminal.write(`\r\x1b[2K${this.#fitting(share, told)}${this.#isDone ? '\n' : ''}`);
    unfinished = this.#isDone ? undefined : this.#terminal;
  }

  /** On one line, or what is drawn next would leave it there; the last column stays free, where some terminals begin a new one. */
  #fitting(share: number, told: string): string {
    const room = (this.#terminal.columns || DEFAULT_COLUMNS) - 1;
    const without = widthOf(`${this.#what}  []  ${told}`);
    const chars = Math.max(LEAST_BAR_CHARS, Math.min(BAR_CHARS, room - without + 1));
    const filled = Math.round(share * chars);
    return cut(`${this.#what}  [${'█'.repeat(filled)}${' '.repeat(chars - filled)}] ${told}`, room);
  }

  #counted(position: number, end: number, perSecond: number): string {
    if (this.#unit !== 'bytes') return `${position} of ${end}  ${Math.round(perSecond)} ${this.#unit}/s`;
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
    return `${mib(position)} of ${mib(end)} MiB  ${mib(perSecond)} MiB/s`;
  }
}

const shownSeconds = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;

/** Exact to the millisecond: what is finer says nothing. @param startedMs as of `performance.now` */
export const secondsSince = (startedMs: number): number => toMillis((performance.now() - startedMs) / 1_000);
export const toMillis = (seconds: number): number => Math.round(seconds * 1_000) / 1_000;

/** A bar a step, one after the other. */
export class StepBars {
  readonly #unit: string;
  #step = '';
  #bar: ProgressBar | undefined;
  readonly #ms = new Map<string, number>();
  #sinceMs = performance.now();

  constructor(unit: string) {
    this.#unit = unit;
  }

  at({ step, done, total, unit }: { step: string; done: number; total: number; unit?: string }): void {
    if (step !== this.#step || !this.#bar) {
      this.#step = step;
      this.#bar = new ProgressBar(step, 0, unit ?? this.#unit);
    }
    this.#bar.at(done, total);
    const nowMs = performance.now();
    this.#ms.set(step, (this.#ms.get(step) ?? 0) + nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }

  /** How long each step took, so far. */
  get seconds(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#ms].map(([step, ms]) => [step, Math.round(ms) / 1_000]));
  }
}
