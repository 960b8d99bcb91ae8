/** Runs and a cursor as one piece of bytes, for one write. */
import type { Codec } from '../../protocol/codec.ts';
import type { Run } from './run.ts';

export function sameRuns(a: readonly Run[], b: readonly Run[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function joinRuns(runs: readonly Run[], codec: Codec, cursor: Uint8Array): Uint8Array {
  let bytes = cursor.length;
  for (const run of runs) bytes += run.wire(codec).length;
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const run of runs) {
    const wire = run.wire(codec);
    joined.set(wire, at);
    at += wire.length;
  }
  joined.set(cursor, at);
  return joined;
}
