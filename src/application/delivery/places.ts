/** Where in an INBOX stream a device goes on that has come with a cursor. */
import type { InboxReader } from '../../ports/inbox-reader.ts';
import { Lineage } from '../../projections/lineage.ts';
import type { Cursor } from '../../protocol/frames.ts';
import { decodeOrigin } from '../../protocol/inbox-record.ts';
import type { Device } from './device.ts';
import { partsOf } from './epoch.ts';
import type { LiveInbox } from './live-inbox.ts';

/** When there is a tail: only then is it known where "now" is. @returns whether the place is known; not, if its markers are unknown */
export function findPlace(device: Device, { stream, seq, decoder }: LiveInbox): boolean {
  const { resume } = device;
  if (resume === 'latest') device.moveTo(stream, seq);
  else if (resume === 'everything') device.moveTo(stream, 0);
  else {
    const cursor = partsOf(resume.epoch);
    const place = cursor.stream === stream ? decoder.lineage.placeOf(cursor.past, resume.seq) : resume.seq;
    if (place === undefined) return false;
    device.moveTo(cursor.stream, place);
  }
  return true;
}

/** A cursor whose markers we do not know: another gateway was faster, or they are lost. */
export async function findUnknown(device: Device, reader: InboxReader): Promise<'reached' | 'CURSOR_UNKNOWN'> {
  const { epoch, seq } = device.resume as Cursor;
  const { stream, past } = partsOf(epoch);
  const lineage = new Lineage();
  for (const { seq: at, data } of await reader.markers()) lineage.observe(at, decodeOrigin(data).from);
  const place = lineage.placeOf(past, seq);
  if (place === undefined) return 'CURSOR_UNKNOWN';
  device.moveTo(stream, place);
  return 'reached';
}
