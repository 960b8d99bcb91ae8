/**
 * One INBOX stream and the devices whose users live in it.
 *
 * A device is live (it is written to as the tail brings entries) or catching up (from the ring, or below it from the stream,
 * or from the log). It goes live in the very turn in which nothing is left to catch up with, so there is no gap; a socket
 * that takes too little leaves the live tail and catches up when it has drained, so nobody waits for it.
 */
import type { ClientConnection } from '../../ports/client-connection.ts';
import type { InboxMessage, InboxReader, Tail } from '../../ports/inbox-reader.ts';
import type { Codec } from '../../protocol/codec.ts';
import type { Resume, ResyncReason, ServerFrame } from '../../protocol/frames.ts';
import { ColdReader } from './cold-reader.ts';
import { InboxDecoder } from './inbox-decoder.ts';
import { joinRuns, sameRuns } from './joined-runs.ts';
import type { Attachment, ConnectedDevice, DeliveryParts } from './parts.ts';
import type { Replay } from './replay.ts';
import { Ring } from './ring.ts';
import type { Run } from './run.ts';

/** Written to a device that catches up before others get their turn. */
const CATCH_UP_CHUNK_BYTES = 256 * 1_024;
/** How much of the stream's end the ring is warmed with at start. */
const WARM_MESSAGES = 200_000;
/** How often the stream's bounds are looked at, the writers told of the tail, and quiet devices of their cursor. */
const REPORT_EVERY_MS = 250;
const LOOK_EVERY_REPORTS = 8;
const QUIET_CURSOR_MS = 15_000;
const RESTART_PAUSE_MS = 250;

/** A device's place in its inbox. */
class Device implements Attachment {
  readonly connection: ClientConnection;
  readonly token: string;
  readonly whose: ConnectedDevice;
  /** All of the user's entries up to it have been written. */
  at = 0;
  cursorAt = 0;
  live = false;
  catchingUp = false;
  detached = false;
  /** What the tick brought for it. */
  readonly tick: Run[] = [];
  readonly #owner: StreamDelivery;

  constructor(whose: ConnectedDevice, token: string, owner: StreamDelivery) {
    this.whose = whose;
    this.connection = whose.connection;
    this.token = token;
    this.#owner = owner;
  }

  confirm(seq: number): void {
    this.#owner.confirm(this, seq);
  }

  detach(): void {
    this.#owner.detach(this);
  }
}

export class StreamDelivery {
  readonly #reader: InboxReader;
  readonly #replay: Replay;
  readonly #parts: DeliveryParts;
  readonly #live = new Map<string, Device[]>();
  readonly #devices = new Set<Device>();
  #decoder: InboxDecoder;
  #ring: Ring;
  #cold: ColdReader;
  #tail: Tail | undefined;
  #epoch = '';
  #firstSeq = 1;
  #tailSeq = 0;
  #reported = 0;
  #reports = 0;
  #ready = false;
  #stopped = false;
  #reporter: ReturnType<typeof setInterval> | undefined;

  constructor(reader: InboxReader, replay: Replay, parts: DeliveryParts) {
    this.#reader = reader;
    this.#replay = replay;
    this.#parts = parts;
    this.#decoder = new InboxDecoder(parts.frameOnWire);
    this.#ring = this.#newRing(1);
    this.#cold = new ColdReader(reader, this.#decoder, parts);
  }

  get ready(): boolean {
    return this.#ready;
  }

  get ringBytes(): number {
    return this.#ring.bytes;
  }

