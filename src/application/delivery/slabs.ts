/**
 * Memory for many small pieces of bytes that are let go in about the order in which they were taken, as runs of a ring are.
 *
 * Node's own pool is shared by everything that is written: a run that is kept there keeps the acks and cursors around it as well,
 * which cost as much again (measured). A buffer for each would cost some 200 bytes more a run.
 */
const SLAB_BYTES = 262_144;
/** A longer piece has a buffer of its own. */
const MAX_PIECE_BYTES = SLAB_BYTES / 8;

export class Slabs {
  #slab = Buffer.alloc(0);
  #taken = 0;

  /** @returns memory with anything in it, the caller's alone */
  readonly take = (bytes: number): Buffer => {
    if (bytes > MAX_PIECE_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (this.#taken + bytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#taken = 0;
    }
    const from = this.#taken;
    this.#taken += bytes;
    return this.#slab.subarray(from, this.#taken);
  };
}
