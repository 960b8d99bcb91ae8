/** What delivery is put together from, and what it speaks of with the sessions. */
import type { DeviceId, UserId } from '../../domain/ids.ts';
import type { ClientConnection, FrameOnWire } from '../../ports/client-connection.ts';
import type { LogReader } from '../../ports/conversation-log.ts';
import type { DeviceCursors } from '../../ports/device-cursors.ts';
import type { InboxReader } from '../../ports/inbox-reader.ts';
import type { Log } from '../../ports/log.ts';
import type { Topology } from '../../protocol/subjects.ts';

export interface DeliveryLimits {
  /** Unsent bytes of a socket at which it leaves the live tail. */
  readonly maxBufferedBytes: number;
  readonly ringMaxBytes: number;
  readonly ringMaxEntries: number;
  /** Records looked up in the stream for one device, a hundred read in a row counting as one; further behind it gets a resync. */
  readonly maxColdEntries: number;
  /** Events of the log read for one resync; beyond it the device is turned away. */
  readonly maxReplayEvents: number;
}

export interface ConnectedDevice {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly connection: ClientConnection;
}

export interface Attachment {
  /** The device has stored all up to `seq`. */
  confirm(seq: number): void;
  detach(): void;
}

export interface DeliveryParts {
  /** One per INBOX stream, in their order. */
  readonly readers: readonly InboxReader[];
  /** One per CONV stream, in their order. */
  readonly logs: readonly LogReader[];
  readonly cursors: DeviceCursors;
  readonly topology: Topology;
  readonly frameOnWire: FrameOnWire;
  readonly limits: DeliveryLimits;
  /** Name of this gateway in its reports to the writers. */
  readonly gateway: string;
  /** Hot path: a checkpoint was read; all of the lane up to `to` is in this INBOX stream. */
  readonly onConfirmed: (inboxStream: number, lane: number, to: number) => void;
  readonly log: Log;
}
