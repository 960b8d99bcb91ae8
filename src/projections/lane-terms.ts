/**
 * Which records of an INBOX stream count. A record is void when its term is older than its lane's newest marker before it:
 * a writer that was paused and wakes doubles nothing. A record before the oldest marker that is kept cannot be judged; it
 * is beyond the retention.
 */
import type { Origin } from '../protocol/inbox-record.ts';

export type Verdict = 'valid' | 'void' | 'beyond retention';

export class LaneTerms {
  /** By lane, in the order of the stream. There are few: one a start of a worker, and some a day. */
  readonly #markers = new Map<number, { readonly seq: number; readonly term: number }[]>();

  /** Markers must come in the order of the stream; one that is known already changes nothing. */
  observeMarker({ lane, term }: Pick<Origin, 'lane' | 'term'>, seq: number): void {
    let markers = this.#markers.get(lane);
    if (!markers) this.#markers.set(lane, (markers = []));
    if (seq > (markers.at(-1)?.seq ?? 0)) markers.push({ seq, term });
  }

  /** Forgets the markers below `firstSeq`, but for those of what is still kept. */
  dropBelow(firstSeq: number): void {
    for (const [lane, markers] of this.#markers) {
      const kept = markers.filter(({ seq }) => seq >= firstSeq);
      if (kept.length < markers.length && kept.length > 0) this.#markers.set(lane, kept);
    }
  }

  judge({ lane, term }: Pick<Origin, 'lane' | 'term'>, seq: number): Verdict {
    const markers = this.#markers.get(lane) ?? [];
    for (let i = markers.length - 1; i >= 0; i--) {
      const marker = markers[i] as { seq: number; term: number };
      if (marker.seq < seq) return marker.term === term ? 'valid' : 'void';
    }
    return 'beyond retention';
  }
}
