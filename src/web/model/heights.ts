/**
 * Heights of rows of which only some were measured, and where each begins: a Fenwick tree, so that a hundred thousand rows
 * cost a handful of steps for each question. Rows are counted from 0; what was not measured has the estimate.
 */
export class Heights {
  readonly #estimate: number;
  #heights = new Float64Array(0);
  #tree = new Float64Array(1);
  #count = 0;

  /** @param estimate px */
  constructor(estimate: number) {
    this.#estimate = estimate;
  }

  get count(): number {
    return this.#count;
  }

  get total(): number {
    return this.top(this.#count);
  }

  /** More rows at the end, or fewer. */
  resize(count: number): void {
    if (count > this.#heights.length) this.#grow(count);
    for (let row = this.#count; row < count; row++) this.#change(row, this.#estimate);
    for (let row = count; row < this.#count; row++) this.#change(row, 0);
    this.#count = count;
  }

  of(row: number): number {
    return this.#heights[row] ?? 0;
  }

  /** @returns whether it is another one now */
  set(row: number, height: number): boolean {
    if (row < 0 || row >= this.#count || this.#heights[row] === height) return false;
    this.#change(row, height);
    return true;
  }

  /** Where `row` begins: px from the top. */
  top(row: number): number {
    let sum = 0;
    for (let i = Math.min(row, this.#count); i > 0; i -= i & -i) sum += this.#tree[i] as number;
    return sum;
  }

  /** The row at `y` px from the top; the last one beyond the end, 0 where there is none. */
  at(y: number): number {
    let row = 0;
    let rest = y;
    for (let step = topBit(this.#tree.length - 1); step > 0; step >>= 1) {
      const sum = this.#tree[row + step];
      if (sum === undefined || sum > rest) continue;
      row += step;
      rest -= sum;
    }
    return Math.max(0, Math.min(row, this.#count - 1));
  }

  #change(row: number, height: number): void {
    const by = height - (this.#heights[row] as number);
    this.#heights[row] = height;
    for (let i = row + 1; i < this.#tree.length; i += i & -i) this.#tree[i] = (this.#tree[i] as number) + by;
  }

  /** To twice the size, so that rows that come one by one cost little each. */
  #grow(count: number): void {
    const heights = new Float64Array(Math.max(64, 2 * count));
    heights.set(this.#heights.subarray(0, this.#count));
    const tree = new Float64Array(heights.length + 1);
    for (let i = 1; i < tree.length; i++) {
      tree[i] = (tree[i] as number) + (heights[i - 1] as number);
      const parent = i + (i & -i);
      if (parent < tree.length) tree[parent] = (tree[parent] as number) + (tree[i] as number);
    }
    this.#heights = heights;
    this.#tree = tree;
  }
}

const topBit = (n: number): number => (n === 0 ? 0 : 2 ** Math.floor(Math.log2(n)));
