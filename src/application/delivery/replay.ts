/**
 * A user's whole past, folded anew from the log: what a device gets whose cursor means nothing any more.
 *
 * The log is read twice: once to learn which conversations concern the user, once to fold those, so that memory follows the
 * user's own conversations and not the log. Known gap until the read models exist: it is the whole log that is read, so it
 * is bounded in events, and done for one device at a time.
 */
import type { ConversationEvent } from '../../domain/conversation.ts';
import { type ConversationId, directPair, type UserId } from '../../domain/ids.ts';
import { isUnreadable, type LogEvent, type LogReader } from '../../ports/conversation-log.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { MemoryFanOutState } from '../../projections/memory-fan-out-state.ts';
import { closeCodes } from '../../protocol/close-codes.ts';
import type { Device } from './device.ts';
import type { DeliveryParts } from './parts.ts';
import { Turns } from './turns.ts';

/** Replays at a time. One whose socket is full gives its turn up until that has drained: who does not read holds nobody up. */
const MAX_REPLAYS = 4;
/** Devices in line; one more is turned away with OVERLOADED. */
const MAX_WAITING = 1_000;
/** Events folded, and bytes of theirs, before they are written and the next are read. */
const PORTION_EVENTS = 512;
const PORTION_BYTES = 256 * 1_024;
/** A socket that takes nothing for so long is given up; a portion passes within it at 5 KB/s. */
const STALLED_AFTER_MS = 60_000;
const DRAIN_POLL_MS = 20;

export class Replay {
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(MAX_REPLAYS, MAX_WAITING);

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /** `gone` also when it had to turn the device away. @throws RookeryError OVERLOADED, LOG_UNAVAILABLE */
  run(device: Device): Promise<'done' | 'gone'> {
    return this.#turns.take(async () => {
      if (device.isGone) return 'gone';
      const { logs, limits } = this.#parts;
      const ends = await Promise.all(logs.map((log) => log.lastPos()));
      if (ends.reduce((sum, end) => sum + end, 0) > limits.maxReplayEvents) {
        device.connection.close(closeCodes.TOO_FAR_BEHIND, 'the log is too long to be replayed for one device');
        return 'gone';
      }
      for (const [k, log] of logs.entries()) {
        if ((await this.#replay(log, ends[k] ?? 0, device)) === 'gone') return 'gone';
      }
      return 'done';
    });
  }

  async #replay(log: LogReader, end: number, device: Device): Promise<'done' | 'gone'> {
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
      const reached = await this.#fold(log, { from, end }, state, own, device);
      if (device.isGone) return 'gone';
      from = reached + 1;
      if (device.isFull && (await this.#turns.without(() => drained(device))) === 'gone') return 'gone';
    }
    return 'done';
  }

  /** Folds on from `from` until the socket is full; gives the position of the last event it has written. */
  async #fold(
    log: LogReader,
    { from, end }: { readonly from: number; readonly end: number },
    state: MemoryFanOutState,
    own: ReadonlySet<ConversationId>,
    device: Device,
  ): Promise<number> {
    let portion: LogEvent[] = [];
    let bytes = 0;
    const write = (): void => {
      const { runs, changes } = foldReadable(state, portion);
      state.apply(changes);
      portion = [];
      bytes = 0;
      for (const { conversation, entries, audience } of runs) {
        if (audience.includes(device.user)) device.write({ t: 'deliver', conversation, entries });
      }
    };
    for await (const records of log.readParts(from, end)) {
      for (const record of records) {
        if (device.isGone) return record.pos;
        if (isUnreadable(record)) continue;
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
