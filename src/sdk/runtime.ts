/**
 * Performs what the machine wants: the socket, the timers, the storage, and the app's handlers one entry after the other.
 * Nothing is decided here.
 */
import type { ConversationId } from '../domain/ids.ts';
import type { Codec } from '../protocol/codec.ts';
import type { ChangedConversation, ClientFrame, Entry, ServerFrame } from '../protocol/frames.ts';
import type { Effect, Input, TimerName } from './inputs-and-effects.ts';
import type { Machine } from './machine.ts';
import type { Storage } from './storage.ts';
import type { SyncPage } from './sync.ts';

/** What the machine wants from the app's side. None of these may throw, except `handle` and `announce`. */
export interface RuntimePorts {
  readonly url: string;
  readonly codec: Codec;
  readonly storage: Storage;
  token(): Promise<string>;
  /** One entry, handled when it resolves. */
  handle(conversation: ConversationId, entry: Entry): void | Promise<void>;
  /** One conversation of a sync, as `handle`. */
  announce(changed: ChangedConversation): void | Promise<void>;
  perform(
    effect: Extract<
      Effect,
      { type: 'settle' | 'refused' | 'answer' | 'told' | 'status' | 'resync' | 'synced' | 'gap' }
    >,
  ): void;
  /** All that the inputs so far have caused is done. */
  settled(): void;
  /** The storage or a handler failed; the machine has been stopped. */
  failed(error: unknown): void;
  /** As it is written, or before it is dealt with. */
  sawFrame(direction: 'out' | 'in', frame: ClientFrame | ServerFrame): void;
}

type Work = Extract<Effect, { type: 'hand over' | 'announce' | 'pass' }>;

export class Runtime {
  readonly #machine: Machine;
  readonly #ports: RuntimePorts;
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  readonly #inputs: Input[] = [];
  #isHandling = false;
  #socket: WebSocket | undefined;
  /** In order; bounded by what the machine lets be unhandled. */
  #work: Work[] = [];
  #working: Promise<void> | undefined;
  #ended = false;
  #failed = false;
  /** All entries put so far are stored, all frames meant to be written before are: the next frame is written behind it. */
  #stored: Promise<void> = Promise.resolve();
  /** All calls of the storage have ended. */
  #storing: Promise<void> = Promise.resolve();

  constructor(machine: Machine, ports: RuntimePorts) {
    this.#machine = machine;
    this.#ports = ports;
  }

