/** Latencies in buckets that grow with the value: constant memory, within 3 % of the truth. */

const SUB_BUCKETS = 32;

export class Histogram {
  readonly #counts = new Float64Array(64 * SUB_BUCKETS);
  #total = 0;

  /** Hot path. @param us microseconds */
  add(us: number): void {
    this.#counts[bucketOf(us)] = (this.#counts[bucketOf(us)] as number) + 1;
    this.#total += 1;
  }

  get total(): number {
    return this.#total;
  }

  /** Milliseconds below which the share `p` of all lies; 0 for none. */
  percentileMs(p: number): number {
    let left = this.#total * p;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      left -= this.#counts[bucket] as number;
      if (left <= 0) return this.#total === 0 ? 0 : lowestOf(bucket) / 1_000;
    }
    return 0;
  }
}

function bucketOf(us: number): number {
  const value = Math.max(1, Math.floor(us));
  const power = 31 - Math.clz32(value);
  return power < 5 ? value : (power - 5) * SUB_BUCKETS + (value >>> (power - 5));
}

function lowestOf(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket;
  const power = Math.floor(bucket / SUB_BUCKETS) + 4 - 1;
  return ((bucket % SUB_BUCKETS) + SUB_BUCKETS) * 2 ** (power - 4);
}
