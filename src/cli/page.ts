/** A page of a terminal that is drawn over and over, on a screen of its own: what was there before is there again afterwards. */

import { cutPainted } from './terminal.ts';

/** What of a terminal is used; `process.stdout` is one. */
export interface Screen {
  readonly rows?: number;
  readonly columns?: number;
  write(text: string): boolean;
  on(event: 'resize', act: () => void): unknown;
  off(event: 'resize', act: () => void): unknown;
}

/** The other screen, no cursor, and no line is broken in two: also while a terminal that became narrower is not yet drawn anew. */
const OPEN = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const CLOSE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
/** Between these a terminal that knows them shows nothing half drawn. */
const [BEGIN, END] = ['\x1b[?2026h', '\x1b[?2026l'];
const HOME = '\x1b[H';
const REST_OF_LINE = '\x1b[K';
const REST_OF_SCREEN = '\x1b[J';

export class Page {
  readonly #screen: Screen;
  #text = '';
  #isOpen = true;
  readonly #onResize = (): void => this.draw(this.#text);
  readonly #onExit = (): void => this.close();

  constructor(screen: Screen) {
    this.#screen = screen;
    screen.write(OPEN);
    screen.on('resize', this.#onResize);
    // A second Ctrl-C ends the process where it is; the terminal stays.
    process.once('exit', this.#onExit);
  }

  /** Instead of what is there, in one write; from its first line on as many as there is room for. */
  draw(text: string): void {
    this.#text = text;
    const lines = text.split('\n');
    const { rows, columns } = this.#screen;
    const shown = lines.slice(0, rows || lines.length).map((line) => (columns ? cutPainted(line, columns) : line));
    this.#screen.write(`${BEGIN}${HOME}${shown.join(`${REST_OF_LINE}\r\n`)}${REST_OF_LINE}${REST_OF_SCREEN}${END}`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#screen.off('resize', this.#onResize);
    process.off('exit', this.#onExit);
    this.#screen.write(CLOSE);
  }
}