  async start(): Promise<void> {
    const { epoch, firstSeq, lastSeq } = await this.#reader.info();
    const from = Math.max(firstSeq, lastSeq - WARM_MESSAGES + 1);
    this.#epoch = epoch;
    this.#firstSeq = firstSeq;
    this.#decoder = new InboxDecoder(this.#parts.frameOnWire);
    this.#cold = new ColdReader(this.#reader, this.#decoder, this.#parts);
    for (const { kind, key, seq, data } of await this.#reader.markers()) this.#decoder.decode({ kind, key, seq, data });
    this.#ring = this.#newRing(from);
    this.#tailSeq = from - 1;
    const warm = new Promise<void>((resolve) => {
      if (this.#tailSeq >= lastSeq) resolve();
      else this.#onWarm = () => this.#tailSeq >= lastSeq && resolve();
    });
    this.#tail = await this.#reader.tail(
      from,
      (messages) => this.#received(messages),
      (reason) => void this.#restart(reason),
    );
    await warm;
    this.#onWarm = undefined;
    this.#ready = true;
    this.#reporter ??= setInterval(() => void this.#report(), REPORT_EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#ready = false;
    clearInterval(this.#reporter);
    await this.#tail?.stop();
  }

  attach(whose: ConnectedDevice, token: string, resume: Resume): Attachment {
    const device = new Device(whose, token, this);
    this.#devices.add(device);
    device.connection.onDrain(() => this.#catchUp(device));
    if (resume === 'latest') {
      device.at = this.#tailSeq;
      this.#catchUp(device);
    } else if (resume === 'everything') {
      // Nothing dropped yet: the stream itself is everything.
      if (this.#firstSeq <= 1) this.#catchUp(device);
      else void this.#resync(device, 'CURSOR_TOO_OLD');
    } else if (resume.epoch !== this.#epoch) {
      void this.#resync(device, 'EPOCH_CHANGED');
    } else if (resume.seq + 1 < this.#firstSeq) {
      void this.#resync(device, 'CURSOR_TOO_OLD');
    } else {
      device.at = resume.seq;
      if (resume.seq > this.#tailSeq) void this.#checkAhead(device);
      else this.#catchUp(device);
    }
    return device;
  }

  detach(device: Device): void {
    device.detached = true;
    this.#devices.delete(device);
    this.#leaveLive(device);
  }

  confirm({ whose: { user, device }, at }: Device, seq: number): void {
    if (seq <= at) this.#parts.cursors.confirm(user, device, { epoch: this.#epoch, seq });
  }

  #onWarm: (() => void) | undefined;

  /** Hot path: a tick. Devices get all that it brought for them in one write, and the tail's position behind it. */
  #received(messages: readonly InboxMessage[]): void {
    const touched: Device[] = [];
    for (const message of messages) {
      this.#tailSeq = message.seq;
      const decoded = this.#decoder.decode(message);
      if (!decoded) continue;
      if (!('run' in decoded)) {
        // Only while warming: its pack lies before what was read. The ring begins behind it.
        this.#ring.clear(message.seq + 1);
        continue;
      }
      this.#ring.append(message.seq, message.key, decoded.run);
      const devices = this.#live.get(message.key);
      if (!devices) continue;
      for (const device of devices) {
        if (message.seq > device.at && device.tick.push(decoded.run) === 1) touched.push(device);
      }
    }
    if (touched.length > 0) this.#writeTick(touched);
    this.#onWarm?.();
  }

  #writeTick(touched: readonly Device[]): void {
    const cursors = new Map<Codec, Uint8Array>();
    const joined = new Map<Codec, { readonly runs: Run[]; readonly wire: Uint8Array }>();
    const now = Date.now();
    for (const device of touched) {
      const { connection } = device;
      const { codec } = connection;
      let cursor = cursors.get(codec);
      if (!cursor) cursors.set(codec, (cursor = this.#frame(codec, this.#cursorFrame(this.#tailSeq))));
      // Members of one group got the same runs, one after the other: what was joined for the last device serves the next.
      let same = joined.get(codec);
      if (!same || !sameRuns(same.runs, device.tick)) {
        same = { runs: [...device.tick], wire: joinRuns(device.tick, codec, cursor) };
        joined.set(codec, same);
      }
      device.tick.length = 0;
      device.at = this.#tailSeq;
      device.cursorAt = now;
      connection.write(same.wire);
      connection.flush();
      if (connection.bufferedBytes > this.#parts.limits.maxBufferedBytes) this.#leaveLive(device);
    }
  }

  /** Brings a device to the tail, in portions; then it is live. Called again when its socket has drained. */
  #catchUp(device: Device): void {
    if (device.detached || device.live || device.catchingUp || !this.#tail) return;
    if (device.connection.bufferedBytes > this.#parts.limits.maxBufferedBytes) return;
    if (!this.#ring.covers(device.at)) {
      void this.#catchUpCold(device);
      return;
    }
    const entries = this.#ring.after(device.token, device.at, CATCH_UP_CHUNK_BYTES);
    const last = entries.at(-1);
    if (last) {
      const { codec } = device.connection;
      device.at = last.seq;
      const runs = entries.map(({ run }) => run);
      device.connection.write(joinRuns(runs, codec, this.#frame(codec, this.#cursorFrame(last.seq))));
      // Others get their turn between two portions.
      device.catchingUp = true;
      setImmediate(() => {
        device.catchingUp = false;
        this.#catchUp(device);
      });
      return;
    }
    this.#goLive(device);
  }

  /** Below the ring: the user's records one by one from the stream. */
  async #catchUpCold(device: Device): Promise<void> {
    device.catchingUp = true;
    try {
      const outcome = await this.#cold.read(device, {
        isWanted: () => !device.detached && !this.#stopped,
        until: () => this.#ring.coveredFrom,
        write: (run, seq) => {
          const { connection } = device;
          connection.write(run.wire(connection.codec));
          device.at = seq;
        },
        advance: (seq) => (device.at = seq),
        cursor: () => this.#writeCursor(device),
      });
      device.catchingUp = false;
      if (outcome === 'reached') this.#catchUp(device);
      else if (outcome !== 'gone') await this.#resync(device, outcome);
    } catch (error) {
      this.#failed(device, error);
    }
  }

  /** The past from the log, then on from where the inbox was when that began: what overlaps the device drops. */
  async #resync(device: Device, reason: ResyncReason): Promise<void> {
    device.catchingUp = true;
    const { connection } = device;
    try {
      this.#write(device, { t: 'resync', reason });
      const { lastSeq } = await this.#reader.info();
      const outcome = await this.#replay.run(
        device.whose.user,
        connection,
        this.#parts,
        () => device.detached || this.#stopped,
      );
      device.catchingUp = false;
      if (outcome !== 'done') return;
      device.at = lastSeq;
      this.#writeCursor(device);
      this.#catchUp(device);
    } catch (error) {
      this.#failed(device, error);
    }
  }

  /** A cursor ahead of our tail: another gateway was faster, or it is not a cursor of this stream. */
  async #checkAhead(device: Device): Promise<void> {
    device.catchingUp = true;
    try {
      const { lastSeq } = await this.#reader.info();
      device.catchingUp = false;
      if (device.at > lastSeq) await this.#resync(device, 'CURSOR_UNKNOWN');
      else this.#goLive(device);
    } catch (error) {
      this.#failed(device, error);
    }
  }

  #goLive(device: Device): void {
    if (device.detached || device.live) return;
    device.live = true;
    const devices = this.#live.get(device.token);
    if (devices) devices.push(device);
    else this.#live.set(device.token, [device]);
    device.at = Math.max(device.at, this.#tailSeq);
    this.#writeCursor(device);
  }

  #leaveLive(device: Device): void {
    if (!device.live) return;
    device.live = false;
    device.tick.length = 0;
    const devices = this.#live.get(device.token);
    devices?.splice(devices.indexOf(device), 1);
    if (devices?.length === 0) this.#live.delete(device.token);
  }

  #failed(device: Device, error: unknown): void {
    device.catchingUp = false;
    this.#parts.log.warn({ what: 'catch-up failed', reason: String(error) });
    // The device keeps its cursor and comes back with it.
    if (!device.detached) device.connection.close(4002, 'catch-up failed');
  }

  /** The tail is lost for good: everything anew. Devices that were live ask again with what they have. */
  async #restart(reason: string): Promise<void> {
    this.#parts.log.error({ what: 'inbox tail lost', stream: this.#reader.stream, reason });
    this.#ready = false;
    const devices = [...this.#devices];
    for (const device of devices) this.#leaveLive(device);
    this.#tail = undefined;
    const before = this.#epoch;
    while (!this.#stopped) {
      try {
        await this.start();
        break;
      } catch (error) {
        this.#parts.log.warn({ what: 'inbox tail not started', stream: this.#reader.stream, reason: String(error) });
        await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
      }
    }
    for (const device of devices) {
      if (device.detached || device.live || device.catchingUp) continue;
      if (this.#epoch !== before) void this.#resync(device, 'EPOCH_CHANGED');
      else if (device.at + 1 < this.#firstSeq) void this.#resync(device, 'CURSOR_TOO_OLD');
      else this.#catchUp(device);
    }
  }

  async #report(): Promise<void> {
    this.#reports += 1;
    const look = this.#reports % LOOK_EVERY_REPORTS === 0;
    if (this.#tailSeq !== this.#reported || look) {
      this.#reported = this.#tailSeq;
      this.#reader.reportTailed(this.#parts.gateway, this.#tailSeq);
    }
    if (!look) return;
    try {
      const { firstSeq } = await this.#reader.info();
      this.#firstSeq = firstSeq;
      this.#decoder.terms.dropBelow(firstSeq);
    } catch {
      // The tail has the same trouble and deals with it.
    }
    const now = Date.now();
    for (const device of this.#devices) {
      const isQuiet = device.live && device.at < this.#tailSeq && now - device.cursorAt > QUIET_CURSOR_MS;
      if (!isQuiet) continue;
      device.at = this.#tailSeq;
      this.#writeCursor(device);
    }
  }

  #writeCursor(device: Device): void {
    device.cursorAt = Date.now();
    this.#write(device, this.#cursorFrame(device.at));
  }

  #write({ connection }: Device, frame: ServerFrame): void {
    connection.write(this.#frame(connection.codec, frame));
  }

  #cursorFrame(seq: number): ServerFrame {
    return { t: 'cursor', epoch: this.#epoch, seq };
  }

  #frame(codec: Codec, frame: ServerFrame): Uint8Array {
    return this.#parts.frameOnWire(codec, codec.encode(frame));
  }

  #newRing(coveredFrom: number): Ring {
    const { ringMaxBytes, ringMaxEntries } = this.#parts.limits;
    return new Ring({ maxBytes: ringMaxBytes, maxEntries: ringMaxEntries }, coveredFrom);
  }
}
