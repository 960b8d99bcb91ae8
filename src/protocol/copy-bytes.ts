/** Copies of a few bytes are made millions of times: a call costs what forty bytes cost one by one. */
const CALL_IS_WORTH_BYTES = 40;

/** What stands in `from` from `start` on and before `end`. @returns where it ends in `into`, which has room for it */
export function copyBytes(into: Buffer, at: number, from: Uint8Array, start: number, end: number): number {
  if (end - start > CALL_IS_WORTH_BYTES) {
    Buffer.prototype.copy.call(from, into, at, start, end);
    return at + end - start;
  }
  let to = at;
  for (let i = start; i < end; i++) into[to++] = from[i] as number;
  return to;
}
