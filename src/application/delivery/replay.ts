/**
 * A user's whole past, folded anew from the log: what a device gets whose cursor means nothing any more.
 *
 * The log is read twice: once to learn which conversations concern the user, once to fold those, so that memory follows the
 * user's own conversations and not the log. Known gap until the read models exist: it is the whole log that is read, so it
 * is bounded in events, and done for one device at a time; and who comes again after a lost connection waits until it is folded up
 * to where they were.
 */
import type { ConversationEvent } from '../../domain/conversation.ts';
import { type ConversationId, directPair, type UserId } from '../../domain/ids.ts';
import { isUnreadable, type LogEvent, type LogReader } from '../../ports/conversation-log.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { MemoryFanOutState } from '../../projections/memory-fan-out-state.ts';
import { closeCodes } from '../../protocol/close-codes.ts';
import type { Device } from './device.ts';
import type { Replayed } from './epoch.ts';
import type { DeliveryParts } from './parts.ts';
import { Turns } from './turns.ts';

/** Replays at a time. One whose socket is full gives its turn up until that has drained: who does not read holds nobody up. */
const MAX_REPLAYS = 4;
/** Devices in line; one more is turned away with OVERLOADED. */
const MAX_WAITING = 1_000;
/** Events folded, and bytes of theirs, before they are written and the next are read. A device keeps whole portions. */
const PORTION_EVENTS = 256;
const PORTION_BYTES = 32 * 1_024;
/** A socket that takes nothing for so long is given up. */
const STALLED_AFTER_MS = 60_000;
const DRAIN_POLL_MS = 20;

export class Replay {
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(MAX_REPLAYS, MAX_WAITING);

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /**
   * On from where the device's replay was cut off: up to there it is folded and not written. `gone` also when it had to turn the
   * device away.
   * @param reached a portion has been written: the device is told from where it can go on
   * @throws RookeryError OVERLOADED, LOG_UNAVAILABLE
   */
  run(device: Device, reached: (place: Replayed) => void): Promise<'done' | 'gone'> {
    return this.#turns.take(async () => {
      if (device.isGone) return 'gone';
      const { logs, limits } = this.#parts;
      const ends = await Promise.all(logs.map((log) => log.lastPos()));
      if (ends.reduce((sum, end) => sum + end, 0) > limits.maxReplayEvents) {
        device.connection.close(closeCodes.TOO_FAR_BEHIND, 'the log is too long to be replayed for one device');
        return 'gone';
      }
      const from = startOf(device, ends);
      for (const [k, log] of logs.entries()) {
        if (k < from.log) continue;
        const part = { after: k === from.log ? from.pos : 0, end: ends[k] ?? 0 };
        const tell = (pos: number): void => reached({ log: k, pos });
        if ((await this.#replay(log, part, device, tell)) === 'gone') return 'gone';
      }
      return 'done';
    });
  }

  async #replay(log: LogReader, part: Part, device: Device, tell: (pos: number) => void): Promise<'done' | 'gone'> {
    const { end } = part;
    const own = new Set<ConversationId>();
    for await (const records of log.readParts(1, end)) {
      if (device.isGone) return 'gone';
      for (const record of records) {
        if (isUnreadable(record) || own.has(record.conversation)) continue;
        const { conversation, event } = record;
        if (names(event, device.user) || isOf(conversation, device.user)) own.add(conversation);
      }
    }
    const state = new MemoryFanOutState();
    for (let from = 1; from <= end; ) {
      const reached = await this.#fold(log, { ...part, from }, state, own, device, tell);
      if (device.isGone) return 'gone';
      from = reached + 1;
      if (device.isFull && (await this.#turns.without(() => drained(device))) === 'gone') return 'gone';
    }
    return 'done';
  }

  /** Folds on from `from` until the socket is full; gives the position of the last event it has written. */
  async #fold(
    log: LogReader,
    { from, after, end }: Part & { readonly from: number },
    state: MemoryFanOutState,
    own: ReadonlySet<ConversationId>,
    device: Device,
    tell: (pos: number) => void,
  ): Promise<number> {
    let portion: LogEvent[] = [];
    let bytes = 0;
    const write = (): void => {
      const { runs, changes } = foldReadable(state, portion);
      state.apply(changes);
      const last = portion.at(-1)?.pos ?? 0;
      portion = [];
      bytes = 0;
      // The device has it: a portion lies before the place where it was cut off, or behind.
      if (last <= after) return;
      for (const { conversation, entries, audience } of runs) {
        if (audience.includes(device.user)) device.write({ t: 'deliver', conversation, entries });
      }
      tell(last);
    };
    for await (const records of log.readParts(from, end)) {
      for (const record of records) {
        if (device.isGone) return record.pos;
        if (isUnreadable(record)) continue;
        if (record.pos > after && (portion.at(-1)?.pos ?? record.pos) <= after) write();
        if (own.has(record.conversation)) {
          portion.push(record);
          bytes += 'body' in record.event ? record.event.body.length : 0;
        }
        if (portion.length < PORTION_EVENTS && bytes < PORTION_BYTES) continue;
        write();
        if (device.isFull) return record.pos;
      }
    }
    write();
    return end;
  }
}

interface Part {
  /** The device has what lies up to there. */
  readonly after: number;
  readonly end: number;
}

/** From the beginning, where the place does not lie in the logs there are. */
function startOf({ replayed }: Device, ends: readonly number[]): Replayed {
  return replayed && replayed.pos <= (ends[replayed.log] ?? -1) ? replayed : { log: 0, pos: 0 };
}

/** Whether the event makes the user a member, or is the user's own: refused or not, its conversation concerns them. */
function names(event: ConversationEvent, user: UserId): boolean {
  if (event.by === user) return true;
  return (event.type === 'groupCreated' || event.type === 'membersAdded') && event.members.includes(user);
}

const isOf = (conversation: ConversationId, user: UserId): boolean => directPair(conversation)?.includes(user) ?? false;

async function drained(device: Device): Promise<'done' | 'gone'> {
  let least = device.connection.bufferedBytes;
  let movedAt = Date.now();
  while (device.isFull && !device.isGone) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    const { bufferedBytes } = device.connection;
    if (bufferedBytes < least) {
      least = bufferedBytes;
      movedAt = Date.now();
    } else if (Date.now() - movedAt > STALLED_AFTER_MS) {
      device.connection.close(closeCodes.OVERLOADED, 'the socket takes nothing');
      return 'gone';
    }
  }
  return device.isGone ? 'gone' : 'done';
}
