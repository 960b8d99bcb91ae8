/** How inbox entries reach connected devices: one `StreamDelivery` for each INBOX stream, a device belongs to one of them. */
import type { OnGap, Resume } from '../../protocol/frames.ts';
import { inboxStreamOfToken, tokenOf } from '../../protocol/subjects.ts';
import { LogEndReader } from './log-ends.ts';
import type { Attachment, ConnectedDevice, DeliveryParts } from './parts.ts';
import { Replay } from './replay.ts';
import { StreamDelivery } from './stream-delivery.ts';

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #streams: readonly StreamDelivery[];

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    const replay = new Replay(parts);
    const ends = new LogEndReader(parts.logs);
    this.#streams = parts.readers.map((reader) => new StreamDelivery(reader, replay, ends, parts));
  }

  /** Warms the rings and begins to tail. */
  async start(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.start()));
  }

  /** Whether all streams are being tailed. */
  get ready(): boolean {
    return this.#streams.every(({ ready }) => ready);
  }

  /** Entries and bytes in the rings, for metrics. */
  get ringBytes(): number {
    return this.#streams.reduce((sum, { ringBytes }) => sum + ringBytes, 0);
  }

  /** Backfill, cutover, live: from here on the device is written to until `detach`. */
  attach(device: ConnectedDevice, resume: Resume, onGap: OnGap = 'replay'): Attachment {
    const token = tokenOf(device.user);
    const stream = this.#streams[inboxStreamOfToken(token, this.#parts.topology)] as StreamDelivery;
    return stream.attach(device, token, resume, onGap);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.stop()));
    await this.#parts.cursors.drain();
  }
}
