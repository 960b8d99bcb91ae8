/**
 * One INBOX stream and the devices whose users live in it.
 *
 * A device is live (the tail writes to it) or on its way there: out of the ring, below it from the stream, or, where its
 * cursor means nothing any more, from the log. It goes live in the very turn in which nothing is left to catch up with, so
 * there is no gap; a socket that takes too little leaves the live tail and catches up when it has drained, so nobody waits
 * for it. However a device comes off its way (a full socket, a lost tail, a stream made anew), it keeps its place, and
 * `#goOn` finds the way from there.
 */
import type { InboxReader, InboxStreamInfo, Tail } from '../../ports/inbox-reader.ts';
import { type Lineage, MAX_LOST_RECORDS } from '../../projections/lineage.ts';
import { closeCodes } from '../../protocol/close-codes.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { OnGap, Resume, ResyncReason } from '../../protocol/frames.ts';
import { encodeReached } from '../../protocol/query-cursors.ts';
import { type ColdOutcome, ColdReader } from './cold-reader.ts';
import { AttachedDevice, Device, type DeviceKeeper } from './device.ts';
import { epochOf, MAX_EPOCH_CHARS, partsOf, type Replayed } from './epoch.ts';
import { joinRuns } from './joined-runs.ts';
import { LiveInbox } from './live-inbox.ts';
import type { LogEndReader } from './log-ends.ts';
import type { Attachment, ConnectedDevice, DeliveryParts } from './parts.ts';
import { findPlace, findUnknown } from './places.ts';
import type { Replay } from './replay.ts';

/** Written to a device that catches up before others get their turn. */
const CATCH_UP_CHUNK_BYTES = 256 * 1_024;
/** For how long devices that catch up are written to before the live tail gets its turn. */
const CATCH_UP_TURN_MS = 4;
/** How much of the stream's end the ring is warmed with at start, and how long that may hold up the start. */
const WARM_MESSAGES = 200_000;
const WARM_WITHIN_MS = 10_000;
/** Of a stream that drops its oldest: this share of it may go before the tail has begun. */
const WARM_MARGIN_SHARE = 1 / 8;
/** How often the writers are told of the tail while it moves; and of so many times, when it does not, and the stream looked at. */
const REPORT_EVERY_MS = 250;
const LOOK_EVERY_REPORTS = 8;
/** A device that nothing came for gets a cursor this often. */
const QUIET_CURSOR_MS = 15_000;
const RESTART_PAUSE_MS = 250;
/** A device whose replay takes longer than the inbox is kept would begin again and again: it is turned away. */
const MAX_RESYNCS = 3;

export class StreamDelivery implements DeviceKeeper {
  readonly #reader: InboxReader;
  readonly #replay: Replay;
  readonly #cold: ColdReader;
  readonly #ends: LogEndReader;
  readonly #parts: DeliveryParts;
  readonly #devices = new Set<Device>();
  /** Devices that wait for their next portion out of the ring, first come, first served. */
  readonly #queue = new Set<Device>();
  #turnPlanned = false;
  /** Whose tail was lost, and the past their place is of. What is there now they see when there is a tail again and nobody moves them. */
  readonly #displaced = new Map<Device, Lineage>();
  /** Devices that wait for their socket to drain. */
  readonly #full = new Set<Device>();
  readonly #jobs = new Set<Promise<void>>();
  /** Undefined while there is no tail. */
  #inbox: LiveInbox | undefined;
  #tail: Tail | undefined;
  #info: InboxStreamInfo = { epoch: '', firstSeq: 1, lastSeq: 0 };
  #reported = 0;
  #reports = 0;
  #quiet: Iterator<Device> | undefined;
  #reporter: ReturnType<typeof setInterval> | undefined;
  #stopped = false;

  constructor(reader: InboxReader, replay: Replay, ends: LogEndReader, parts: DeliveryParts) {
    this.#reader = reader;
    this.#replay = replay;
    this.#ends = ends;
    this.#parts = parts;
    this.#cold = new ColdReader(reader, parts);
  }

  get ready(): boolean {
    return this.#inbox !== undefined;
  }

  get ringBytes(): number {
    return this.#inbox?.ring.bytes ?? 0;
  }

