/** INBOX streams against the log, beside workers that go on; and what is wrong in them put right. */
import type { Nats } from '../adapters/jetstream/connect.ts';
import { dropping, type InboxBounds, inboxBounds, readInboxOn } from '../adapters/jetstream/inbox/inbox-span.ts';
import { JetstreamLogReader } from '../adapters/jetstream/log/log-reader.ts';
import { ReplayState } from '../adapters/sqlite/replay-state.ts';
import { makeTemporaryFolder } from '../adapters/sqlite/temporary-folder.ts';
import type { ComparedWindow, Finding, Held } from '../application/replay/audit-parts.ts';
import { type AuditCounts, InboxAudit } from '../application/replay/inbox-audit.ts';
import { LogCursor } from '../application/replay/log-cursor.ts';
import { LaneTerms } from '../projections/lane-terms.ts';
import { REPAIR_LANE, windowKey } from '../projections/repair-lane.ts';
import type { DeliverFrame } from '../protocol/frames.ts';
import { bodyOf, decodeOrigin, RecordKind } from '../protocol/inbox-record.ts';
import { packr } from '../protocol/messagepack.ts';
import { convStreamOf, inboxStreamName, type Topology, termSubject } from '../protocol/subjects.ts';
import { repairInbox } from './inbox-repair.ts';

export interface VerificationParts {
  readonly nats: Nats;
  readonly topology: Topology;
  readonly lane: number;
  readonly inboxStream: number;
  readonly stop: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
  readonly onProgress: (seq: number, end: number) => void;
  /** As of the audit: windows are told of, and not checked. */
  readonly onWindow?: (window: ComparedWindow) => void;
}

export interface InboxVerdict extends AuditCounts {
  readonly lane: number;
  readonly inboxStream: string;
  /** Position in the log up to which the stream was checked. */
  readonly checkedTo: number;
  /** Events of the lane that are not in the inboxes yet. */
  readonly lag: number;
  readonly findings: number;
  /** Records written anew and taken away; where a repair was asked for and needed. */
  readonly repaired?: { readonly written: number; readonly removed: number };
}

/**
 * @param hasRepair whether what is wrong is put right: then the verdict tells what was found before
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE; of a repair also CONFLICT, STREAM_CHANGE_REFUSED
 */
export async function verifyInbox(parts: VerificationParts, hasRepair: boolean): Promise<InboxVerdict> {
  const { nats, lane, inboxStream: k, stop, topology } = parts;
  const { nc, jsm, inboxPrefix } = nats;
  const bounds = await inboxBounds(jsm, k);
  const folder = makeTemporaryFolder('verify');
  const state = new ReplayState(folder.path);
  const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: lane });
  const log = new LogCursor(reader, stop);
  let findings = 0;
  try {
    const audit = new InboxAudit({
      ...{ lane, inboxStream: k, topology, state, log },
      mayHaveDropped: dropping(bounds),
      repaired: await repairedRecords(parts, bounds),
      ...(parts.onWindow && { onWindow: parts.onWindow }),
      onFinding: (finding) => {
        findings += 1;
        parts.onFinding(finding);
      },
    });
    let at = bounds.first;
    const readOnTo = async (last: number): Promise<void> => {
      for await (const message of readInboxOn(nats, k, at, last, stop)) {
        await audit.add(message);
        at = message.seq + 1;
        parts.onProgress(message.seq, last);
      }
      await audit.finish();
    };
    await readOnTo(bounds.last);
    const found = findings;
    const repaired =
      hasRepair && found > 0 && !stop.aborted
        ? await repairInbox(nats, topology, lane, k, async () => {
            await readOnTo((await inboxBounds(jsm, k)).last);
            return { moves: audit.check.moves, surplus: audit.check.surplus };
          })
        : undefined;
    return {
      ...{ lane, inboxStream: inboxStreamName(k), checkedTo: audit.checked },
      lag: Math.max(0, (await reader.lastPos()) - audit.checked),
      ...{ findings, ...audit.counts },
      ...(repaired && { repaired }),
    };
  } finally {
    await log.close();
    state.close();
    folder.remove();
  }
}

/** What repairs have written into the stream for this lane, by the record whose place it takes, oldest first: the newest counts. */
async function repairedRecords(
  { nats, lane, inboxStream: k, topology, stop }: VerificationParts,
  { last }: InboxBounds,
) {
  const found = new Map<string, Map<number, Held[]>>();
  const query = { next_by_subj: termSubject(REPAIR_LANE, k), seq: 1 };
  const marker = await nats.jsm.direct.getMessage(inboxStreamName(k), query);
  if (!marker) return found;
  const terms = new LaneTerms();
  for await (const { seq, kind, key, data } of readInboxOn(nats, k, marker.seq, last, stop)) {
    const origin = decodeOrigin(data);
    if (origin.lane !== REPAIR_LANE) continue;
    if (kind === 'term') terms.observeMarker(origin, seq);
    else if (kind === 'inbox' && origin.kind === RecordKind.copy) {
      // Each repair has a term of its own, and all of them count.
      const { conversation } = packr.unpack(bodyOf(data)) as DeliverFrame;
      if (convStreamOf(conversation, topology) !== lane || terms.judge(origin, seq) !== 'valid') continue;
      const name = windowKey(lane, origin.from, origin.to);
      const held: Held = { seq, key, kind: 'copy', body: bodyOf(data) };
      const window = found.get(name) ?? new Map<number, Held[]>();
      found.set(name, window.set(origin.offset, [...(window.get(origin.offset) ?? []), held]));
    }
  }
  return found;
}