  /** An input that comes while another is dealt with (a handler that sends) waits until its effects are done. */
  input(input: Input): void {
    this.#inputs.push(input);
    if (this.#isHandling) return;
    this.#isHandling = true;
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
        const moment = { nowMs: performance.now(), random: Math.random() };
        for (const effect of this.#machine.handle(next, moment)) this.#perform(effect);
      }
    } catch (error) {
      // A frame no gateway of ours sends, or a defect of ours: what holds now is not known, what is stored is.
      queueMicrotask(() => this.#fail(error));
    }
    this.#isHandling = false;
    this.#ports.settled();
  }

  /** No entry is begun any more. Resolves when the one at work is handled. */
  async endHandling(): Promise<void> {
    this.#ended = true;
    this.#work = [];
    await this.#working;
  }

  /** Stops the machine, waits for the storage and closes it. */
  async end(): Promise<void> {
    this.#ended = true;
    this.input({ type: 'stop', reason: 'closed by the app' });
    await this.#storing;
    await this.#ports.storage.close();
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'fetch token':
        return this.#fetchToken();
      case 'open':
        return this.#open();
      case 'close':
        return this.#close();
      case 'write':
        return this.#write(effect.frame);
      case 'set timer': {
        const { name, ms } = effect;
        clearTimeout(this.#timers.get(name));
        this.#timers.set(
          name,
          setTimeout(() => this.input({ type: 'timer', name }), ms),
        );
        return;
      }
      case 'clear timer':
        clearTimeout(this.#timers.get(effect.name));
        return;
      case 'store entry': {
        const storing = this.#ports.storage.putOutbox(effect.entry);
        this.#store(storing);
        this.#stored = this.#stored.then(() => storing).catch(() => undefined);
        return;
      }
      case 'drop entry':
        this.#store(this.#ports.storage.deleteOutbox(effect.key));
        return;
      case 'commit': {
        const { cursor, marks } = effect;
        this.#store(this.#ports.storage.commit(cursor, marks), () => this.input({ type: 'committed', cursor }));
        return;
      }
      case 'hand over':
      case 'announce':
      case 'pass':
        if (this.#ended) return;
        this.#work.push(effect);
        this.#working ??= this.#doWork();
        return;
      default:
        this.#ports.perform(effect);
    }
  }

  async #doWork(): Promise<void> {
    // Not within the effects that brought it.
    await null;
    try {
      for (let work = this.#work.shift(); work; work = this.#work.shift()) {
        if (work.type === 'pass') this.input({ type: 'passed', cursor: work.cursor });
        else if (work.type === 'announce') await this.#announce(work.page);
        else await this.#handOver(work);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#working = undefined;
  }

  async #handOver({ conversation, entries }: Extract<Work, { type: 'hand over' }>): Promise<void> {
    let count = 0;
    try {
      for (const entry of entries) {
        if (this.#ended) break;
        const handling = this.#ports.handle(conversation, entry);
        // Without a promise there is nothing to wait for: a turn of the queue for each entry would be felt in a catch-up.
        if (handling) await handling;
        count += 1;
      }
    } finally {
      // Also when a later one failed: these are handled, and do not come again.
      if (count > 0) this.input({ type: 'handled', conversation, entries: entries.slice(0, count) });
    }
  }

  /** A page that is not handled to its end comes again. */
  async #announce(page: SyncPage): Promise<void> {
    for (const changed of page.conversations) {
      if (this.#ended) return;
      await this.#ports.announce(changed);
    }
    this.input({ type: 'announced', page });
  }

  /** Storage calls are made at once and take effect in order. */
  #store(storing: Promise<void>, then?: () => void): void {
    const settled = storing.then(then, (error: unknown) => this.#fail(error));
    this.#storing = this.#storing.then(() => settled);
  }

  /** Nothing is handled or confirmed behind a failure. */
  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#ended = true;
    this.#work = [];
    this.input({ type: 'stop', reason: 'the storage or a handler failed' });
    this.#ports.failed(error);
  }

  #fetchToken(): void {
    this.#ports.token().then(
      (token) => this.input({ type: 'token', token }),
      // The provider may be out of reach as well: to be tried again like a lost connection.
      (error: unknown) => this.input({ type: 'closed', code: 1006, reason: `no token: ${String(error)}` }),
    );
  }

  #open(): void {
    const socket = new WebSocket(this.#ports.url, this.#ports.codec.subprotocol);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    const isCurrent = (): boolean => this.#socket === socket;
    socket.onopen = () => isCurrent() && this.input({ type: 'opened' });
    socket.onmessage = ({ data }) => isCurrent() && this.#received(data as ArrayBuffer | string);
    socket.onclose = ({ code, reason }) => {
      if (!isCurrent()) return;
      this.#socket = undefined;
      this.input({ type: 'closed', code, reason });
    };
  }

  /** The other side may be gone for long, and its closing take as long: it is not waited for. */
  #close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #received(data: ArrayBuffer | string): void {
    const frame = readFrame(data, this.#ports.codec);
    if (frame) {
      this.#ports.sawFrame('in', frame);
      return this.input({ type: 'frame', frame });
    }
    this.#close();
    this.input({ type: 'closed', code: 1002, reason: 'a frame could not be read' });
  }

  #write(frame: ClientFrame): void {
    const socket = this.#socket;
    const { codec } = this.#ports;
    this.#stored = this.#stored.then(() => {
      // The socket of the time it was meant for: on a later one the machine sends again what is to be sent.
      if (socket?.readyState !== WebSocket.OPEN || this.#failed) return;
      this.#ports.sawFrame('out', frame);
      const bytes = codec.encode(frame) as Uint8Array<ArrayBuffer>;
      socket.send(codec.binary ? bytes : new TextDecoder().decode(bytes));
    });
  }
}

/** Undefined for what is no frame. Its fields are the gateway's word: only what would not even look like one is sorted out. */
function readFrame(data: ArrayBuffer | string, codec: Codec): ServerFrame | undefined {
  try {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data);
    const frame = codec.decode(bytes) as Partial<ServerFrame> | null | undefined;
    if (typeof frame?.t !== 'string') return undefined;
    return frame.t === 'deliver' && !Array.isArray(frame.entries) ? undefined : (frame as ServerFrame);
  } catch {
    return undefined;
  }
}
