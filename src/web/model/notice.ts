/** Whether somebody who looks elsewhere is told of a message. Pure. */
import type { Entry, QuietHours, UserId } from '../../sdk/index.ts';
import { isMuted, type Row } from './rows.ts';

/** What is older came while nobody was connected: the list says so, one by one it would be noise. */
export const FRESH_MS = 10 * 60_000;

interface Moment {
  readonly me: UserId;
  readonly quietHours: QuietHours | null;
  /** Milliseconds since 1970, by the server's clock. */
  readonly nowMs: number;
}

/** @param row as it is behind the entry */
export function isToBeTold(entry: Entry, row: Row, { me, quietHours, nowMs }: Moment): boolean {
  if (entry.type !== 'message' || entry.by === me || entry.n <= row.readUpTo) return false;
  if (isMuted(row, nowMs) || row.preferences.archived || row.left) return false;
  return nowMs - entry.at < FRESH_MS && !isQuiet(quietHours, nowMs);
}

/** Hours that begin and end at the same minute are the whole day. */
export function isQuiet(hours: QuietHours | null, nowMs: number): boolean {
  if (!hours) return false;
  const { from, to, timeZone } = hours;
  const minute = minuteOfDay(nowMs, timeZone);
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

function minuteOfDay(atMs: number, timeZone: string): number {
  const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone });
  const [hours = 0, minutes = 0] = clock.format(atMs).split(':').map(Number);
  return hours * 60 + minutes;
}
