/**
 * Which past an INBOX stream has, told by its markers: each is written with a number of chance, so no two are alike.
 *
 * A server that lost power, or the last block of a file, starts with a stream whose newest part is gone, and the workers write
 * on from there: the same sequences now hold something else. Before anything else each writes a marker. So a device that says
 * which markers were the newest at its cursor can be told from where on what it has is not what the stream has.
 */
interface Marker {
  readonly seq: number;
  readonly id: string;
  /** The ids of this one and the one before it: should this one be lost as well, the other still tells. */
  readonly past: string;
}

/**
 * So many records at most can a stream have lost of its end: some seconds of more than it takes. A cursor that is further beyond it is
 * none of this stream, whatever its markers say.
 */
export const MAX_LOST_RECORDS = 1_000_000;
/** Of markers below the retention so many are kept: what `past` names. */
const KEPT_BELOW = 2;

export class Lineage {
  /** Of all lanes, in the order of the stream. There are few: one a start of a worker, and some a day. */
  readonly #markers: Marker[] = [];

  /** Markers must come in the order of the stream; one that is known already changes nothing. */
  observe(seq: number, nonce: number): void {
    const before = this.#markers.at(-1);
    if (before && seq <= before.seq) return;
    const id = `${seq.toString(36)}-${nonce.toString(36)}`;
    this.#markers.push({ seq, id, past: before ? `${id}.${before.id}` : id });
  }

  /** What a cursor at `seq` is to carry: the newest markers up to it, newest first; empty before the first. */
  at(seq: number): string {
    for (let i = this.#markers.length - 1; i >= 0; i--) {
      const marker = this.#markers[i] as Marker;
      if (marker.seq <= seq) return marker.past;
    }
    return '';
  }

  /**
   * Where a cursor at `seq` goes on that carries `past`: at `seq`, or before the first marker that was not there then.
   * Undefined where none of its markers is known: this stream has another past, or they are yet to be read; and where it lies further
   * beyond them than a stream can have been.
   */
  placeOf(past: string, seq: number): number | undefined {
    if (past === '') return seq;
    for (const id of past.split('.')) {
      const i = this.#markers.findLastIndex((marker) => marker.id === id);
      if (i === -1) continue;
      const next = this.#markers[i + 1];
      if (!next) return seq;
      return seq - next.seq > MAX_LOST_RECORDS ? undefined : Math.min(seq, next.seq - 1);
    }
    return undefined;
  }

  /** Forgets what no cursor that can still be served names. */
  dropBelow(firstSeq: number): void {
    const kept = this.#markers.findLastIndex(({ seq }) => seq < firstSeq) - KEPT_BELOW + 1;
    if (kept > 0) this.#markers.splice(0, kept);
  }
}
