/**
 * A question to a queue group, asked again while there is no answer: the one who was asked may have died with it, stand still, or
 * be unable to answer, and the others do not know. The first answer counts, whoever gives it.
 */
import { errors, type NatsConnection } from '@nats-io/nats-core';

/** All attempts together: a worker that writes a window, or is started again, is given so long. */
const ANSWER_WITHIN_MS = 2_000;
/** Well above what an answer takes, or the others would be given the work of one that is merely slow. */
const ASK_AGAIN_AFTER_MS = 500;
const MAX_ATTEMPTS = 3;
/** Questions asked again at a time; beyond, each is asked once: where all workers are slow, more work would not help. */
const MAX_ASKED_AGAIN = 1_000;

export interface Question<Answer> {
  readonly subject: string;
  /** @param until milliseconds since 1970: nobody waits for the answer any more */
  encode(until: number): Uint8Array;
  /** @throws where the one who was asked says that it cannot answer */
  decode(answer: Uint8Array): Answer;
}

export class FirstAnswer {
  readonly #nc: NatsConnection;
  #askedAgain = 0;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** @throws the reason why the one asked last gave no answer; at once where there is nobody to ask */
  async to<Answer>(question: Question<Answer>): Promise<Answer> {
    const until = Date.now() + ANSWER_WITHIN_MS;
    const data = question.encode(until);
    const ask = async (): Promise<Answer> => {
      const timeout = Math.max(1, until - Date.now());
      return question.decode((await this.#nc.request(question.subject, data, { timeout })).data);
    };
    const first = ask();
    if (this.#askedAgain >= MAX_ASKED_AGAIN || (await isSettled(first, ASK_AGAIN_AFTER_MS))) return first;
    this.#askedAgain += 1;
    try {
      return await firstOf([first], ask);
    } finally {
      this.#askedAgain -= 1;
    }
  }
}

async function firstOf<Answer>(asked: Promise<Answer>[], ask: () => Promise<Answer>): Promise<Answer> {
  while (asked.length < MAX_ATTEMPTS) {
    asked.push(ask());
    if (await isAnswered(asked, ASK_AGAIN_AFTER_MS)) break;
  }
  return Promise.any(asked).catch((all: AggregateError) => Promise.reject(all.errors.at(-1)));
}

/** By an answer, or because nobody is there: then there is nobody else to ask either. */
const isSettled = (asked: Promise<unknown>, withinMs: number): Promise<boolean> =>
  within(
    asked.then(
      () => true,
      (reason) => reason instanceof errors.RequestError && reason.isNoResponders(),
    ),
    withinMs,
  );

/** Not so at once, where all have said that they cannot answer. */
const isAnswered = (asked: readonly Promise<unknown>[], withinMs: number): Promise<boolean> =>
  within(
    Promise.any(asked).then(
      () => true,
      () => false,
    ),
    withinMs,
  );

async function within(outcome: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  return Promise.race([outcome, late]).finally(() => clearTimeout(timer));
}
