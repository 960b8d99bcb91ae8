/** UUIDv7 (RFC 9562, 5.7), growing within the process also where the clock stands still or goes back. */

let lastMs = 0;
let counter = 0;

/** @param time milliseconds since 1970; a part of one is cut off */
export function uuidv7(time: number): string {
  const nowMs = Math.floor(time);
  const random = crypto.getRandomValues(new Uint8Array(10));
  if (nowMs > lastMs) {
    lastMs = nowMs;
    // Room to count up within a millisecond: the counter begins in the lower half of its 12 bits.
    counter = (((random[0] as number) << 8) | (random[1] as number)) & 0x7ff;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  const stamp = lastMs.toString(16).padStart(12, '0');
  const tail = [...random.subarray(2)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const variant = ((Number.parseInt(tail[0] as string, 16) & 0x3) | 0x8).toString(16);
  const sequence = counter.toString(16).padStart(3, '0');
  return `${stamp.slice(0, 8)}-${stamp.slice(8)}-7${sequence}-${variant}${tail.slice(1, 4)}-${tail.slice(4)}`;
}
