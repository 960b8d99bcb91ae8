/**
 * The load of the overload run, in a process of its own. In an open loop it writes at its rate whatever comes back, as a
 * world of clients does that know nothing of each other. Each client keeps what was refused, and what is written after it, and
 * sends it again in its order once the time it was told has passed; when it has too much of it, its user waits. One half sends
 * all of it at once; the other half one message, and more as they are acked.
 */
import { connectDevice, type Device } from '../../../bench/load/device.ts';
import { bodyOf, decode, encode, numberIn } from '../../../bench/load/frames.ts';
import { Histogram } from '../../../bench/load/histogram.ts';
import type { Balance, FromLoad, Load, Second, Stage, ToLoad } from './job.ts';

/** Of each pair in the closed loop. */
const CLOSED_WINDOW = 8;
/** What a client has unanswered at most: as much as a session may. */
const MAX_IN_FLIGHT = 512;
/** What one client keeps to send again. */
const MAX_OUTBOX = 64;
/** What the open loop owes is sent so often. */
const TICK_MS = 5;
/** A tick that came late sends no more than this: a generator that stood still does not make up for it in one blow. */
const MAX_BURST = 2_000;
const SECOND_MS = 1_000;
/** What is acked and not delivered so long after the last delivery is lost. */
const QUIET_MS = 5_000;

interface Pair {
  readonly index: number;
  readonly receiver: Device;
  readonly sender: Device;
  /** What was refused or waits behind it, by its numbers, ascending. */
  readonly outbox: number[];
  isWaiting: boolean;
  readonly isCareful: boolean;
  /** What it may have unanswered now. */
  window: number;
  inFlight: number;
}

interface Counted {
  sent: number;
  acked: number;
  delivered: number;
  refused: number;
  unwritten: number;
  refusedWithoutTime: number;
  errors: Record<string, number>;
  acks: Histogram;
  deliveries: Histogram;
}

const fresh = (): Counted => ({
  ...{ sent: 0, acked: 0, delivered: 0, refused: 0, unwritten: 0, refusedWithoutTime: 0, errors: {} },
  ...{ acks: new Histogram(), deliveries: new Histogram() },
});

/** Of a message: from its sending on. */
const State = { open: 0, acked: 1, failed: 2 } as const;

class OverloadGenerator {
  readonly #pairs: Pair[] = [];
  readonly #sentAt: number[] = [];
  readonly #pairOf: number[] = [];
  readonly #state: number[] = [];
  readonly #deliveries: number[] = [];
  #counted = fresh();
  #perS: Stage['perS'] = 0;
  #owed = 0;
  #tickedAt = performance.now();
  #turn = 0;
  #receivedAt = performance.now();

