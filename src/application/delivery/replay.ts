/**
 * A user's whole past, folded anew from the log: what a device gets whose cursor means nothing any more. Known gap until the
 * read models exist: it reads the whole log, so it is bounded in events, and one device at a time.
 */
import type { UserId } from '../../domain/ids.ts';
import type { ClientConnection, FrameOnWire } from '../../ports/client-connection.ts';
import { isUnreadable, type LogEvent, type LogReader } from '../../ports/conversation-log.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { MemoryFanOutState } from '../../projections/memory-fan-out-state.ts';
import { closeCodes } from '../../protocol/close-codes.ts';
import type { DeliverFrame } from '../../protocol/frames.ts';
import { Turns } from './turns.ts';

const MAX_WAITING = 1_000;
/** Events folded before the next are read. */
const PORTION_EVENTS = 512;
const DRAIN_POLL_MS = 20;

interface Writing {
  readonly frameOnWire: FrameOnWire;
  readonly limits: { readonly maxBufferedBytes: number };
}

export class Replay {
  readonly #logs: readonly LogReader[];
  readonly #maxEvents: number;
  readonly #turns = new Turns(1, MAX_WAITING);

  constructor(logs: readonly LogReader[], maxEvents: number) {
    this.#logs = logs;
    this.#maxEvents = maxEvents;
  }

  /** @throws RookeryError OVERLOADED, LOG_UNAVAILABLE */
  run(user: UserId, connection: ClientConnection, writing: Writing, isGone: () => boolean): Promise<'done' | 'gone'> {
    return this.#turns.take(() => this.#run(user, connection, writing, isGone));
  }

  async #run(
    user: UserId,
    connection: ClientConnection,
    writing: Writing,
    isGone: () => boolean,
  ): Promise<'done' | 'gone'> {
    const ends = await Promise.all(this.#logs.map((log) => log.lastPos()));
    if (ends.reduce((sum, end) => sum + end, 0) > this.#maxEvents) {
      connection.close(closeCodes.TOO_FAR_BEHIND, 'the log is too long to be replayed for one device');
      return 'gone';
    }
    for (const [k, log] of this.#logs.entries()) {
      const state = new MemoryFanOutState();
      let portion: LogEvent[] = [];
      const flush = async (): Promise<void> => {
        const { runs, changes } = foldReadable(state, portion);
        state.apply(changes);
        portion = [];
        for (const { conversation, entries, audience } of runs) {
          if (!audience.includes(user)) continue;
          const frame: DeliverFrame = { t: 'deliver', conversation, entries };
          connection.write(writing.frameOnWire(connection.codec, connection.codec.encode(frame)));
        }
        while (connection.bufferedBytes > writing.limits.maxBufferedBytes && !isGone()) {
          await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
        }
      };
      for await (const record of log.read(1, ends[k] ?? 0)) {
        if (isGone()) return 'gone';
        if (!isUnreadable(record)) portion.push(record);
        if (portion.length >= PORTION_EVENTS) await flush();
      }
      await flush();
    }
    return 'done';
  }
}
