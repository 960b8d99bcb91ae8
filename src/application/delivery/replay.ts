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

/** Devices in line; one more is turned away with OVERLOADED. */
const MAX_WAITING = 1_000;
/** Events folded before the next are read. */
const PORTION_EVENTS = 512;
/** A socket that takes nothing for so long loses its turn: the others in line must not wait for it. */
const STALLED_AFTER_MS = 10_000;
const DRAIN_POLL_MS = 20;

export class Replay {
  readonly #parts: DeliveryParts;
  readonly #turns = new Turns(1, MAX_WAITING);

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
    const groups = new Set<ConversationId>();
    for await (const record of log.read(1, end)) {
      if (device.isGone) return 'gone';
      if (!isUnreadable(record) && names(record.event, device.user)) groups.add(record.conversation);
    }
    const state = new MemoryFanOutState();
    let portion: LogEvent[] = [];
    const fold = (): Promise<'done' | 'gone'> => {
      const { runs, changes } = foldReadable(state, portion);
      state.apply(changes);
      portion = [];
      for (const { conversation, entries, audience } of runs) {
        if (audience.includes(device.user)) device.write({ t: 'deliver', conversation, entries });
      }
      return drained(device);
    };
    for await (const record of log.read(1, end)) {
      if (device.isGone) return 'gone';
      if (isUnreadable(record)) continue;
      if (groups.has(record.conversation) || isOf(record.conversation, device.user)) portion.push(record);
      if (portion.length >= PORTION_EVENTS && (await fold()) === 'gone') return 'gone';
    }
    return fold();
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