  async connect({ urls, secretFile, pairs }: Load): Promise<void> {
    for (let index = 0; index < pairs; index++) {
      const url = urls[index % urls.length] as string;
      const server = { url, secretFile };
      const device = (role: string): Promise<Device> =>
        connectDevice({
          ...{ server, user: `${role}-${index}`, resume: 'latest' as const },
          onFrame: (payload) => this.#received(role === 'receiver', payload),
        });
      this.#pairs.push({
        ...{ index, sender: await device('sender'), receiver: await device('receiver') },
        ...{ outbox: [], isWaiting: false, isCareful: index % 2 === 0, window: MAX_IN_FLIGHT, inFlight: 0 },
      });
    }
    setInterval(() => this.#tick(), TICK_MS);
    setInterval(() => this.#tell(), SECOND_MS);
  }

  enter({ perS }: Stage): void {
    this.#perS = perS;
    this.#owed = 0;
    if (perS !== 'closed') return;
    for (const pair of this.#pairs) for (let i = 0; i < CLOSED_WINDOW; i++) this.#write(pair);
  }

  /** Sends nothing more, and waits until nothing comes any more. */
  async settle(): Promise<Balance> {
    this.#perS = 0;
    this.#receivedAt = performance.now();
    while (performance.now() - this.#receivedAt < QUIET_MS)
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    let [acked, delivered, lost, doubled, unanswered] = [0, 0, 0, 0, 0];
    for (const [number, state] of this.#state.entries()) {
      const times = this.#deliveries[number] as number;
      if (times > 0) delivered += 1;
      if (times > 1) doubled += 1;
      if (state === State.open) unanswered += 1;
      if (state !== State.acked) continue;
      acked += 1;
      if (times === 0) lost += 1;
    }
    const sockets = this.#pairs.flatMap(({ sender, receiver }) => [sender.socket, receiver.socket]);
    const closedSockets = sockets.filter(({ closed }) => closed).length;
    return { acked, delivered, lost, doubled, unanswered, closedSockets };
  }

  #tick(): void {
    const now = performance.now();
    const passedMs = now - this.#tickedAt;
    this.#tickedAt = now;
    if (this.#perS === 'closed') return;
    this.#owed = Math.min(MAX_BURST, this.#owed + (this.#perS * passedMs) / SECOND_MS);
    for (; this.#owed >= 1; this.#owed -= 1) this.#write(this.#pairs[this.#turn++ % this.#pairs.length] as Pair);
  }

  /** A new message. */
  #write(pair: Pair): void {
    if (pair.outbox.length >= MAX_OUTBOX) {
      this.#counted.unwritten += 1;
      return;
    }
    const number = this.#sentAt.push(0) - 1;
    this.#pairOf.push(pair.index);
    this.#state.push(State.open);
    this.#deliveries.push(0);
    pair.outbox.push(number);
    this.#sendOn(pair);
  }

  #sendOn(pair: Pair): void {
    while (!pair.isWaiting && pair.outbox.length > 0 && pair.inFlight < pair.window) {
      this.#send(pair, pair.outbox.shift() as number);
    }
  }

  #send(pair: Pair, number: number): void {
    const { sender, receiver } = pair;
    pair.inFlight += 1;
    this.#sentAt[number] = performance.now();
    this.#counted.sent += 1;
    const message = { clientMsgId: `m${String(number).padStart(9, '0')}`, contentType: 'text/plain' };
    sender.socket.send(encode({ t: 'send', id: number, to: receiver.user, ...message, body: bodyOf(number) }));
  }

  /** Hot path. */
  #received(isReceiver: boolean, payload: Buffer): void {
    this.#receivedAt = performance.now();
    const frame = decode(payload);
    if (frame.t === 'deliver') {
      if (isReceiver)
        for (const { type, body } of frame.entries) if (type === 'message') this.#delivered(numberIn(body));
    } else if (frame.t === 'sent') {
      this.#counted.acks.add((this.#receivedAt - (this.#sentAt[frame.id] as number)) * 1_000);
      this.#counted.acked += 1;
      this.#answered(frame.id, ({ window }) => Math.min(2 * window, MAX_IN_FLIGHT));
      this.#end(frame.id, State.acked);
    } else if (frame.t === 'error') {
      this.#refused(frame);
    }
  }

  #delivered(number: number): void {
    const sentAt = this.#sentAt[number];
    if (sentAt === undefined) throw new Error('a message was delivered that nobody has sent');
    this.#deliveries[number] = (this.#deliveries[number] as number) + 1;
    this.#counted.delivered += 1;
    this.#counted.deliveries.add((this.#receivedAt - sentAt) * 1_000);
  }

  #refused({ id, code, retryAfterMs }: { id?: number; code: string; retryAfterMs?: number }): void {
    if (code === 'OVERLOADED') {
      this.#counted.refused += 1;
      if (typeof retryAfterMs !== 'number' || retryAfterMs <= 0) this.#counted.refusedWithoutTime += 1;
    } else {
      this.#counted.errors[code] = (this.#counted.errors[code] ?? 0) + 1;
    }
    if (id === undefined) return;
    if (code === 'OVERLOADED') this.#sendAgain(id, retryAfterMs ?? 0);
    else this.#end(id, State.failed);
    this.#answered(id, ({ isCareful, window }) => (isCareful ? 1 : window));
  }

  #answered(number: number, windowOf: (pair: Pair) => number): void {
    const pair = this.#pairs[this.#pairOf[number] as number] as Pair;
    pair.inFlight -= 1;
    pair.window = windowOf(pair);
    this.#sendOn(pair);
  }

  #sendAgain(number: number, afterMs: number): void {
    const pair = this.#pairs[this.#pairOf[number] as number] as Pair;
    pair.outbox.splice(pair.outbox.findLastIndex((other) => other < number) + 1, 0, number);
    if (pair.isWaiting) return;
    pair.isWaiting = true;
    setTimeout(() => {
      pair.isWaiting = false;
      this.#sendOn(pair);
    }, afterMs);
  }

  /** In the closed loop the next one leaves. */
  #end(number: number, state: number): void {
    if (this.#state[number] !== State.open) return;
    this.#state[number] = state;
    if (this.#perS === 'closed') this.#write(this.#pairs[this.#pairOf[number] as number] as Pair);
  }

  #tell(): void {
    const { acks, deliveries, ...counts } = this.#counted;
    this.#counted = fresh();
    const second: Second = {
      ...counts,
      ackP50Ms: acks.percentileMs(0.5) ?? 0,
      ackP99Ms: acks.percentileMs(0.99) ?? 0,
      deliveryP50Ms: deliveries.percentileMs(0.5) ?? 0,
      deliveryP99Ms: deliveries.percentileMs(0.99) ?? 0,
    };
    tell({ second });
  }
}

const tell = (message: FromLoad): void => {
  process.send?.(message);
};

const generator = new OverloadGenerator();
process.on('message', (message: ToLoad) => {
  const failed = (error: unknown): void => tell({ error: String((error as Error).stack ?? error) });
  if ('load' in message) generator.connect(message.load).then(() => tell({ ready: true }), failed);
  else if ('stage' in message) generator.enter(message.stage);
  else generator.settle().then((balance) => tell({ balance }), failed);
});
process.on('disconnect', () => process.exit(0));
