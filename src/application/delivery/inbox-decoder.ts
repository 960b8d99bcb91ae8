/**
 * Inbox records as runs, in the order of the stream: judges terms, finds the pack of a pointer, and recognises the copies
 * of one run, so that each is framed once however many get it.
 */
import { LRUCache } from 'lru-cache';
import type { FrameOnWire } from '../../ports/client-connection.ts';
import type { InboxMessage } from '../../ports/inbox-reader.ts';
import { LaneTerms } from '../../projections/lane-terms.ts';
import { bodyOf, decodeOrigin, type Origin, packKey, packOffsetOf, RecordKind } from '../../protocol/inbox-record.ts';
import { Run } from './run.ts';

/** Packs kept for the pointers behind them, in bytes: they come within the same window, or a restarted worker's next. */
const MAX_PACK_BYTES = 32 * 1_024 * 1_024;

/** A record for a user: its run, or a pointer whose pack is not at hand. */
export type Decoded = { readonly run: Run } | { readonly pointer: Uint8Array };

export class InboxDecoder {
  readonly terms = new LaneTerms();
  readonly #frameOnWire: FrameOnWire;
  readonly #packs = new LRUCache<string, Run>({ maxSize: MAX_PACK_BYTES, sizeCalculation: (run) => run.bytes });
  #lastRun: Run | undefined;
  #lastPack: { readonly origin: Origin; readonly offset: number; readonly run: Run } | undefined;

  constructor(frameOnWire: FrameOnWire) {
    this.#frameOnWire = frameOnWire;
  }

  /**
   * Hot path. What a message of the stream means for the user it names; undefined for what is for nobody (packs, markers,
   * checkpoints) and for what is void.
   */
  decode({ seq, kind, data }: InboxMessage): Decoded | undefined {
    if (kind === 'cp') return undefined;
    const origin = decodeOrigin(data);
    if (kind === 'term') {
      this.terms.observeMarker(origin, seq);
      return undefined;
    }
    if (this.terms.judge(origin, seq) !== 'valid') return undefined;
    if (kind === 'pack') {
      this.#packs.set(packKey(origin, origin.offset), new Run(bodyOf(data), this.#frameOnWire));
      return undefined;
    }
    if (origin.kind === RecordKind.pointer) return this.#resolve(origin, data);
    const body = bodyOf(data);
    if (!this.#lastRun?.hasBody(body)) this.#lastRun = new Run(body, this.#frameOnWire);
    return { run: this.#lastRun };
  }

  #resolve(origin: Origin, data: Uint8Array): Decoded {
    const offset = packOffsetOf(data);
    const last = this.#lastPack;
    if (
      last &&
      last.offset === offset &&
      last.origin.from === origin.from &&
      last.origin.to === origin.to &&
      last.origin.lane === origin.lane
    ) {
      return last;
    }
    const run = this.#packs.get(packKey(origin, offset));
    if (!run) return { pointer: new Uint8Array(data) };
    this.#lastPack = { origin, offset, run };
    return this.#lastPack;
  }
}
