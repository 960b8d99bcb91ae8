/**
 * Which records of an INBOX stream count. A record is void when its term is older than its lane's newest marker before it:
 * a writer that was paused and wakes doubles nothing. A record before the oldest marker that is known cannot be judged; it
 * is beyond the retention.
 */
import type { Origin } from '../protocol/inbox-record.ts';

export type Verdict = 'valid' | 'void' | 'beyond retention';

interface Marker {
  readonly seq: number;
  readonly term: number;
}

export class LaneTerms {
  /** By lane, in the order of the stream. There are few: one a start of a worker, and some a day. */
  readonly #markers = new Map<number, Marker[]>();

  /** Markers must come in the order of the stream; one that is known already changes nothing. */
  observeMarker({ lane, term }: Pick<Origin, 'lane' | 'term'>, seq: number): void {
    let markers = this.#markers.get(lane);
    if (!markers) this.#markers.set(lane, (markers = []));
    if (seq > (markers.at(-1)?.seq ?? 0)) markers.push({ seq, term });
  }

  /** Forgets what judges nothing that is still kept: of a lane's markers below `firstSeq` only the newest still does. */
  dropBelow(firstSeq: number): void {
    for (const markers of this.#markers.values()) {
      const judging = markers.findLastIndex(({ seq }) => seq < firstSeq);
      if (judging > 0) markers.splice(0, judging);
    }
  }

  /** Hot path: nearly always the newest marker is the one. */
  judge({ lane, term }: Pick<Origin, 'lane' | 'term'>, seq: number): Verdict {
    const markers = this.#markers.get(lane);
    if (!markers) return 'beyond retention';
    for (let i = markers.length - 1; i >= 0; i--) {
      const marker = markers[i] as Marker;
      if (marker.seq < seq) return marker.term === term ? 'valid' : 'void';
    }
    return 'beyond retention';
  }
}
