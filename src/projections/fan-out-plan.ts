/**
 * From the runs of a window to the records of one INBOX stream. A pure function of the runs: whoever folds the same window
 * gets the same plan, which is what lets a new term go on in the middle of it. So the two numbers below, like the rules of
 * the fold, may change only together with INBOX_RECORD_VERSION.
 */

import type { UserId } from '../domain/ids.ts';
import type { PlannedRecord } from '../ports/inbox-writer.ts';
import type { DeliverFrame, Entry } from '../protocol/frames.ts';
import { packr } from '../protocol/messagepack.ts';
import { inboxStreamOfToken, inboxSubjectOfToken, packSubject, type Topology, tokenOf } from '../protocol/subjects.ts';
import type { Run } from './fan-out.ts';

/** Up to so many recipients in a stream get a copy each; above, a pack is written once and each gets a pointer to it. */
export const MAX_COPIES = 20;

export function planFor(runs: readonly Run[], lane: number, inboxStream: number, topology: Topology): PlannedRecord[] {
  const records: PlannedRecord[] = [];
  for (const run of runs) {
    const subjects = subjectsOf(run.audience, inboxStream, topology);
    if (subjects.length === 0) continue;
    const frame: DeliverFrame = { t: 'deliver', conversation: run.conversation, entries: run.entries };
    let body: Uint8Array = packr.pack(frame);
    let kind: PlannedRecord['kind'] = 'copy';
    if (subjects.length > MAX_COPIES) {
      kind = 'pointer';
      const packOffset = records.push({ subject: packSubject(lane, inboxStream), kind: 'pack', body }) - 1;
      body = pointerBody(packOffset, run);
    }
    for (const subject of subjects) records.push({ subject, kind, body });
  }
  return records;
}

function pointerBody(packOffset: number, { conversation, entries }: Run): Uint8Array {
  const [first] = entries;
  let last = 0;
  const steps = entries.map(({ pos }) => {
    const step = pos - last;
    last = pos;
    return step;
  });
  const packed = packr.pack([conversation, indexOf(first), steps]);
  const body = new Uint8Array(4 + packed.length);
  new DataView(body.buffer).setUint32(0, packOffset);
  body.set(packed, 4);
  return body;
}

/** 0 for what has no index. */
const indexOf = (entry: Entry | undefined): number => (entry && 'n' in entry ? entry.n : 0);

/** By audience, then by stream: a group's members hash to the same subjects message after message. */
const subjectLists = new WeakMap<readonly UserId[], { readonly of: Topology; readonly byStream: string[][] }>();

function subjectsOf(audience: readonly UserId[], inboxStream: number, topology: Topology): readonly string[] {
  let lists = subjectLists.get(audience);
  if (lists?.of.inboxStreams !== topology.inboxStreams) {
    lists = { of: topology, byStream: Array.from({ length: topology.inboxStreams }, () => []) };
    for (const user of audience) {
      const token = tokenOf(user);
      lists.byStream[inboxStreamOfToken(token, topology)]?.push(inboxSubjectOfToken(token));
    }
    subjectLists.set(audience, lists);
  }
  return lists.byStream[inboxStream] ?? [];
}
