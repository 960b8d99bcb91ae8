/** How far the replay of one user's past has come, log after log, and what was written of it last: a connection may be lost at any step. */
import type { ConversationEvent } from '../../domain/conversation.ts';
import { type ConversationId, directPair, type UserId } from '../../domain/ids.ts';
import { isUnreadable, type LogEvent, type LogReader, type LogRecord } from '../../ports/conversation-log.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { MemoryFanOutState } from '../../projections/memory-fan-out-state.ts';
import type { DeliverFrame } from '../../protocol/frames.ts';
import type { Device } from './device.ts';
import type { Replayed } from './epoch.ts';

/** Events folded, and what is long in them, before they are written and the next are read. A device keeps whole portions. */
const PORTION_EVENTS = 256;
const PORTION_SIZE = 32 * 1_024;
/** Portions kept that a device may not have got, though they were written: a little more than a socket may hold unsent. */
const MAX_WRITTEN = 40;

interface Portion {
  readonly place: Replayed;
  readonly frames: readonly DeliverFrame[];
}

export class ReplayWork {
  readonly #user: UserId;
  #log: number;
  /** The device had all up to there before: it is folded, and not written. */
  #after: number;
  #own = new Set<ConversationId>();
  #scannedTo = 0;
  #state = new MemoryFanOutState();
  #readTo = 0;
  /** Read, and not folded yet. */
  #portion: LogEvent[] = [];
  #portionSize = 0;
  #events = 0;
  /** The newest ones written, and the place that the first of them follows. */
  #written: Portion[] = [];
  #before: Replayed;

  constructor(user: UserId, from: Replayed) {
    this.#user = user;
    this.#log = from.log;
    this.#after = from.pos;
    this.#before = from;
  }

  /** Number of the CONV stream that is under way. */
  get log(): number {
    return this.#log;
  }

  /** Of the user's conversations, folded or about to be: what its size follows. */
  get events(): number {
    return this.#events;
  }

  isDone(end: number): boolean {
    return this.#readTo >= end && this.#portion.length === 0;
  }

  /**
   * From a place up to which all was written, where what followed is at hand. From the beginning only while that is in the first log: who
   * begins there takes the inbox from now on, and no log may have been read up to an older end. None in a log that has lost its own.
   */
  canGoOn(from: Replayed, ends: readonly number[]): boolean {
    const isBeginning = from.log === 0 && from.pos === 0;
    const hasLostEnd = this.#scannedTo > (ends[this.#log] ?? 0);
    return (!isBeginning || this.#log === 0) && !hasLostEnd && this.#at(from) !== -1;
  }

  /** What was written behind `from` to a connection that was lost. */
  writeAgain(from: Replayed, device: Device, reached: (place: Replayed) => void): void {
    const portions = this.#written.slice(this.#at(from));
    for (const portion of portions) write(portion, device, reached);
  }

  /** Learns which conversations concern the user. @returns false where the device has gone meanwhile */
  async scan(log: LogReader, end: number, device: Device): Promise<boolean> {
    const known = this.#own.size;
    for await (const records of log.readParts(this.#scannedTo + 1, end)) {
      for (const record of records) {
        this.#scannedTo = record.pos;
        if (isUnreadable(record) || this.#own.has(record.conversation)) continue;
        const { conversation, event } = record;
        if (names(event, this.#user) || isOf(conversation, this.#user)) this.#own.add(conversation);
      }
      if (device.isGone) return false;
    }
    this.#scannedTo = Math.max(this.#scannedTo, end);
    // Of one that is new in a log that has grown the beginning may have been passed over.
    if (this.#own.size > known && this.#readTo > 0) this.#foldAnew();
    return !device.isGone;
  }

  /** Folds on until the socket is full, or the device gone. */
  async fold(log: LogReader, end: number, device: Device, reached: (place: Replayed) => void): Promise<void> {
    for await (const records of log.readParts(this.#readTo + 1, end)) {
      for (const record of records) {
        this.#read(record, device, reached);
        if (device.isFull) return;
      }
      if (device.isGone) return;
    }
    this.#take(device, reached);
    this.#readTo = end;
  }

  /** The log is done. */
  next(): void {
    this.#log += 1;
    this.#after = 0;
    this.#own = new Set();
    this.#scannedTo = 0;
    this.#beginFold();
  }

  #read(record: LogRecord, device: Device, reached: (place: Replayed) => void): void {
    // A portion lies before the place where the device was, or behind it.
    if (record.pos > this.#after && this.#readTo <= this.#after) this.#take(device, reached);
    this.#readTo = record.pos;
    if (isUnreadable(record) || !this.#own.has(record.conversation)) return;
    this.#portion.push(record);
    this.#events += 1;
    this.#portionSize += sizeOf(record.event);
    const isWhole = this.#portion.length >= PORTION_EVENTS || this.#portionSize >= PORTION_SIZE;
    if (isWhole) this.#take(device, reached);
  }

  #take(device: Device, reached: (place: Replayed) => void): void {
    const pos = this.#portion.at(-1)?.pos;
    if (pos === undefined) return;
    const { runs, changes } = foldReadable(this.#state, this.#portion);
    this.#state.apply(changes);
    this.#portion = [];
    this.#portionSize = 0;
    if (pos <= this.#after) return;
    const frames = runs
      .filter(({ audience }) => audience.includes(this.#user))
      .map(({ conversation, entries }): DeliverFrame => ({ t: 'deliver', conversation, entries }));
    const written = { place: { log: this.#log, pos }, frames };
    this.#written.push(written);
    if (this.#written.length > MAX_WRITTEN) this.#before = (this.#written.shift() as Portion).place;
    write(written, device, reached);
  }

  /** How many of the portions at hand lie before `from`; -1: it is no place between them. */
  #at(from: Replayed): number {
    if (isSame(this.#before, from)) return 0;
    return this.#written.findIndex(({ place }) => isSame(place, from)) + 1 || -1;
  }

  #foldAnew(): void {
    const { place } = this.#written.at(-1) ?? {};
    if (place?.log === this.#log) this.#after = place.pos;
    this.#beginFold();
  }

  #beginFold(): void {
    this.#state = new MemoryFanOutState();
    this.#readTo = 0;
    this.#portion = [];
    this.#portionSize = 0;
    this.#events = 0;
  }
}

function write({ place, frames }: Portion, device: Device, reached: (place: Replayed) => void): void {
  for (const frame of frames) device.write(frame);
  reached(place);
}

/** Bytes and characters, wherever they stand: also a draft, or the members of a group, may be long. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let size = 0;
  for (const part of Object.values(value)) size += sizeOf(part);
  return size;
}

const isSame = (one: Replayed, other: Replayed): boolean => one.log === other.log && one.pos === other.pos;

/** Whether the event makes the user a member, or is the user's own: refused or not, its conversation concerns them. */
function names(event: ConversationEvent, user: UserId): boolean {
  if (event.by === user) return true;
  return (event.type === 'groupCreated' || event.type === 'membersAdded') && event.members.includes(user);
}

const isOf = (conversation: ConversationId, user: UserId): boolean => directPair(conversation)?.includes(user) ?? false;
