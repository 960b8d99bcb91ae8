/** A device with the SDK: it comes and goes, and once in a while it loses what it had stored. */
import { type Client, createClient, type Entry, MemoryStorage } from '../../../src/sdk/index.ts';
import type { Random } from '../random.ts';
import type { Recorder } from './recorder.ts';

export interface DeviceParts {
  readonly user: string;
  readonly name: string;
  readonly gateways: readonly string[];
  readonly token: () => Promise<string>;
  readonly recorder: Recorder;
  readonly random: Random;
  readonly onEntry: (device: Device, conversation: string, entry: Entry) => void;
}

export class Device {
  readonly name: string;
  readonly #parts: DeviceParts;
  /** Outlives its clients, as a file outlives an app. */
  #storage = new MemoryStorage();
  #client: Client | undefined;
  /** One opens or closes behind the other: a storage is one client's at a time. */
  #turn: Promise<void> = Promise.resolve();
  /** Counts the times it was opened. */
  run = 0;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.name = parts.name;
  }

  get client(): Client | undefined {
    return this.#client;
  }

  get isLive(): boolean {
    return this.#client?.status.phase === 'live';
  }

  /** Whether all that it was given is in the log or refused. */
  get isIdle(): boolean {
    return (this.#client?.outboxSize ?? 0) === 0;
  }

  open(): Promise<void> {
    return this.#inTurn(() => this.#open());
  }

  /** @param drainWithinMs 0: as if it were switched off */
  close(drainWithinMs: number): Promise<void> {
    return this.#inTurn(async () => {
      const client = this.#client;
      this.#client = undefined;
      await client?.close({ drainWithinMs });
    });
  }

  /** What it has stored is gone; what it had not sent may never be. */
  loseStorage(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#client) return;
      this.#storage = new MemoryStorage();
      this.#parts.recorder.reset(this.#parts.user, this.name);
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #open(): Promise<void> {
    if (this.#client) return;
    const { user, name, gateways, token, recorder, random, onEntry } = this.#parts;
    this.run += 1;
    const client = await createClient({
      url: random.pick(gateways),
      token,
      device: name,
      storage: this.#storage,
      // Told by itself, at times of its own: the checker knows only what the workload has asked for.
      deliveredReceipts: false,
      codec: random.chance(0.2) ? 'json' : 'msgpack',
    });
    client.on('entry', (conversation, entry) => {
      recorder.delivered(user, name, conversation, [entry]);
      onEntry(this, conversation, entry);
    });
    client.on('gap', (conversation, gap) => {
      if (gap.lost) recorder.complain(user, name, `lost entries of ${conversation} behind ${gap.after}`);
    });
    client.on('failed', (error) => recorder.complain(user, name, `failed: ${String(error)}`));
    client.on('status', (status) => {
      if (status.phase === 'stopped' && this.#client === client) {
        recorder.complain(user, name, `stopped: ${JSON.stringify(status)}`);
      }
    });
    this.#client = client;
    client.start();
  }
}
