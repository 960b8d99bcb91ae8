/** How a deployment stands, from what the server and the workers tell: streams, lags, dead letters, and who speaks most. */
import type { ConsumerInfo, StreamInfo } from '@nats-io/jetstream';
import type { Msg } from '@nats-io/nats-core';
import { fanOutStanding } from '../adapters/jetstream/between-processes/lane-standing.ts';
import { askStanding } from '../adapters/jetstream/between-processes/standing.ts';
import type { Nats } from '../adapters/jetstream/connect.ts';
import { waitingSince } from '../adapters/jetstream/log/log-places.ts';
import type { Delivery } from '../adapters/jetstream/messages/delivery-subject.ts';
import { readSpan } from '../adapters/jetstream/messages/pulled-span.ts';
import { asRookeryError, type ErrorCode } from '../protocol/error-codes.ts';
import {
  convStreamName,
  DEAD_STREAM,
  idOfToken,
  inboxStreamName,
  type Topology,
  tailedSubject,
  USER_STREAM,
} from '../protocol/subjects.ts';
import { SilentReadModels } from './silent-workers.ts';

/** Newest events of each CONV stream, by which conversations count as hot. */
const HOT_EVENTS = 5_000;
const MAX_HOT = 10;
const MAX_SLOWEST = 5;
/** A gateway tells how far it has read at least every two seconds; what was not heard for so long is none any more. */
const GATEWAY_SILENT_MS = 60_000;
/** So long the first look listens: one that is idle tells every two seconds. */
const GATEWAY_HEARD_WITHIN_MS = 2_500;
const POLL_MS = 50;

export interface StreamStats {
  readonly name: string;
  /** Why nothing else can be told. */
  readonly missing?: ErrorCode;
  readonly messages: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  readonly consumers: number;
  /** Milliseconds since 1970 of the newest message; absent in an empty one. */
  readonly lastAt?: number;
  readonly leader?: string;
  /** Replicas that are not up to date, or not there. */
  readonly behind: readonly string[];
}

export interface WorkerStats {
  readonly worker: 'fan-out' | 'read-model' | 'gateway';
  /** The CONV stream it reads; of a gateway the INBOX stream. */
  readonly stream: string;
  readonly position: number;
  readonly lag: number;
  /** For how long what it has yet to do has been there. */
  readonly lagSeconds: number;
  /** Who it is; of a lane who holds it. */
  readonly id: string;
  /** Of a read-model worker that is there and did not tell where it stands: that is as it was seen last, or as its files are. */
  readonly answers?: false;
}

export interface ConsumerStats {
  readonly stream: string;
  readonly consumer: string;
  readonly pending: number;
  readonly unacked: number;
  readonly redelivered: number;
}

export interface Stats {
  readonly at: string;
  readonly streams: readonly StreamStats[];
  readonly workers: readonly WorkerStats[];
  readonly slowest: readonly ConsumerStats[];
  readonly deadLetters: number;
  readonly hot: readonly { readonly conversation: string; readonly events: number; readonly share: number }[];
}

export class DeploymentStats {
  readonly #nats: Nats;
  readonly #topology: Topology;
  readonly #silent: SilentReadModels;
  /** By INBOX stream and gateway: how far it says it has read. */
  readonly #tailed = new Map<string, { readonly k: number; readonly gateway: string; seq: number; at: number }>();
  readonly #listenedFromMs = performance.now();
  readonly #subscriptions: { unsubscribe(): void }[] = [];
  /** By CONV stream: tokens of the newest events, oldest first, and the position behind them. */
  readonly #newest: { tokens: string[]; next: number }[] = [];

  /** @param stateDir of a read-model worker on this machine, if there is one */
  constructor(nats: Nats, topology: Topology, stateDir: string) {
    this.#silent = new SilentReadModels(nats, stateDir);
    this.#nats = nats;
    this.#topology = topology;
    for (let k = 0; k < topology.inboxStreams; k++) {
      const callback = (error: unknown, message: { json<T>(): T }): void => {
        if (error) return;
        const { gateway, seq } = message.json<{ gateway: string; seq: number }>();
        this.#tailed.set(`${k} ${gateway}`, { k, gateway, seq, at: Date.now() });
      };
      this.#subscriptions.push(nats.nc.subscribe(tailedSubject(k), { callback }));
    }
  }

