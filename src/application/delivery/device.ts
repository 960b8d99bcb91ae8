/** A connected device and its place in its inbox. */
import type { DeviceId, UserId } from '../../domain/ids.ts';
import type { ClientConnection, FrameOnWire } from '../../ports/client-connection.ts';
import type { Cursor, OnGap, Resume, ServerFrame } from '../../protocol/frames.ts';
import { partsOf, type Replayed } from './epoch.ts';
import type { Attachment, ConnectedDevice } from './parts.ts';
import type { Run } from './run.ts';

/**
 * Records a device that can ask for changes is sent on its way, out of the ring or below it. Beyond, asking takes less time than
 * they do, and shows an app what it wants to show.
 */
const MAX_RECORDS_BEFORE_CHANGES = 1_000;

/**
 * - `waiting` for a tail, or for its socket to drain
 * - `queued` for its next portion out of the ring
 * - `busy`: something asynchronous (a cold read, a replay) brings it on, and alone moves it
 * - `live`: the tail writes to it
 * - `gone`
 */
export type DeviceState = 'waiting' | 'queued' | 'busy' | 'live' | 'gone';

export class Device {
  readonly user: UserId;
  readonly id: DeviceId;
  readonly connection: ClientConnection;
  /** The user's id as a subject token. */
  readonly token: string;
  /** Where it is to begin, until it has found its place. */
  resume: Resume;
  readonly onGap: OnGap;
  state: DeviceState = 'waiting';
  /** Identity of the inbox stream that `at` is a sequence of; empty until the device has found its place. */
  stream = '';
  /** All of the user's entries up to it have been written. While live, the tail's own position is the truth. */
  at = 0;
  /** Where in the ring the entry at `at` stands; -1 where that is not known. */
  ringPosition = -1;
  /** What was read for it from the stream, in records looked up one by one, and resyncs begun, since it was last live. */
  coldEntries = 0;
  /** Where it stands in the stream its records are close together. */
  isDense = false;
  /** Records written to it since it was last live. */
  caughtUpRecords = 0;
  resyncs = 0;
  /** How far the log has been replayed to it, where that has begun and is not done. */
  replayed: Replayed | undefined;
  /** When it last got a cursor: milliseconds since 1970. */
  cursorAt = 0;
  /** What the tick has brought for it so far. */
  readonly tick: Run[] = [];
  readonly #frameOnWire: FrameOnWire;
  readonly #maxBufferedBytes: number;

  constructor(
    { user, device, connection }: ConnectedDevice,
    token: string,
    resume: Resume,
    onGap: OnGap,
    { frameOnWire, limits }: { frameOnWire: FrameOnWire; limits: { maxBufferedBytes: number } },
  ) {
    this.user = user;
    this.id = device;
    this.connection = connection;
    this.token = token;
    this.resume = resume;
    this.replayed = typeof resume === 'string' ? undefined : partsOf(resume.epoch).replayed;
    this.onGap = onGap;
    this.#frameOnWire = frameOnWire;
    this.#maxBufferedBytes = limits.maxBufferedBytes;
  }

  get isGone(): boolean {
    return this.state === 'gone';
  }

  /** Its socket has taken too little of what was written: nothing more before it has drained. */
  get isFull(): boolean {
    return this.connection.bufferedBytes > this.#maxBufferedBytes;
  }

  /** What it has been sent is enough: it is to ask for the rest. */
  get shouldAsk(): boolean {
    return this.onGap === 'changes' && this.caughtUpRecords >= MAX_RECORDS_BEFORE_CHANGES;
  }

  /** It lacks nothing of what was to be caught up with. */
  hasCaughtUp(): void {
    this.coldEntries = 0;
    this.isDense = false;
    this.caughtUpRecords = 0;
    this.replayed = undefined;
  }

  /** The tail was lost in which `at` was reached: what that place is now must be found out. */
  displace(cursor: Cursor): void {
    this.resume = cursor;
    this.stream = '';
  }

  moveTo(stream: string, at: number): void {
    this.stream = stream;
    this.at = at;
    this.ringPosition = -1;
  }

  /** From a place that the cursor it came with has nothing to do with: that one is told no more, and any replay begins anew. */
  beginAt(stream: string, at: number): void {
    this.resume = 'latest';
    this.replayed = this.onGap === 'replay' ? { log: 0, pos: 0 } : undefined;
    this.moveTo(stream, at);
  }

  write(frame: ServerFrame): void {
    const { codec } = this.connection;
    this.connection.write(this.#frameOnWire(codec, codec.encode(frame)));
  }

  /**
   * What a cursor at its place says: where the stream has lost its end and nothing is written behind it yet, what the device
   * had before, which means the same and does not go back.
   */
  seqToTell(epoch: string): number {
    const { resume } = this;
    return typeof resume !== 'string' && resume.epoch === epoch ? Math.max(this.at, resume.seq) : this.at;
  }
}

/** Whose a connected device is. */
export interface DeviceKeeper {
  /** The device has stored all up to `seq`. */
  confirm(device: Device, seq: number): void;
  detach(device: Device): void;
}

/** What a session holds of its device: a small object and no closures, for there are tens of thousands of them. */
export class AttachedDevice implements Attachment {
  readonly #device: Device;
  readonly #keeper: DeviceKeeper;

  constructor(device: Device, keeper: DeviceKeeper) {
    this.#device = device;
    this.#keeper = keeper;
  }

  confirm(seq: number): void {
    this.#keeper.confirm(this.#device, seq);
  }

  detach(): void {
    this.#keeper.detach(this.#device);
  }
}
