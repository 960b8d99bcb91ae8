import pino from 'pino';
import type { Log } from '../../ports/log.ts';

/** JSON lines on stdout, each with a `what`. Written synchronously: the last words of a process that dies must be there. */
export function createLog(process: string, level: string): Log {
  return pino({ base: { process, pid: globalThis.process.pid }, level, timestamp: pino.stdTimeFunctions.isoTime });
}
