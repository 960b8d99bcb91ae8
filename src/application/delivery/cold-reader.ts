/**
 * A user's records below the ring, one by one from the stream: 0.4 ms each, bounded in number, and by so many devices at a
 * time that the server has time for others.
 */
import { unpack } from 'msgpackr';
import type { ConversationId } from '../../domain/ids.ts';
import { isUnreadable } from '../../ports/conversation-log.ts';
import type { InboxReader } from '../../ports/inbox-reader.ts';
import { timelineEntry } from '../../projections/entry.ts';
import { msgpackCodec } from '../../protocol/codec.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { DeliverFrame, Entry, ResyncReason } from '../../protocol/frames.ts';
import { pointerBodyOf } from '../../protocol/inbox-record.ts';
import { convStreamOf } from '../../protocol/subjects.ts';
import type { InboxDecoder } from './inbox-decoder.ts';
import type { DeliveryParts } from './parts.ts';
import { Run } from './run.ts';
import { Turns } from './turns.ts';

/** Devices that read at the same time; the others wait. */
const MAX_READERS = 16;
const MAX_WAITING = 10_000;
/** After so many records the device gets a cursor, and its socket is given time to drain. */
const RECORDS_PER_CURSOR = 64;
const DRAIN_POLL_MS = 20;

export interface ColdReading {
  isWanted(): boolean;
  /** The ring holds everything from this sequence on; it moves while we read. */
  until(): number;
  /** The next run of the user, and the sequence up to which all has been written with it. */
  write(run: Run, seq: number): void;
  /** Nothing more for the user up to `seq`. */
  advance(seq: number): void;
  cursor(): void;
}

interface ColdDevice {
  readonly token: string;
  readonly at: number;
  readonly connection: { readonly bufferedBytes: number };
}

export class ColdReader {
  readonly #reader: InboxReader;
  readonly #decoder: InboxDecoder;
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(MAX_READERS, MAX_WAITING);

  constructor(reader: InboxReader, decoder: InboxDecoder, parts: DeliveryParts) {
    this.#reader = reader;
    this.#decoder = decoder;
    this.#parts = parts;
  }

  /** Until the ring takes over, or why it cannot. @throws RookeryError OVERLOADED, LOG_UNAVAILABLE */
  read(device: ColdDevice, reading: ColdReading): Promise<'reached' | 'gone' | ResyncReason> {
    return this.#turns.take(() => this.#read(device, reading));
  }

  async #read(device: ColdDevice, reading: ColdReading): Promise<'reached' | 'gone' | ResyncReason> {
    let { at } = device;
    for (let count = 0; ; count++) {
      if (!reading.isWanted()) return 'gone';
      if (count >= this.#parts.limits.maxColdEntries) return 'TOO_FAR_BEHIND';
      if (count % RECORDS_PER_CURSOR === 0) {
        if (count > 0) reading.cursor();
        const { firstSeq } = await this.#reader.info();
        if (at + 1 < firstSeq) return 'CURSOR_TOO_OLD';
        await this.#drained(device, reading);
      }
      // Before the read: what leaves the ring meanwhile is not covered by its answer.
      const until = reading.until();
      const message = await this.#reader.nextFor(device.token, at + 1);
      if (!message || message.seq >= until) {
        reading.advance(Math.max(at, until - 1));
        return 'reached';
      }
      at = message.seq;
      const decoded = this.#decoder.decode(message);
      if (decoded) reading.write('run' in decoded ? decoded.run : await this.#fromLog(decoded.pointer), at);
    }
  }

  async #drained({ connection }: ColdDevice, reading: ColdReading): Promise<void> {
    while (connection.bufferedBytes > this.#parts.limits.maxBufferedBytes && reading.isWanted()) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  /** The pack is too far away to look for; the pointer says where its messages stand in the log. */
  async #fromLog(pointer: Uint8Array): Promise<Run> {
    const [conversation, first, steps] = unpack(pointerBodyOf(pointer)) as [ConversationId, number, number[]];
    const log = this.#parts.logs[convStreamOf(conversation, this.#parts.topology)];
    let pos = 0;
    const positions = steps.map((step) => (pos += step));
    const entries = await Promise.all(
      positions.map(async (position, i): Promise<Entry> => {
        const record = await log?.at(position);
        if (!record || isUnreadable(record)) throw new RookeryError('LOG_UNAVAILABLE', `no event at ${position}`);
        return timelineEntry(record, first + i);
      }),
    );
    const frame: DeliverFrame = { t: 'deliver', conversation, entries };
    return new Run(msgpackCodec.encode(frame), this.#parts.frameOnWire);
  }
}
