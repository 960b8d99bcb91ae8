/** Every message of a run, from its sending to its last delivery. A message is known by its number: 0, 1, 2 … */
import { Histogram } from './histogram.ts';

export const monotonicUs = (): number => performance.now() * 1_000;

export class Ledger {
  /** From the sending to each delivery, the sender's own copy aside; and to the ack. */
  readonly deliveries = new Histogram();
  readonly acks = new Histogram();
  readonly #sentAt: number[] = [];
  readonly #senders: number[] = [];
  /** Deliveries and acks still to come, by message. */
  readonly #due: number[] = [];
  #isMeasuring = false;
  #measuredFrom = 0;
  #measuredUs = 0;
  #delivered = 0;
  #completed = 0;
  #open = 0;
  #refused = 0;

  /**
   * @param sender the sender's index among the members
   * @param due deliveries, and the ack where there is one: when all have come, the message is complete
   * @returns the message's number
   */
  send(sender: number, due: number): number {
    this.#due.push(due);
    this.#senders.push(sender);
    this.#open += 1;
    return this.#sentAt.push(monotonicUs()) - 1;
  }

  /** True when it was the last that was due. */
  ack(number: number): boolean {
    if (this.#isMeasuring) this.acks.add(monotonicUs() - (this.#sentAt[number] as number));
    return this.#tick(number);
  }

  /** It was answered with an error: no delivery of it is due. */
  refuse(number: number): void {
    if ((this.#due[number] ?? 0) <= 0) return;
    this.#due[number] = 0;
    this.#open -= 1;
    this.#refused += 1;
  }

  /** Hot path. A first delivery to `member`; true when it was the last that was due. */
  deliver(number: number, member: number, atUs: number): boolean {
    if (this.#isMeasuring) {
      this.#delivered += 1;
      if (member !== this.#senders[number]) this.deliveries.add(atUs - (this.#sentAt[number] as number));
    }
    return this.#tick(number);
  }

  /** Undefined for a number that was never sent. */
  senderOf(number: number): number | undefined {
    return this.#senders[number];
  }

  startMeasuring(): void {
    this.#isMeasuring = true;
    this.#measuredFrom = monotonicUs();
  }

  stopMeasuring(): void {
    this.#isMeasuring = false;
    this.#measuredUs = monotonicUs() - this.#measuredFrom;
  }

  get deliveriesPerS(): number {
    return (this.#delivered * 1_000_000) / this.#measuredUs;
  }

  /** Messages that became complete while measuring, a second. */
  get messagesPerS(): number {
    return (this.#completed * 1_000_000) / this.#measuredUs;
  }

  /** Messages not yet complete. */
  get open(): number {
    return this.#open;
  }

  get refused(): number {
    return this.#refused;
  }

  /** What is still due: after the drain, what is lost. A sender is owed an answer as a member is owed a message. */
  get missing(): number {
    return this.#due.reduce((sum, due) => sum + Math.max(0, due), 0);
  }

  #tick(number: number): boolean {
    const due = (this.#due[number] as number) - 1;
    this.#due[number] = due;
    if (due !== 0) return false;
    this.#open -= 1;
    if (this.#isMeasuring) this.#completed += 1;
    return true;
  }
}