  /** @throws RookeryError LOG_UNAVAILABLE */
  async look(): Promise<Stats> {
    const { convStreams, inboxStreams } = this.#topology;
    const numbered = (count: number, nameOf: (k: number) => string) =>
      Array.from({ length: count }, (_, k) => nameOf(k));
    const names = [
      ...numbered(convStreams, convStreamName),
      ...numbered(inboxStreams, inboxStreamName),
      ...[USER_STREAM, DEAD_STREAM, 'KV_cursors', 'KV_leases'],
    ];
    const streams: StreamStats[] = [];
    for (const name of names) streams.push(await this.#stream(name));
    const known = new Map(streams.map((stream) => [stream.name, stream]));
    return {
      at: new Date().toISOString(),
      streams,
      workers: await this.#workers(known),
      slowest: await this.#slowest(streams),
      deadLetters: known.get(DEAD_STREAM)?.messages ?? 0,
      hot: await this.#hot(known),
    };
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  async #stream(name: string): Promise<StreamStats> {
    try {
      const info = await this.#nats.jsm.streams.info(name);
      const { state } = info;
      const lastAt = state.messages > 0 ? Date.parse(String(state.last_ts)) : undefined;
      return {
        ...{ name, messages: state.messages, bytes: state.bytes, first: state.first_seq, last: state.last_seq },
        ...{ consumers: state.consumer_count, behind: behindOf(info) },
        ...(lastAt !== undefined && { lastAt }),
        ...(info.cluster?.leader && { leader: info.cluster.leader }),
      };
    } catch {
      const nothing = { messages: 0, bytes: 0, first: 0, last: 0, consumers: 0, behind: [] };
      return { name, missing: 'STREAM_MISSING', ...nothing };
    }
  }

  async #workers(streams: ReadonlyMap<string, StreamStats>): Promise<WorkerStats[]> {
    const { nc, jsm } = this.#nats;
    const [told] = await Promise.all([askStanding(nc), this.#gatewaysHeard(streams)]);
    const now = Date.now();
    const silent = await this.#silent.besides(told, this.#topology.convStreams, now);
    const workers: WorkerStats[] = [];
    for (let lane = 0; lane < this.#topology.convStreams; lane++) {
      const stream = convStreamName(lane);
      if (streams.get(stream)?.missing) continue;
      const { acked, lag, lagMs, holder } = await fanOutStanding(jsm, lane, this.#topology, now);
      const id = holder ?? 'nobody holds the lane';
      workers.push({ worker: 'fan-out', stream, position: acked, lag, lagSeconds: lagMs / 1_000, id });
      for (const { id, lanes } of told) {
        const own = lanes.find((one) => one.lane === lane);
        if (own) workers.push(await this.#worker('read-model', stream, own.position, id, streams, now));
      }
      for (const { id, lanes } of silent) {
        const own = lanes.find((one) => one.lane === lane);
        if (!own) continue;
        const worker = await this.#worker('read-model', stream, own.position, id, streams, now);
        workers.push({ ...worker, answers: false });
      }
    }
    for (const { k, gateway, seq, at } of this.#tailed.values()) {
      if (now - at > GATEWAY_SILENT_MS) continue;
      workers.push(await this.#worker('gateway', inboxStreamName(k), seq, gateway, streams, now));
    }
    return workers;
  }

  /** Each gateway has one consumer on each INBOX stream: once as many are heard nobody is waited for. Who reads beside them has one as well. */
  async #gatewaysHeard(streams: ReadonlyMap<string, StreamStats>): Promise<void> {
    const isHeard = (k: number): boolean => {
      const heard = [...this.#tailed.values()].filter((one) => one.k === k).length;
      return heard >= (streams.get(inboxStreamName(k))?.consumers ?? 0);
    };
    const numbers = Array.from({ length: this.#topology.inboxStreams }, (_, k) => k);
    while (!numbers.every(isHeard) && performance.now() - this.#listenedFromMs < GATEWAY_HEARD_WITHIN_MS) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #worker(
    worker: WorkerStats['worker'],
    stream: string,
    position: number,
    id: string,
    streams: ReadonlyMap<string, StreamStats>,
    now: number,
  ): Promise<WorkerStats> {
    const lag = Math.max(0, (streams.get(stream)?.last ?? 0) - position);
    const oldest = lag > 0 ? await waitingSince(this.#nats.jsm, stream, position + 1) : undefined;
    const lagSeconds = oldest === undefined ? 0 : Math.max(0, now - oldest) / 1_000;
    return { worker, stream, position, lag, lagSeconds, id };
  }

  async #slowest(streams: readonly StreamStats[]): Promise<ConsumerStats[]> {
    const found: ConsumerStats[] = [];
    for (const { name, missing, consumers } of streams) {
      if (missing || consumers === 0) continue;
      for await (const info of this.#nats.jsm.consumers.list(name)) found.push(consumerOf(info));
    }
    const waiting = ({ pending, unacked }: ConsumerStats): number => pending + unacked;
    return found.sort((a, b) => waiting(b) - waiting(a)).slice(0, MAX_SLOWEST);
  }

  /** What came since the last look is read, and no more than counts. */
  async #hot(streams: ReadonlyMap<string, StreamStats>) {
    const counts = new Map<string, number>();
    let total = 0;
    for (let k = 0; k < this.#topology.convStreams; k++) {
      const { first = 0, last = 0, messages = 0 } = streams.get(convStreamName(k)) ?? {};
      const newest = (this.#newest[k] ??= { tokens: [], next: 1 });
      const from = Math.max(newest.next, first, last - HOT_EVENTS + 1);
      if (messages > 0 && from <= last) await this.#readOn(k, newest, from, last);
      for (const token of newest.tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
      total += newest.tokens.length;
    }
    return [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, MAX_HOT)
      .map(([token, events]) => ({ conversation: nameOf(token), events, share: events / total }));
  }

  async #readOn(k: number, newest: { tokens: string[]; next: number }, from: number, to: number): Promise<void> {
    try {
      for await (const { subject, seq } of readSpan(this.#nats, { stream: convStreamName(k), from, to }, placeOf)) {
        newest.tokens.push(subject.split('.')[2] ?? '');
        newest.next = seq + 1;
      }
    } catch (thrown) {
      // What could not be read now is read at the next look.
      if (asRookeryError(thrown).code !== 'LOG_UNAVAILABLE') throw thrown;
    }
    newest.tokens = newest.tokens.slice(-HOT_EVENTS);
  }
}

const consumerOf = ({
  stream_name,
  name,
  num_pending,
  num_ack_pending,
  num_redelivered,
}: ConsumerInfo): ConsumerStats => ({
  stream: stream_name,
  consumer: name,
  pending: num_pending,
  unacked: num_ack_pending,
  redelivered: num_redelivered,
});

const placeOf = ({ subject }: Msg, { streamSeq: seq }: Delivery) => ({ subject, seq });

const behindOf = ({ cluster }: StreamInfo): string[] =>
  (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline).map(({ name }) => name);

function nameOf(token: string): string {
  try {
    return idOfToken(token);
  } catch {
    return token;
  }
}
