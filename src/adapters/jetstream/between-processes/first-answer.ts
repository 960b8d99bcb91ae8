/**
 * A question to a queue group, asked again while there is no answer: the one who was asked may have died with it, stand still, or
 * be unable to answer, and the others do not know. The first answer counts, whoever gives it.
 *
 * Answers are long, and what the server holds for a connection is bounded: beyond, it drops the connection. So each question has an
 * inbox of its own, which is closed with the first answer or when time is over. What comes later goes no further than the server.
 */
import { createInbox, errors, type Msg, type NatsConnection, type Subscription } from '@nats-io/nats-core';

/** All attempts together: a worker that writes a window, or is started again, is given so long. */
export const ANSWER_WITHIN_MS = 2_000;
/** Well above what an answer takes, or the others would be given the work of one that is merely slow. */
const ASK_AGAIN_AFTER_MS = 500;
export const MAX_ATTEMPTS = 3;

export interface Question<Answer> {
  readonly subject: string;
  /** @param until milliseconds since 1970: nobody waits for the answer any more */
  encode(until: number): Uint8Array;
  /** @throws where the one who was asked says that it cannot answer */
  decode(answer: Uint8Array): Answer;
}

export class FirstAnswer<Answer> {
  /** Rejects with the reason why the one asked last gave no answer; at once where there is nobody to ask. */
  readonly answer: Promise<Answer>;
  readonly #nc: NatsConnection;
  readonly #question: Question<Answer>;
  readonly #data: Uint8Array;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #settle: PromiseWithResolvers<Answer>;
  readonly #deadline: NodeJS.Timeout;
  #again: NodeJS.Timeout | undefined;
  #asked = 0;
  #answered = 0;

  /** @param inboxPrefix of the connection: others it may not listen to */
  constructor(nc: NatsConnection, inboxPrefix: string, question: Question<Answer>) {
    this.#nc = nc;
    this.#question = question;
    this.#data = question.encode(Date.now() + ANSWER_WITHIN_MS);
    this.#inbox = createInbox(inboxPrefix);
    this.#settle = Promise.withResolvers<Answer>();
    this.#subscription = nc.subscribe(this.#inbox, {
      callback: (error, message) => (error ? this.#settle.reject(error) : this.#take(message)),
    });
    this.#deadline = setTimeout(() => this.#settle.reject(new errors.TimeoutError()), ANSWER_WITHIN_MS);
    this.answer = this.#settle.promise.finally(() => this.#close());
    this.#ask();
  }

  /** Resolves, once there is an answer or a reason for none, when nothing more of this can come over the connection. */
  async over(): Promise<void> {
    await this.answer.catch(() => undefined);
    // What the server had written before it read that the inbox is closed comes before its answer to this. A lost connection brings nothing.
    if (this.#answered < this.#asked) await this.#nc.flush().catch(() => undefined);
  }

  #ask(): void {
    clearTimeout(this.#again);
    this.#asked += 1;
    if (this.#asked < MAX_ATTEMPTS) this.#again = setTimeout(() => this.#ask(), ASK_AGAIN_AFTER_MS);
    try {
      this.#nc.publish(this.#question.subject, this.#data, { reply: this.#inbox });
    } catch (error) {
      this.#settle.reject(error);
    }
  }

  /** What this throws would end the connection's reader. */
  #take(message: Msg): void {
    this.#answered += 1;
    const isNobodyThere = message.data.length === 0 && message.headers?.code === 503;
    try {
      if (isNobodyThere) throw new errors.NoRespondersError(this.#question.subject);
      this.#settle.resolve(this.#question.decode(message.data));
    } catch (reason) {
      // Then there is nobody else to ask either.
      const isAlone = isNobodyThere && this.#asked === 1;
      if (this.#answered < this.#asked) return;
      if (isAlone || this.#asked === MAX_ATTEMPTS) this.#settle.reject(reason);
      else this.#ask();
    }
  }

  #close(): void {
    clearTimeout(this.#again);
    clearTimeout(this.#deadline);
    this.#subscription.unsubscribe();
  }
}
