/**
 * One INBOX stream from the beginning of a tail to its loss: the ring, and the devices that are live. What a tick of the
 * tail brought leaves in one write a device, the same bytes for all members of a group.
 */
import type { InboxMessage } from '../../ports/inbox-reader.ts';
import type { Codec } from '../../protocol/codec.ts';
import type { ServerFrame } from '../../protocol/frames.ts';
import type { Device } from './device.ts';
import { epochOf } from './epoch.ts';
import { Horizon } from './horizon.ts';
import { InboxDecoder } from './inbox-decoder.ts';
import { joinRuns, sameRuns } from './joined-runs.ts';
import type { DeliveryParts } from './parts.ts';
import { Ring } from './ring.ts';
import { Run } from './run.ts';

export class LiveInbox {
  /** Identity of the stream. */
  readonly stream: string;
  readonly ring: Ring;
  readonly decoder: InboxDecoder;
  readonly horizon = new Horizon();
  readonly #parts: DeliveryParts;
  readonly #onLeft: (device: Device) => void;
  readonly #live = new Map<string, Device[]>();
  #seq: number;

  /**
   * @param number of the INBOX stream, and its identity
   * @param from the first sequence that the tail will bring
   * @param onLeft a device has left the live tail by itself: it is to catch up from where it stands
   */
  constructor(number: number, stream: string, from: number, parts: DeliveryParts, onLeft: (device: Device) => void) {
    const { ringMaxEntries, ringMaxBytes } = parts.limits;
    this.stream = stream;
    this.ring = new Ring({ maxEntries: ringMaxEntries, maxBytes: ringMaxBytes }, from);
    this.decoder = new InboxDecoder(parts.frameOnWire, parts.log, ({ lane, to }, seq) => {
      this.horizon.checkpoint(lane, to, seq);
      parts.onConfirmed(number, lane, to);
    });
    this.#parts = parts;
    this.#onLeft = onLeft;
    this.#seq = from - 1;
  }

  /** How far the tail has come. */
  get seq(): number {
    return this.#seq;
  }

  /** Hot path: a tick. */
  receive(messages: readonly InboxMessage[]): void {
    let touched: Device[] = [];
    for (const message of messages) {
      const decoded = this.decoder.decode(message);
      if (decoded instanceof Run) {
        this.#collect(message, decoded, touched);
      } else if (decoded) {
        // What came before it is written first: the devices concerned go on from right before it.
        this.#writeTick(touched);
        touched = [];
        this.#setAside(message);
      }
      this.#seq = message.seq;
    }
    this.#writeTick(touched);
  }

  /** Only for a device that lacks nothing up to `seq`, in the turn in which that was seen. */
  goLive(device: Device): void {
    device.state = 'live';
    device.hasCaughtUp();
    device.resyncs = 0;
    const devices = this.#live.get(device.token);
    if (devices) devices.push(device);
    else this.#live.set(device.token, [device]);
  }

  /** Keeps the place it has reached: all that the tail has brought was written to it. */
  leave(device: Device): void {
    if (device.state !== 'live') return;
    device.state = 'waiting';
    device.moveTo(this.stream, Math.max(device.at, this.#seq));
    const devices = this.#live.get(device.token) as Device[];
    devices.splice(devices.indexOf(device), 1);
    if (devices.length === 0) this.#live.delete(device.token);
  }

  /** For a device that nothing came for: its cursor must not fall behind the retention. */
  refreshCursor(device: Device): void {
    if (device.state !== 'live' || device.at >= this.#seq) return;
    device.at = this.#seq;
    this.writeCursor(device);
  }

  /** Epoch of a cursor at `seq`: the stream, and its past as it is now. */
  epochAt(seq: number): string {
    return epochOf(this.stream, this.decoder.lineage.at(seq));
  }

  writeCursor(device: Device): void {
    device.cursorAt = Date.now();
    device.connection.write(this.cursorWireFor(device));
  }

  /** The cursor frame for a device that has caught up to `device.at`. */
  cursorWireFor(device: Device): Uint8Array {
    const epoch = this.epochAt(device.at);
    return this.#cursorWire(device.connection.codec, epoch, device.seqToTell(epoch), device.at);
  }

  /** @param at the place it means: `seq`, unless the stream has lost its end */
  #cursorWire(codec: Codec, epoch: string, seq: number, at = seq): Uint8Array {
    const asOf = this.horizon.at(at);
    const cursor: ServerFrame = { t: 'cursor', epoch, seq, ...(asOf !== undefined && { asOf }) };
    return this.#parts.frameOnWire(codec, codec.encode(cursor));
  }

  #collect({ seq, key }: InboxMessage, run: Run, touched: Device[]): void {
    this.ring.append(seq, key, run);
    const devices = this.#live.get(key);
    if (!devices) return;
    for (const device of devices) {
      if (seq > device.at && device.tick.push(run) === 1) touched.push(device);
    }
  }

  /**
   * A record that cannot be made a run of here: a pointer whose pack went by too long ago (a worker that takes over in the
   * middle of a window), or, while the ring is warmed, one whose pack or marker lies before what was read. The ring begins
   * anew behind it, and who should get it reads it from the stream.
   */
  #setAside({ seq, key }: InboxMessage): void {
    this.ring.clear(seq + 1);
    for (const device of [...(this.#live.get(key) ?? [])]) {
      if (device.at >= seq) continue;
      this.leave(device);
      this.#onLeft(device);
    }
  }

  #writeTick(touched: readonly Device[]): void {
    if (touched.length === 0) return;
    const cursors = new Map<Codec, Uint8Array>();
    const joined = new Map<Codec, { readonly runs: Run[]; readonly wire: Uint8Array }>();
    const now = Date.now();
    for (const device of touched) {
      const { connection } = device;
      const { codec } = connection;
      let cursor = cursors.get(codec);
      if (!cursor) cursors.set(codec, (cursor = this.#cursorWire(codec, this.epochAt(this.#seq), this.#seq)));
      // Members of one group got the same runs, one after the other: what was joined for the last device serves the next.
      let same = joined.get(codec);
      if (!same || !sameRuns(same.runs, device.tick)) {
        same = { runs: [...device.tick], wire: joinRuns(device.tick, codec, cursor) };
        joined.set(codec, same);
      }
      device.tick.length = 0;
      device.at = this.#seq;
      device.cursorAt = now;
      connection.write(same.wire);
      connection.flush();
      if (device.isFull) {
        this.leave(device);
        this.#onLeft(device);
      }
    }
  }
}
