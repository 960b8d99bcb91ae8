/**
 * Questions that were taken, answered one by one: between two of them the rest of the process has its turn, and while the server has
 * not read what was answered, no more is. So neither questions nor answers fill the memory, however many come at once.
 */
import type { NatsConnection } from '@nats-io/nats-core';
import type { Log } from '../../../ports/log.ts';

/** Beyond it a question is not taken, and who asked asks again. */
export const MAX_TAKEN_QUESTIONS = 1_024;
/** Answers published and perhaps not yet read by the server: from there on it is waited for. The last one may be over it. */
export const MAX_UNREAD_ANSWER_BYTES = 8 * 1_024 * 1_024;

export interface TakenQuestion {
  /** Milliseconds since 1970: nobody waits for the answer any more. */
  readonly until: number;
  answer(): Uint8Array;
}

export class AnswerLine {
  readonly #nc: NatsConnection;
  readonly #log: Log;
  /** By where the answer goes: a question asked again while it waits is answered once. */
  readonly #taken = new Map<string, TakenQuestion>();
  #isAnswering = false;
  #unreadBytes = 0;

  constructor(nc: NatsConnection, log: Log) {
    this.#nc = nc;
    this.#log = log;
  }

  /** The first one is answered at once. */
  add(to: string, question: TakenQuestion): void {
    if (this.#taken.size >= MAX_TAKEN_QUESTIONS || this.#taken.has(to)) return;
    this.#taken.set(to, question);
    if (!this.#isAnswering) void this.#answerAll();
  }

  /** Throws nothing: the line is its own owner. */
  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    for (const [to, question] of this.#taken) {
      this.#taken.delete(to);
      if (question.until < Date.now()) continue;
      try {
        this.#answer(to, question);
      } catch (error) {
        this.#log.error({ what: 'answer not published', reason: String(error) });
      }
      await this.#pause();
    }
    this.#isAnswering = false;
  }

  #answer(to: string, question: TakenQuestion): void {
    const data = question.answer();
    this.#nc.publish(to, data);
    this.#unreadBytes += data.length;
  }

  async #pause(): Promise<void> {
    if (this.#unreadBytes < MAX_UNREAD_ANSWER_BYTES) return new Promise((resolve) => setImmediate(resolve));
    // Where the connection was lost, so were the answers: they are asked for again.
    await this.#nc.flush().catch(() => undefined);
    this.#unreadBytes = 0;
  }
}