  async start(): Promise<void> {
    await this.#begin();
    this.#reporter = setInterval(() => this.#report(), REPORT_EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#inbox = undefined;
    clearInterval(this.#reporter);
    for (const device of this.#devices) this.detach(device);
    await this.#tail?.stop();
    await Promise.all(this.#jobs);
  }

  attach(whose: ConnectedDevice, token: string, resume: Resume, onGap: OnGap): Attachment {
    const device = new Device(whose, token, resume, onGap, this.#parts);
    this.#devices.add(device);
    this.#goOn(device);
    return new AttachedDevice(device, this);
  }

  // ---- the tail ----

  /** Warms a ring and tails from there on. @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
  async #begin(): Promise<void> {
    const { epoch, firstSeq, lastSeq } = await this.#look();
    const margin = firstSeq === 1 ? 0 : Math.floor((lastSeq - firstSeq) * WARM_MARGIN_SHARE);
    const from = Math.max(firstSeq + margin, lastSeq - Math.min(WARM_MESSAGES, this.#parts.limits.ringMaxEntries) + 1);
    const inbox = new LiveInbox(this.#reader.stream, epoch, from, this.#parts, (device) => this.#goOn(device));
    for (const marker of await this.#reader.markers()) inbox.decoder.decode(marker);

    const warm = Promise.withResolvers<void>();
    let lost: string | undefined;
    const tail = await this.#reader.tail(
      from,
      (messages) => {
        inbox.receive(messages);
        if (inbox.seq >= lastSeq) warm.resolve();
      },
      (reason) => {
        lost = reason;
        warm.resolve();
        if (this.#inbox === inbox) this.#lose(inbox, reason);
      },
    );
    if (inbox.seq >= lastSeq) warm.resolve();
    // A slow start is none that fails: the ring covers what it has, and the tail brings the rest.
    const timer = setTimeout(warm.resolve, WARM_WITHIN_MS);
    await warm.promise;
    clearTimeout(timer);
    if (lost !== undefined) throw new RookeryError('LOG_UNAVAILABLE', lost);
    if (this.#stopped) return tail.stop();
    this.#tail = tail;
    this.#inbox = inbox;
    for (const device of this.#devices) this.#goOn(device);
    this.#own(this.#lookAtEnds(inbox).catch(() => undefined));
  }

  /** The tail is lost for good: everything anew. Devices keep their places, and see what these mean then. */
  #lose(inbox: LiveInbox, reason: string): void {
    this.#parts.log.error({ what: 'inbox tail lost', stream: this.#reader.stream, reason });
    this.#inbox = undefined;
    for (const device of this.#devices) {
      inbox.leave(device);
      // Who is still being moved since an earlier loss is so by the past of then: a later one may have lost what it has read.
      if (device.stream === inbox.stream && !this.#displaced.has(device))
        this.#displaced.set(device, inbox.decoder.lineage);
    }
    this.#own(this.#beginAgain());
  }

  async #beginAgain(): Promise<void> {
    while (!this.#stopped) {
      try {
        return await this.#begin();
      } catch (error) {
        this.#parts.log.warn({ what: 'inbox tail not started', stream: this.#reader.stream, reason: String(error) });
        await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
      }
    }
  }

  async #look(known = 0): Promise<InboxStreamInfo> {
    this.#info = await this.#reader.info(known);
    return this.#info;
  }

  // ---- the way of a device ----

  /** From where the device stands, the way to the live tail. */
  #goOn(device: Device): void {
    const inbox = this.#inbox;
    if (!inbox || device.state !== 'waiting') return;
    if (device.isFull) {
      this.#full.add(device);
      device.connection.onDrain(() => this.#drained(device));
      return;
    }
    const past = this.#displaced.get(device);
    if (past) device.displace({ epoch: epochOf(device.stream, past.at(device.at)), seq: device.at });
    this.#displaced.delete(device);
    if (device.stream === '' && device.resume === 'latest' && device.onGap === 'changes') {
      this.#work(device, async () => 'NOTHING_KEPT');
    } else if (device.stream === '' && !findPlace(device, inbox))
      this.#work(device, () => findUnknown(device, this.#reader));
    else if (device.stream !== inbox.stream) this.#work(device, async () => 'EPOCH_CHANGED');
    else if (!inbox.ring.covers(device.at) && device.at + 1 < this.#info.firstSeq)
      this.#work(device, async () => 'CURSOR_TOO_OLD');
    else if (device.replayed) this.#work(device, () => this.#replayOn(device));
    else if (!inbox.ring.covers(device.at)) this.#work(device, () => this.#cold.read(device, inbox));
    else if (device.at > Math.max(inbox.seq, this.#info.lastSeq)) {
      this.#work(device, () => this.#checkAhead(device));
    } else this.#enqueue(device);
  }

  #enqueue(device: Device): void {
    device.state = 'queued';
    this.#queue.add(device);
    this.#planTurn();
  }

  #planTurn(): void {
    if (this.#turnPlanned || this.#queue.size === 0) return;
    this.#turnPlanned = true;
    setImmediate(() => this.#catchUpTurn());
  }

  /** One portion each, for a while; then the live tail and the sockets get their turn. */
  #catchUpTurn(): void {
    this.#turnPlanned = false;
    const until = performance.now() + CATCH_UP_TURN_MS;
    for (const device of this.#queue) {
      this.#queue.delete(device);
      device.state = 'waiting';
      this.#catchUp(device);
      if (performance.now() > until) break;
    }
    this.#planTurn();
  }

  #catchUp(device: Device): void {
    const inbox = this.#inbox;
    const isElsewhere = device.stream !== inbox?.stream || this.#displaced.has(device);
    if (isElsewhere || device.isFull || !inbox.ring.covers(device.at)) return this.#goOn(device);
    if (device.shouldAsk) return this.#work(device, async () => 'TOO_FAR_BEHIND');
    const { connection, token } = device;
    const { runs, seq, position, more } = inbox.ring.after(token, device.at, CATCH_UP_CHUNK_BYTES, device.ringPosition);
    // The user has nothing else up to the tail, so it is the tail's position that was reached.
    device.at = more ? seq : Math.max(device.at, inbox.seq);
    device.ringPosition = position;
    device.caughtUpRecords += runs.length;
    device.cursorAt = Date.now();
    connection.write(joinRuns(runs, connection.codec, inbox.cursorWireFor(device)));
    if (more) this.#enqueue(device);
    else inbox.goLive(device);
  }

  /** A cursor ahead of our tail: another gateway was faster, or it is none of this stream. */
  async #checkAhead(device: Device): Promise<ColdOutcome> {
    const { epoch, lastSeq } = await this.#look(device.at);
    if (epoch !== device.stream) return 'EPOCH_CHANGED';
    if (device.at <= lastSeq) return 'reached';
    const isForged = device.at - lastSeq > MAX_LOST_RECORDS;
    if (isForged || typeof device.resume === 'string' || partsOf(device.resume.epoch).past === '')
      return 'CURSOR_UNKNOWN';
    // The stream has lost its end, and nothing is written behind it yet.
    device.moveTo(epoch, lastSeq);
    return 'reached';
  }

  /**
   * The past from the log, or what has changed, for which the device asks itself; then on from where the inbox was when that
   * began: what overlaps the device drops.
   */
  async #resync(device: Device, reason: ResyncReason): Promise<'reached' | 'gone'> {
    device.resyncs += 1;
    if (device.resyncs > MAX_RESYNCS) {
      device.connection.close(closeCodes.TOO_FAR_BEHIND, 'the inbox moves on faster than the log can be replayed');
      return 'gone';
    }
    if (device.onGap === 'replay') device.write({ t: 'resync', reason });
    const { epoch, lastSeq } = await this.#look();
    this.#displaced.delete(device);
    device.beginAt(epoch, lastSeq);
    if (device.onGap === 'replay') {
      if ((await this.#replayed(device)) === 'gone') return 'gone';
    } else {
      // What the inbox has up to there came from the log before this look at its end.
      const { positions } = await this.#ends.look();
      if (device.isGone) return 'gone';
      device.write({ t: 'resync', reason, by: 'changes', reached: encodeReached(positions) });
    }
    device.hasCaughtUp();
    const inbox = this.#inbox;
    if (device.stream === inbox?.stream) inbox.writeCursor(device);
    return 'reached';
  }

  /** Its connection was lost while the log was replayed to it: the rest, and then the inbox from where it was when that began. */
  async #replayOn(device: Device): Promise<ColdOutcome> {
    if (device.onGap === 'changes') return 'CURSOR_UNKNOWN';
    device.write({ t: 'resync', reason: 'TOO_FAR_BEHIND' });
    if ((await this.#replayed(device)) === 'gone') return 'gone';
    device.hasCaughtUp();
    return 'reached';
  }

  #replayed(device: Device): Promise<'done' | 'gone'> {
    return this.#replay.run(device, (place) => this.#tellReplayed(device, place));
  }

  /** Where the inbox was when the replay began is told by the past of then, also where the stream has lost its end meanwhile. */
  #tellReplayed(device: Device, place: Replayed): void {
    device.replayed = place;
    const inbox = this.#inbox;
    if (device.stream !== inbox?.stream) return;
    const lineage = this.#displaced.get(device) ?? inbox.decoder.lineage;
    const epoch = epochOf(device.stream, lineage.at(device.at), place);
    if (epoch.length <= MAX_EPOCH_CHARS) device.write({ t: 'cursor', epoch, seq: device.at, more: true });
  }

  /** Something asynchronous brings the device on; nobody else moves it meanwhile. */
  #work(device: Device, step: () => Promise<ColdOutcome>): void {
    device.state = 'busy';
    const work = async (): Promise<void> => {
      let outcome = await step();
      while (outcome !== 'reached' && outcome !== 'full' && outcome !== 'gone' && !device.isGone) {
        outcome = await this.#resync(device, outcome);
      }
      if (device.isGone || outcome === 'gone') return;
      device.state = 'waiting';
      this.#goOn(device);
    };
    this.#own(work().catch((error: unknown) => this.#fail(device, error)));
  }

