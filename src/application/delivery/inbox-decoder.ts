/**
 * Inbox records as runs, in the order of the stream: judges terms, finds the pack of a pointer, and recognises the copies
 * of one run, so that each is framed once however many get it.
 */
import { LRUCache } from 'lru-cache';
import type { FrameOnWire } from '../../ports/client-connection.ts';
import type { InboxMessage } from '../../ports/inbox-reader.ts';
import type { Log } from '../../ports/log.ts';
import { LaneTerms } from '../../projections/lane-terms.ts';
import { Lineage } from '../../projections/lineage.ts';
import { bodyOf, decodeOrigin, type Origin, packKey, packOffsetOf, RecordKind } from '../../protocol/inbox-record.ts';
import { Run } from './run.ts';
import { Slabs } from './slabs.ts';

/** Packs kept for the pointers behind them, in bytes: they come within the same window, or a restarted worker's next. */
const MAX_PACK_BYTES = 32 * 1_024 * 1_024;

/** A record for a user that cannot become a run here. */
export type Unresolved =
  | { readonly why: 'pack not at hand'; readonly pointer: Uint8Array }
  /** No marker of its lane before it is kept, so nobody can say whether it counts. */
  | { readonly why: 'beyond retention' };

const BEYOND_RETENTION: Unresolved = { why: 'beyond retention' };

export class InboxDecoder {
  readonly terms = new LaneTerms();
  readonly lineage = new Lineage();
  readonly #frameOnWire: FrameOnWire;
  readonly #log: Log;
  readonly #onCheckpoint: (origin: Origin, seq: number) => void;
  readonly #slabs = new Slabs();
  readonly #packs = new LRUCache<string, Run>({ maxSize: MAX_PACK_BYTES, sizeCalculation: (run) => run.bytes });
  #lastRun: Run | undefined;
  #lastPack: { readonly origin: Origin; readonly offset: number; readonly run: Run } | undefined;

  constructor(frameOnWire: FrameOnWire, log: Log, onCheckpoint: (origin: Origin, seq: number) => void) {
    this.#frameOnWire = frameOnWire;
    this.#log = log;
    this.#onCheckpoint = onCheckpoint;
  }

  /**
   * Hot path. What a message of the stream means for the user it names; undefined for what is for nobody (packs, markers,
   * checkpoints), for what is void, and for what no code of ours wrote: that is logged, and the others go on.
   */
  decode({ seq, kind, data }: InboxMessage): Run | Unresolved | undefined {
    try {
      const origin = decodeOrigin(data);
      if (kind === 'inbox') return this.#forUser(origin, seq, data);
      if (kind === 'cp') this.#onCheckpoint(origin, seq);
      else if (kind === 'term') {
        this.terms.observeMarker(origin, seq);
        this.lineage.observe(seq, origin.from);
      } else if (this.terms.judge(origin, seq) === 'valid') {
        this.#packs.set(packKey(origin, origin.offset), this.#run(bodyOf(data)));
      }
    } catch (error) {
      this.#log.error({ what: 'inbox record unreadable', kind, seq, reason: String(error) });
    }
    return undefined;
  }

  /** Below `firstSeq` the stream keeps nothing. */
  dropBelow(firstSeq: number): void {
    this.terms.dropBelow(firstSeq);
    this.lineage.dropBelow(firstSeq);
  }

  /** Makes the pack of a pointer be at hand for the pointers of others. */
  keepPack(pointer: Uint8Array, run: Run): void {
    this.#packs.set(packKey(decodeOrigin(pointer), packOffsetOf(pointer)), run);
  }

  #forUser(origin: Origin, seq: number, data: Uint8Array): Run | Unresolved | undefined {
    const verdict = this.terms.judge(origin, seq);
    if (verdict !== 'valid') return verdict === 'void' ? undefined : BEYOND_RETENTION;
    if (origin.kind === RecordKind.pointer) return this.#resolve(origin, data);
    const body = bodyOf(data);
    if (!this.#lastRun?.hasBody(body)) this.#lastRun = this.#run(body);
    return this.#lastRun;
  }

  #run(body: Uint8Array): Run {
    return new Run(body, this.#frameOnWire, this.#slabs.take);
  }

  #resolve(origin: Origin, data: Uint8Array): Run | Unresolved {
    const offset = packOffsetOf(data);
    const last = this.#lastPack;
    if (
      last &&
      last.offset === offset &&
      last.origin.from === origin.from &&
      last.origin.to === origin.to &&
      last.origin.lane === origin.lane
    ) {
      return last.run;
    }
    const run = this.#packs.get(packKey(origin, offset));
    if (!run) return { why: 'pack not at hand', pointer: new Uint8Array(data) };
    this.#lastPack = { origin, offset, run };
    return run;
  }
}
