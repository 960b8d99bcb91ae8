import { writeSync } from 'node:fs';
import pino from 'pino';
import type { Log } from '../../ports/log.ts';

const STDOUT = 1;
/** How long a reader that does not read may hold up the process at one line; then the rest of the line is dropped. */
const MAX_WAIT_MS = 1_000;
const PAUSE_MS = 5;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * JSON lines on stdout, each with a `what`. Written synchronously: the last words of a process that dies must be there. Not
 * by pino's own destination: where the reader is gone that one tries for ever, even while the process exits.
 */
export function createLog(process: string, level: string): Log {
  const base = { process, pid: globalThis.process.pid };
  return pino({ base, level, timestamp: pino.stdTimeFunctions.isoTime }, { write: writeLine });
}

function writeLine(line: string): void {
  let rest = Buffer.from(line);
  for (let waitedMs = 0; rest.length > 0 && waitedMs < MAX_WAIT_MS; ) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (error) {
      // Nobody reads any more: work goes on without a log.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(never, 0, 0, PAUSE_MS);
      waitedMs += PAUSE_MS;
    }
  }
}
