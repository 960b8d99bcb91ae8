/** Numbers what is asked for, and writes down what came of it. */
import { performance } from 'node:perf_hooks';
import { ClientError, type Entry, RookeryError, type Sending } from '../../../src/sdk/index.ts';
import { HistoryWriter, type Invoked, seenOf } from '../history.ts';

export class Recorder {
  readonly #history: HistoryWriter;
  readonly #unsettled = new Set<Promise<void>>();
  #ops = 0;
  /** When a device last got something. */
  lastDeliveryAt = 0;

  constructor(file: string) {
    this.#history = new HistoryWriter(file);
  }

  get unsettled(): number {
    return this.#unsettled.size;
  }

  get operations(): number {
    return this.#ops;
  }

  invoked(what: Omit<Invoked, 'k' | 'op' | 'at'>): number {
    const op = ++this.#ops;
    this.#history.write({ k: 'invoked', op, at: performance.now(), ...what });
    return op;
  }

  /** Follows what the SDK has taken until it is settled. */
  follow(op: number, { durable }: Sending): void {
    this.own(
      durable.then(
        ({ pos }) => this.acked(op, pos),
        (error: unknown) => this.failed(op, error),
      ),
    );
  }

  acked(op: number, pos: number, duplicate = false): void {
    this.#history.write({ k: 'acked', op, at: performance.now(), pos, ...(duplicate && { duplicate }) });
  }

  /** A refusal, or an end without an answer. */
  failed(op: number, error: unknown): void {
    if (error instanceof RookeryError && !(error instanceof ClientError)) this.refused(op, error.code);
    else this.#history.write({ k: 'unknown', op, at: performance.now() });
  }

  refused(op: number, code: string): void {
    this.#history.write({ k: 'refused', op, at: performance.now(), code });
  }

  delivered(user: string, device: string, conversation: string, entries: readonly Entry[]): void {
    this.lastDeliveryAt = performance.now();
    const seen = entries.map(seenOf);
    this.#history.write({ k: 'delivered', at: this.lastDeliveryAt, user, device, conversation, entries: seen });
  }

  cursor(user: string, device: string, { epoch, seq }: { epoch: string; seq: number }): void {
    this.#history.write({ k: 'cursor', at: performance.now(), user, device, epoch, seq });
  }

  reset(user: string, device: string): void {
    this.#history.write({ k: 'reset', at: performance.now(), user, device });
  }

  complain(user: string, device: string, what: string): void {
    this.#history.write({ k: 'complaint', at: performance.now(), user, device, what });
  }

  own(job: Promise<void>): void {
    this.#unsettled.add(job);
    void job.finally(() => this.#unsettled.delete(job));
  }

  end(caughtUp: readonly { user: string; device: string }[], late: readonly { user: string; device: string }[]): void {
    this.#history.write({ k: 'ended', at: performance.now(), caughtUp, late });
    this.#history.close();
  }
}