  /** The device keeps its cursor and comes back with it. */
  #fail(device: Device, error: unknown): void {
    if (device.isGone) return;
    const isBusy = error instanceof RookeryError && error.code === 'OVERLOADED';
    this.#parts.log.warn({ what: 'catch-up failed', stream: this.#reader.stream, reason: String(error) });
    if (isBusy) device.connection.close(closeCodes.OVERLOADED, 'too many devices catch up');
    else device.connection.close(closeCodes.INTERNAL, 'catch-up failed');
  }

  #drained(device: Device): void {
    if (this.#full.delete(device)) this.#goOn(device);
  }

  confirm({ user, id, stream, at, replayed }: Device, seq: number): void {
    const inbox = this.#inbox;
    if (replayed || stream !== inbox?.stream || seq > at) return;
    this.#parts.cursors.confirm(user, id, { epoch: inbox.epochAt(seq), seq });
  }

  detach(device: Device): void {
    this.#inbox?.leave(device);
    device.state = 'gone';
    this.#devices.delete(device);
    this.#queue.delete(device);
    this.#full.delete(device);
    this.#displaced.delete(device);
  }

  // ---- what is done every now and then ----

  #report(): void {
    for (const device of this.#full) if (!device.isFull) this.#drained(device);
    const inbox = this.#inbox;
    // Without a tail nothing is told: the writers must not wait for a gateway that does not read.
    if (!inbox) return;
    this.#refreshCursors(inbox);
    this.#reports += 1;
    const isTimeToLook = this.#reports % LOOK_EVERY_REPORTS === 0;
    if (inbox.seq !== this.#reported || isTimeToLook) {
      this.#reported = inbox.seq;
      this.#reader.reportTailed(this.#parts.gateway, inbox.seq);
    }
    if (!isTimeToLook) return;
    const look = this.#look().then(({ firstSeq }) => inbox.decoder.dropBelow(firstSeq));
    // The tail has the same trouble and deals with it.
    for (const looking of [look, this.#lookAtEnds(inbox)]) this.#own(looking.catch(() => undefined));
  }

  /** Of a lane that is idle the tail may never bring a checkpoint. */
  async #lookAtEnds({ horizon, decoder }: LiveInbox): Promise<void> {
    const ends = await this.#ends.look();
    for (const lane of horizon.unknown(ends)) {
      const checkpoint = await this.#reader.checkpoint(lane);
      if (checkpoint) decoder.decode(checkpoint);
    }
    horizon.expect(ends);
  }

  /** Some at a time, so that thousands of idle devices are never all written to at once. */
  #refreshCursors(inbox: LiveInbox): void {
    const quietSince = Date.now() - QUIET_CURSOR_MS;
    const share = Math.ceil((this.#devices.size * REPORT_EVERY_MS) / QUIET_CURSOR_MS);
    for (let i = 0; i < share; i++) {
      this.#quiet ??= this.#devices.values();
      const { value: device, done } = this.#quiet.next();
      if (done) this.#quiet = undefined;
      else if (device.cursorAt < quietSince) inbox.refreshCursor(device);
    }
  }

  #own(job: Promise<void>): void {
    this.#jobs.add(job);
    void job.finally(() => this.#jobs.delete(job));
  }
}
