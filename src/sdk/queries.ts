/** Questions to the server. They are not stored: who asked is gone after a restart. A lost connection asks them again. Pure. */
import type { ClientFrame, Query } from '../protocol/frames.ts';
import { MAX_QUERIES } from './limits.ts';

interface WaitingQuery {
  readonly ticket: number;
  readonly query: Query;
}

export class Queries {
  /** On this connection, by their ids. */
  readonly #asked = new Map<number, WaitingQuery>();
  #waiting: WaitingQuery[] = [];

  get underWay(): number {
    return this.#asked.size;
  }

  /** False: too many wait. */
  add(waiting: WaitingQuery): boolean {
    if (this.#waiting.length + this.#asked.size >= MAX_QUERIES) return false;
    this.#waiting.push(waiting);
    return true;
  }

  /** @param reached what answers must have, after a `resync` */
  next(room: number, newId: () => number, reached?: string): ClientFrame[] {
    return this.#waiting.splice(0, Math.max(0, room)).map((waiting) => {
      const id = newId();
      this.#asked.set(id, waiting);
      return { t: 'query', id, query: waiting.query, ...(reached !== undefined && { reached }) };
    });
  }

  /** The ticket of the question that `id` answers. */
  answered(id: number): number | undefined {
    const ticket = this.#asked.get(id)?.ticket;
    this.#asked.delete(id);
    return ticket;
  }

  disconnected(): void {
    this.#waiting = [...this.#asked.values(), ...this.#waiting];
    this.#asked.clear();
  }

  /** The tickets of all that wait. */
  end(): number[] {
    this.disconnected();
    return this.#waiting.splice(0).map(({ ticket }) => ticket);
  }
}
