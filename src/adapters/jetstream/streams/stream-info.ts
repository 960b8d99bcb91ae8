/**
 * What a stream says of itself, with replicas. Only a leader answers; but one that was deposed, paused or cut off, answers for
 * the past until it finds that out: when it hears from the others again, or after 10 to 20 s without a quorum (`lostQuorumInterval`
 * and its check in nats-server). So an answer that lacks what is known to be stored is asked for again, for so long. Then it
 * is believed.
 */
import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { answered } from '../answered.ts';

const DEPOSED_KNOWS_WITHIN_MS = 25_000;
const ASK_AGAIN_MS = 250;

/**
 * @param known a position that is known to be stored
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function infoOf(jsm: JetStreamManager, stream: string, known = 0): Promise<StreamInfo> {
  for (const askedAt = performance.now(); ; ) {
    const info = await answered(stream, jsm.streams.info(stream));
    const mayBeOld = isReplicated(info) && performance.now() - askedAt < DEPOSED_KNOWS_WITHIN_MS;
    if (info.state.last_seq >= known || !mayBeOld) return info;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

/**
 * Whether nothing stands from `from` to `to`, both included. Where that is so something stands behind it, or the stream ends there: a leader
 * that finds nothing at all, though it should reach to `to`, is asked again as above.
 * @param subjects undefined: whatever their subjects
 * @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE
 */
export async function hasNothingIn(
  jsm: JetStreamManager,
  stream: string,
  {
    from,
    to,
    subjects,
  }: { readonly from: number; readonly to: number; readonly subjects: readonly string[] | undefined },
): Promise<boolean> {
  for (const askedAt = performance.now(); ; ) {
    const info = await infoOf(jsm, stream, to);
    const queries = (subjects ?? ['>']).map((subject) => ({ next_by_subj: subject, seq: from }));
    const next = await Promise.all(queries.map((query) => answered(stream, jsm.streams.getMessage(stream, query))));
    if (next.some((message) => message && message.seq <= to)) return false;
    const reaches = subjects !== undefined || info.state.last_seq < from || next.some(Boolean);
    const mayBeOld = isReplicated(info) && performance.now() - askedAt < DEPOSED_KNOWS_WITHIN_MS;
    if (reaches || !mayBeOld) return true;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

export const isReplicated = ({ config }: StreamInfo): boolean => config.num_replicas > 1;
