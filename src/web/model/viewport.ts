/**
 * What of a long list is looked at, and what keeps its place on the screen while heights become known around it: the row at the
 * upper edge, or the end of the list. Pure: the view tells it of scrolling and measures, and is told where to scroll to.
 */
import { Heights } from './heights.ts';

/** Rows that are drawn beyond either edge, so that what scrolls in is there already. */
const OVERSCAN = 10;
/** Left free behind the last row. */
const END_PX = 14;
/** So near to the end, px, is at the end: what comes is scrolled to. */
const AT_END_PX = 48;

export interface Range {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

export class Viewport {
  readonly heights: Heights;
  #height = 0;
  /** Undefined: the end of the list keeps its place. */
  #anchor: { row: number; offset: number } | undefined;

  constructor(estimate: number) {
    this.heights = new Heights(estimate);
  }

  get isAtEnd(): boolean {
    return !this.#anchor || this.scrollTop >= this.total - this.#height - AT_END_PX;
  }

  /** Of the screen's part. */
  get height(): number {
    return this.#height;
  }

  /** The rows to draw. */
  get drawn(): Range {
    const { from, to } = this.seen;
    return { from: Math.max(0, from - OVERSCAN), to: Math.min(this.heights.count, to + OVERSCAN) };
  }

  /** The rows of which something is on the screen. */
  get seen(): Range {
    if (this.heights.count === 0) return { from: 0, to: 0 };
    const top = this.scrollTop;
    return { from: this.heights.at(top), to: this.heights.at(Math.max(top, top + this.#height - 1)) + 1 };
  }

  /** Of all rows, and what is left free behind them. */
  get total(): number {
    return this.heights.total + END_PX;
  }

  /** Where the view has to be scrolled to for the anchor to stand where it stood. */
  get scrollTop(): number {
    const end = Math.max(0, this.total - this.#height);
    if (!this.#anchor) return end;
    return Math.max(0, Math.min(end, this.heights.top(this.#anchor.row) + this.#anchor.offset));
  }

  resized(height: number): void {
    this.#height = height;
  }

  /** By a person: what is at the upper edge now is what stays there. */
  scrolled(scrollTop: number): void {
    const end = this.total - this.#height;
    if (scrollTop >= end - AT_END_PX) {
      this.#anchor = undefined;
      return;
    }
    const row = this.heights.at(scrollTop);
    this.#anchor = { row, offset: scrollTop - this.heights.top(row) };
  }

  /** `row` comes to a third of the height. */
  show(row: number): void {
    this.#anchor = { row, offset: -Math.round(this.#height / 3) };
  }

  showEnd(): void {
    this.#anchor = undefined;
  }
}
