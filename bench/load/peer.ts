/**
 * The shape of a live row against another messenger: the same members, senders and window, the same bodies, acks awaited, counted and checked
 * in the same way. What it does not promise is not asked of it: only that places grow for each device, and that all get the same message there.
 */
import type { PeerJob, PeerName, Result } from '../job.ts';
import { bodyOf, numberIn } from './frames.ts';
import { Ledger, monotonicUs } from './ledger.ts';
import { type Enter, measure, resultOf, sleep } from './pace.ts';
import { centrifugo } from './peers/centrifugo.ts';
import type { PeerDevice, PeerProtocol } from './peers/protocol.ts';
import { wukongim } from './peers/wukongim.ts';

const PROTOCOLS: Readonly<Record<PeerName, PeerProtocol>> = { centrifugo, wukongim };
const CONNECT_AT_ONCE = 50;
const RETRY_AFTER_MS = 100;

interface Room {
  readonly devices: PeerDevice[];
  readonly places: Places;
  turn: number;
}

export async function peer(job: PeerJob, enter: Enter): Promise<Result> {
  const load = new PeerLoad(job);
  for (let room = 0; room < job.groups; room++) await load.open(room);
  load.start();
  await measure(load.ledger, job, enter, () => load.stop());
  return load.result();
}

class PeerLoad {
  readonly ledger = new Ledger();
  readonly #job: PeerJob;
  readonly #protocol: PeerProtocol;
  readonly #rooms: Room[] = [];
  #isSending = false;

  constructor(job: PeerJob) {
    this.#job = job;
    this.#protocol = PROTOCOLS[job.peer];
  }

  async open(index: number): Promise<void> {
    const { apiUrl, url, members } = this.#job;
    await this.#protocol.make(apiUrl, index, members);
    const room: Room = { devices: [], places: new Places(members), turn: 0 };
    this.#rooms.push(room);
    for (let first = 0; first < members; first += CONNECT_AT_ONCE) {
      const some = Array.from({ length: Math.min(CONNECT_AT_ONCE, members - first) }, (_, i) =>
        this.#protocol.enter({ url, room: index, member: first + i, members }, this.#receiver(room, first + i)),
      );
      room.devices.push(...(await Promise.all(some)));
    }
  }

  start(): void {
    this.#isSending = true;
    for (let i = 0; i < this.#job.window; i++) for (const room of this.#rooms) this.#sendNext(room);
  }

  stop(): void {
    this.#isSending = false;
  }

  result(): Result {
    const closed = this.#rooms.flatMap(({ devices }) => devices).filter((device) => device.isClosed);
    if (closed.length > 0) console.error(`generator: ${closed.length} sockets were closed by ${this.#job.peer}`);
    return resultOf(
      this.ledger,
      this.#rooms.map(({ places }) => places),
    );
  }

  #receiver(room: Room, member: number) {
    const { ledger } = this;
    return {
      // Hot path.
      message: (place: number, body: Uint8Array): void => {
        const number = numberIn(body);
        const isNew = room.places.receive(member, place, number);
        if (isNew && ledger.deliver(number, member, monotonicUs())) this.#sendNext(room);
      },
      acked: (number: number): void => {
        let isComplete = ledger.ack(number);
        if (!this.#protocol.echoes) isComplete = ledger.deliver(number, member, monotonicUs()) || isComplete;
        if (isComplete) this.#sendNext(room);
      },
      refused: (number: number, reason: string): void => {
        if (ledger.refused === 0) console.error(`generator: ${this.#job.peer} refused a message: ${reason}`);
        ledger.refuse(number);
        void sleep(RETRY_AFTER_MS).then(() => this.#sendNext(room));
      },
    };
  }

  #sendNext(room: Room): void {
    if (!this.#isSending) return;
    const sender = room.turn++ % this.#job.senders;
    const number = this.ledger.send(sender, this.#job.members + 1);
    room.devices[sender]?.send(number, bodyOf(number));
  }
}

/** What each device of a room was given at which place. */
export class Places {
  doubled = 0;
  outOfOrder = 0;
  readonly #numbers = new Map<number, number>();
  readonly #newest: Float64Array;

  constructor(members: number) {
    this.#newest = new Float64Array(members);
  }

  /** @returns false for what came before */
  receive(member: number, place: number, number: number): boolean {
    const newest = this.#newest[member] as number;
    if (place === newest) {
      this.doubled += 1;
      return false;
    }
    if (place < newest) this.outOfOrder += 1;
    else this.#newest[member] = place;
    const known = this.#numbers.get(place);
    if (known === undefined) this.#numbers.set(place, number);
    else if (known !== number) this.outOfOrder += 1;
    return true;
  }
}
