/** A terminal as far as our commands steer one: what somebody would see of what was written. Throws at what it does not know. */
import { EventEmitter } from 'node:events';
import { widthOf } from '../../src/cli/terminal.ts';

const SEQUENCE = /\x1b\[(\??)([0-9;]*)([A-Za-z])/y;

export class FakeScreen extends EventEmitter {
  readonly isTTY = true;
  columns: number;
  rows: number;
  isCursorShown = true;
  isOther = false;
  /** How often something was written. */
  writes = 0;
  #wraps = true;
  #lines: string[][] = [];
  #main: string[][] = [];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    super();
    [this.columns, this.rows] = [columns, rows];
  }

  /** As terminals do: what is there stays, whatever does not fit is gone. */
  resize(columns: number, rows: number): void {
    [this.columns, this.rows] = [columns, rows];
    this.#lines = this.#lines.slice(0, rows).map((line) => line.slice(0, columns));
    this.#row = Math.min(this.#row, rows - 1);
    this.emit('resize');
  }

  get shown(): string[] {
    const lines = this.#lines.map((line) =>
      Array.from(line, (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    );
    return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
  }

  write(text: string): boolean {
    this.writes += 1;
    for (let at = 0; at < text.length; ) {
      SEQUENCE.lastIndex = at;
      const found = SEQUENCE.exec(text);
      if (found) this.#steer(found[1] === '?', found[2] ?? '', found[3] ?? '');
      const char = found?.[0] ?? String.fromCodePoint(text.codePointAt(at) ?? 0);
      if (!found) this.#put(char);
      at += char.length;
    }
    return true;
  }

  #steer(isPrivate: boolean, argument: string, what: string): void {
    const isOn = what === 'h';
    if (isPrivate && argument === '25') this.isCursorShown = isOn;
    else if (isPrivate && argument === '7') this.#wraps = isOn;
    else if (isPrivate && argument === '1049') this.#turnTo(isOn);
    else if (isPrivate && argument === '2026') return;
    else if (what === 'm') return;
    else if (what === 'H' && argument === '') [this.#row, this.#column] = [0, 0];
    else if (what === 'K' && argument === '2') this.#lines[this.#row] = [];
    else if (what === 'K') this.#line().splice(this.#column);
    else if (what === 'J') {
      this.#line().splice(this.#column);
      this.#lines.splice(this.#row + 1);
    } else throw new Error(`no terminal of ours knows ${JSON.stringify(`${isPrivate ? '?' : ''}${argument}${what}`)}`);
  }

  #turnTo(isOther: boolean): void {
    this.isOther = isOther;
    if (isOther) [this.#main, this.#lines] = [this.#lines, []];
    else [this.#lines, this.#main] = [this.#main, []];
    [this.#row, this.#column] = [0, 0];
  }

  #put(char: string): void {
    if (char === '\r') this.#column = 0;
    else if (char === '\n') this.#feed();
    else {
      const width = widthOf(char);
      if (this.#column + width > this.columns) {
        if (this.#wraps) this.#feed();
        else this.#column = this.columns - width;
      }
      this.#line()[this.#column] = char;
      if (width === 2) this.#line()[this.#column + 1] = '';
      this.#column += width;
    }
  }

  /** A line further; at the bottom everything moves up. As a tty has it, also back to the first column. */
  #feed(): void {
    this.#column = 0;
    if (this.#row + 1 < this.rows) this.#row += 1;
    else this.#lines.shift();
  }

  #line(): string[] {
    for (let i = this.#lines.length; i <= this.#row; i++) this.#lines[i] = [];
    return this.#lines[this.#row] as string[];
  }
}
