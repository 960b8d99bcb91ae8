/**
 * A user's records below the ring, one by one from the stream: 0.4 ms each, bounded in number, and for so many devices at a
 * time that the server has time for others.
 */
import { unpack } from 'msgpackr';
import type { ConversationId } from '../../domain/ids.ts';
import { isUnreadable } from '../../ports/conversation-log.ts';
import type { InboxReader } from '../../ports/inbox-reader.ts';
import { plainEntry, timelineEntry } from '../../projections/entry.ts';
import { msgpackCodec } from '../../protocol/codec.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { DeliverFrame, Entry, ResyncReason } from '../../protocol/frames.ts';
import { pointerBodyOf } from '../../protocol/inbox-record.ts';
import { convStreamOf } from '../../protocol/subjects.ts';
import type { Device } from './device.ts';
import type { LiveInbox } from './live-inbox.ts';
import type { DeliveryParts } from './parts.ts';
import { Run } from './run.ts';
import { Turns } from './turns.ts';

/** Devices that read at the same time. */
const MAX_READERS = 32;
/** Devices that wait for that; one more is turned away with OVERLOADED and comes back with its cursor. */
const MAX_WAITING = 10_000;
/** After so many records it is made sure that nothing was dropped meanwhile, and the device gets a cursor. */
const PORTION_RECORDS = 64;
/** Events of one pointer asked of the log at the same time. */
const MAX_LOG_READS = 32;

/** `reached`: the ring has the rest. `full`: the socket must drain first. */
export type ColdOutcome = 'reached' | 'full' | 'gone' | ResyncReason;

export class ColdReader {
  readonly #reader: InboxReader;
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(MAX_READERS, MAX_WAITING);

  constructor(reader: InboxReader, parts: DeliveryParts) {
    this.#reader = reader;
    this.#parts = parts;
  }

  /**
   * Writes what the user has between the device's place and the ring. A device whose socket is full gives up its turn, so
   * that slow ones never keep the others waiting.
   * @throws RookeryError OVERLOADED, LOG_UNAVAILABLE
   */
  read(device: Device, inbox: LiveInbox): Promise<ColdOutcome> {
    return this.#turns.take(async () => {
      for (;;) {
        if (device.isGone) return 'gone';
        if (device.isFull) return 'full';
        if (device.shouldAsk || device.coldEntries >= this.#parts.limits.maxColdEntries) return 'TOO_FAR_BEHIND';
        const before = device.at;
        const found = await this.#readPortion(device, inbox);
        if (found === 'beyond retention') return 'CURSOR_TOO_OLD';
        // Only now is it known that nothing was dropped before it was read. Without the cursor the device takes it all anew.
        const { epoch, firstSeq } = await this.#reader.info();
        if (epoch !== device.stream) return 'EPOCH_CHANGED';
        if (firstSeq > before + 1) return 'CURSOR_TOO_OLD';
        inbox.writeCursor(device);
        if (found === 'all') return 'reached';
      }
    });
  }

  async #readPortion(device: Device, inbox: LiveInbox): Promise<'all' | 'more' | 'beyond retention'> {
    for (let count = 0; count < PORTION_RECORDS && !device.isGone && !device.isFull; count++) {
      // Before the read: what leaves the ring meanwhile is not covered by its answer.
      const until = inbox.ring.coveredFrom;
      const message = await this.#reader.nextFor(device.token, device.at + 1);
      if (!message || message.seq >= until) {
        device.moveTo(device.stream, Math.max(device.at, until - 1));
        return 'all';
      }
      const decoded = inbox.decoder.decode(message);
      if (decoded && !(decoded instanceof Run) && decoded.why === 'beyond retention') return decoded.why;
      const run = decoded && !(decoded instanceof Run) ? await this.#packOf(decoded.pointer, inbox) : decoded;
      const { connection } = device;
      if (run) connection.write(run.wire(connection.codec));
      device.moveTo(device.stream, message.seq);
      device.coldEntries += 1;
      device.caughtUpRecords += 1;
    }
    return 'more';
  }

  /** The pack is too far away to look for; the pointer says where its messages stand in the log. */
  async #packOf(pointer: Uint8Array, inbox: LiveInbox): Promise<Run> {
    const [conversation, first, steps] = unpack(pointerBodyOf(pointer)) as [ConversationId, number, number[]];
    const log = this.#parts.logs[convStreamOf(conversation, this.#parts.topology)];
    const read = async (pos: number, n: number): Promise<Entry> => {
      const record = await log?.at(pos);
      if (!record || isUnreadable(record)) throw new RookeryError('LOG_UNAVAILABLE', `no event at ${pos}`);
      return first === 0 ? plainEntry(record) : timelineEntry(record, n);
    };
    let last = 0;
    const positions = steps.map((step) => (last += step));
    const entries: Entry[] = [];
    for (let i = 0; i < positions.length; i += MAX_LOG_READS) {
      const portion = positions.slice(i, i + MAX_LOG_READS);
      entries.push(...(await Promise.all(portion.map((pos, j) => read(pos, first + i + j)))));
    }
    const frame: DeliverFrame = { t: 'deliver', conversation, entries };
    const run = new Run(msgpackCodec.encode(frame), this.#parts.frameOnWire);
    // The other members of the group come with pointers to the same pack.
    inbox.decoder.keepPack(pointer, run);
    return run;
  }
}
