/**
 * A user's records below the ring, from the stream: looked up one by one, 0.4 ms each, or, where they stand close together, by reading
 * everything that lies there, which costs a hundredth of that for each record of whomever. Bounded in work, and for so many devices
 * at a time that the server has time for others.
 */
import { unpack } from 'msgpackr';
import type { ConversationId } from '../../domain/ids.ts';
import { isUnreadable } from '../../ports/conversation-log.ts';
import type { InboxMessage, InboxReader } from '../../ports/inbox-reader.ts';
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
/** What reading one record of whomever costs of looking one up. Where more than this share are the user's, all are read. */
const READ_COST = 1 / 100;
/** Read in a row before it is looked anew which way is the shorter one. */
const SCAN_RECORDS = 16_384;
/** Devices for which everything is read at the same time: each holds what the server sends ahead. */
const MAX_SCANS = 4;
/** Events of one pointer asked of the log at the same time. */
const MAX_LOG_READS = 32;

/** `reached`: the ring has the rest. `full`: the socket must drain first. */
export type ColdOutcome = 'reached' | 'full' | 'gone' | ResyncReason;

export class ColdReader {
  readonly #reader: InboxReader;
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(MAX_READERS, MAX_WAITING);
  /** Who waits for one holds a turn of the readers. */
  readonly #scans = new Turns(MAX_SCANS, MAX_READERS);

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
        const [before, had] = [device.at, device.caughtUpRecords];
        const scan = () => this.#scanPortion(device, inbox);
        const found = await (device.isDense ? this.#scans.take(scan) : this.#readPortion(device, inbox));
        if (found === 'beyond retention') return 'CURSOR_TOO_OLD';
        device.isDense = (device.at - before) * READ_COST < device.caughtUpRecords - had;
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
      if ((await this.#write(message, device, inbox)) === 'beyond retention') return 'beyond retention';
      device.coldEntries += 1;
    }
    return 'more';
  }

  /** As a portion, of everything that stands there: packs come before their pointers, and need not be looked for in the log. */
  async #scanPortion(device: Device, inbox: LiveInbox): Promise<'all' | 'more' | 'beyond retention'> {
    const until = inbox.ring.coveredFrom;
    const to = Math.min(until - 1, device.at + SCAN_RECORDS);
    for await (const messages of this.#reader.read(device.at + 1, to)) {
      for (const message of messages) {
        device.coldEntries += READ_COST;
        if (message.kind === 'pack') inbox.decoder.decode(message);
        if (message.kind !== 'inbox' || message.key !== device.token) continue;
        if ((await this.#write(message, device, inbox)) === 'beyond retention') return 'beyond retention';
        if (device.isGone || device.isFull || device.shouldAsk) return 'more';
      }
    }
    device.moveTo(device.stream, Math.max(device.at, to));
    return to >= until - 1 ? 'all' : 'more';
  }

  async #write(message: InboxMessage, device: Device, inbox: LiveInbox): Promise<'written' | 'beyond retention'> {
    const decoded = inbox.decoder.decode(message);
    if (decoded && !(decoded instanceof Run) && decoded.why === 'beyond retention') return decoded.why;
    const run = decoded && !(decoded instanceof Run) ? await this.#packOf(decoded.pointer, inbox) : decoded;
    const { connection } = device;
    if (run) connection.write(run.wire(connection.codec));
    device.moveTo(device.stream, message.seq);
    device.caughtUpRecords += 1;
    return 'written';
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
