/**
 * What is wrong in an INBOX stream put right. The lane is held meanwhile, so that nothing new comes between: its lease is taken, and a
 * term begun in the stream, which makes void what its worker would still write. The worker takes the lane back when it is released.
 *
 * Killed at any moment it leaves entries twice at worst, never none: what is written anew is stored before the old is taken away. The
 * next one finds those and takes them away.
 */

import { HOLDER_KNOWS_WITHIN_MS, JetstreamLeases } from '../adapters/jetstream/between-processes/leases.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { JetstreamInboxWriter } from '../adapters/jetstream/inbox/inbox-writer.ts';
import { DerivedStreams } from '../adapters/jetstream/streams/derived-streams.ts';
import { noFailpoints } from '../adapters/system/failpoints.ts';
import type { Move } from '../application/replay/window-check.ts';
import { REPAIR_LANE } from '../projections/repair-lane.ts';
import { RookeryError } from '../protocol/error-codes.ts';
import { decodeOrigin, encodeInboxRecord, RecordKind } from '../protocol/inbox-record.ts';
import { inboxStreamName, type Topology, termSubject } from '../protocol/subjects.ts';

const MAX_NONCE = 2 ** 32 - 1;
const NO_BODY = new Uint8Array(0);

export interface Repair {
  /** In the order in which they are written. */
  readonly moves: readonly Move[];
  /** Sequences of what has no place in the stream. */
  readonly surplus: readonly number[];
}

/**
 * @param prepare called when the lane is held: what is to be done, by the stream as it is then
 * @throws RookeryError CONFLICT when a worker took the lane meanwhile: then entries stand twice, and it has to be run again
 */
export async function repairInbox(
  nats: Nats,
  topology: Topology,
  lane: number,
  k: number,
  prepare: () => Promise<Repair>,
): Promise<{ readonly written: number; readonly removed: number }> {
  const { js, jsm } = nats;
  const stream = inboxStreamName(k);
  const leases = await JetstreamLeases.open(nats.nc);
  const lease = await leases.take(`fan-out.${lane}`, `repair ${crypto.randomUUID()}`);
  try {
    await new Promise((resolve) => setTimeout(resolve, HOLDER_KNOWS_WITHIN_MS));
    const fence = await beginTerm(nats, topology, lane, k);
    const { moves, surplus } = await prepare();
    const term = moves.length > 0 ? await beginRepairTerm(nats, k) : 0;
    for (const { subject, from, to, offset, body } of moves) {
      const origin = { kind: RecordKind.copy, lane: REPAIR_LANE, term, from, to, offset };
      await js.publish(subject, encodeInboxRecord(origin, body));
    }
    if ((await lastMarker(nats, lane, k))?.seq !== fence) {
      throw new RookeryError('CONFLICT', `a worker took lane ${lane} while ${stream} was repaired: run it again`);
    }
    const old = new Set([...moves.flatMap(({ replaces }) => replaces), ...surplus]);
    for (const seq of old) await removed(jsm.streams.deleteMessage(stream, seq, false));
    return { written: moves.length, removed: old.size };
  } finally {
    await lease.release();
  }
}

/** Void is from here on what the lane's worker still writes. The sequence of the marker. */
async function beginTerm(nats: Nats, topology: Topology, lane: number, k: number): Promise<number> {
  const { nc, js, jsm, inboxPrefix } = nats;
  const derived = new DerivedStreams(jsm, topology);
  const place = { lane, inboxStream: k };
  const writer = new JetstreamInboxWriter({ nc, js, jsm, inboxPrefix, derived, ...place, failpoints: noFailpoints });
  try {
    await writer.begin();
    return (await lastMarker(nats, lane, k))?.seq ?? 0;
  } finally {
    writer.stop();
  }
}

/** Repairs of a stream exclude one another: the marker is a compare-and-set. */
async function beginRepairTerm(nats: Nats, k: number): Promise<number> {
  const last = await lastMarker(nats, REPAIR_LANE, k);
  const term = (last ? decodeOrigin(last.data).term : 0) + 1;
  const nonce = 1 + Math.floor(Math.random() * MAX_NONCE);
  const origin = { kind: RecordKind.marker, lane: REPAIR_LANE, term, from: nonce, to: nonce, offset: 0 };
  await nats.js.publish(termSubject(REPAIR_LANE, k), encodeInboxRecord(origin, NO_BODY), {
    expect: { lastSubjectSequence: last?.seq ?? 0 },
  });
  return term;
}

const lastMarker = ({ jsm }: Nats, lane: number, k: number) =>
  jsm.streams.getMessage(inboxStreamName(k), { last_by_subj: termSubject(lane, k) });

/** What the stream has dropped meanwhile is gone as well. */
async function removed(deleting: Promise<boolean>): Promise<void> {
  await deleting.catch(() => false);
}
