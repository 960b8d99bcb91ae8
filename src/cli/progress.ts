/** How far something has come, on stderr: a bar that is drawn over and over on a terminal, else a line now and then. */
const BAR_CHARS = 30;
const DRAW_EVERY_MS = 100;
const LINE_EVERY_MS = 5_000;

export class ProgressBar {
  readonly #what: string;
  readonly #from: number;
  readonly #startedMs = performance.now();
  #toldMs = Number.NEGATIVE_INFINITY;

  /** @param from where it begins; @param what stands before the bar */
  constructor(what: string, from: number) {
    this.#what = what;
    this.#from = from;
  }

  at(position: number, end: number): void {
    const nowMs = performance.now();
    const isTerminal = process.stderr.isTTY === true;
    if (position < end && nowMs - this.#toldMs < (isTerminal ? DRAW_EVERY_MS : LINE_EVERY_MS)) return;
    this.#toldMs = nowMs;
    const share = end === this.#from ? 1 : (position - this.#from) / (end - this.#from);
    const perSecond = Math.round((position - this.#from) / Math.max(0.001, (nowMs - this.#startedMs) / 1_000));
    const filled = Math.round(share * BAR_CHARS);
    const bar = isTerminal ? `[${'█'.repeat(filled)}${' '.repeat(BAR_CHARS - filled)}] ` : '';
    const text = `${this.#what}  ${bar}${Math.floor(share * 100)} %  ${position} of ${end}  ${perSecond} events/s`;
    process.stderr.write(isTerminal ? `\r\x1b[2K${text}${position < end ? '' : '\n'}` : `${text}\n`);
  }
}
