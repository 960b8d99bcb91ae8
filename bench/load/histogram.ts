/** Latencies in buckets that grow with the value: constant memory however many are counted, within 3 % of the truth. */

/** Buckets in each power of two: the width of one is 1/32 of its value. */
const SUB_BUCKETS = 32;
const SUB_BUCKET_BITS = 5;
/** Up to 2^31 µs, 35 minutes: longer than any run. */
const BUCKETS = (32 - SUB_BUCKET_BITS) * SUB_BUCKETS;

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  /** Hot path. @param us microseconds */
  add(us: number): void {
    const bucket = bucketOf(us);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#total += 1;
  }

  get total(): number {
    return this.#total;
  }

  /** Milliseconds within which the share `p` (0 to 1) of all values lies; undefined without any. */
  percentileMs(p: number): number | undefined {
    let left = this.#total * p;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket] as number;
      left -= count;
      if (count > 0 && left <= 0) return upperBoundOf(bucket) / 1_000;
    }
    return undefined;
  }
}

function bucketOf(us: number): number {
  const value = Math.max(1, Math.floor(us));
  const power = 31 - Math.clz32(value);
  if (power < SUB_BUCKET_BITS) return value;
  return (power - SUB_BUCKET_BITS) * SUB_BUCKETS + (value >>> (power - SUB_BUCKET_BITS));
}

/** The largest value of a bucket, so that a percentile never looks better than it is. */
function upperBoundOf(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket;
  const power = Math.floor(bucket / SUB_BUCKETS) + SUB_BUCKET_BITS - 1;
  const width = 2 ** (power - SUB_BUCKET_BITS);
  return ((bucket % SUB_BUCKETS) + SUB_BUCKETS + 1) * width - 1;
}
