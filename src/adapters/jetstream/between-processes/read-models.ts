/**
 * Questions to read models over core NATS: workers that have a lane share them as a queue group. What one of them does not answer, as it
 * was killed, another is asked.
 */
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import type { Log } from '../../../ports/log.ts';
import type {
  ReadAnswer,
  ReadModelServer,
  ReadModels,
  ReadQueries,
  ReadQuestion,
  ServedQueries,
} from '../../../ports/read-queries.ts';
import { asRookeryError, type ErrorCode, RookeryError } from '../../../protocol/error-codes.ts';
import { packr } from '../../../protocol/messagepack.ts';
import { querySubject } from '../../../protocol/subjects.ts';
import { AnswerLine } from './answer-line.ts';
import { EarlyQuestions } from './early-questions.ts';
import { FairTurns } from './fair-turns.ts';
import { ANSWER_WITHIN_MS, FirstAnswer } from './first-answer.ts';

const QUEUE_GROUP = 'read-model';
const RETRY_AFTER_MS = 500;
const MAX_WAITING_QUESTIONS = 16_384;
const OVERLOADED_RETRY_AFTER_MS = 1_000;
/** A gateway's clock may be so far behind ours before its questions count as late. */
const MAX_CLOCK_SKEW_MS = 5_000;

interface Request {
  readonly question: ReadQuestion;
  /** Milliseconds since 1970: nobody waits for the answer any more. */
  readonly until: number;
  /** The lane must have been read up to here. */
  readonly reached?: number | undefined;
}

/** Nothing in `answer`: there is no such thing for this user. */
type Response = { readonly answer: ReadAnswer | null } | { readonly failed: true };

/** What a gateway asks at once, and what waits. */
export interface QuestionLimits {
  /**
   * Under way. An answer is a page, some MAX_PAGE_BYTES, and each question may be asked three times: of 64 96 MiB together at most, well
   * below what the server holds for a connection (max_pending, 256 MiB) before it drops it, and everybody's deliveries with it.
   */
  readonly maxQuestions: number;
  /** Of one user: others have their turns, whatever one asks. */
  readonly maxQuestionsOfUser: number;
  /** A list is asked of each lane, with its badge: of 256 lanes 512 questions. */
  readonly maxWaitingQuestionsOfUser: number;
  /** In line, before the time for the answer begins. */
  readonly maxQuestionWaitMs: number;
}

/** @param code why there is no answer; undefined: there is one @param ms from the asking on, the wait for a turn included */
export type OnAsked = (type: ReadQuestion['type'], ms: number, code: ErrorCode | undefined) => void;

export interface ReadModelsParts {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly limits: QuestionLimits;
  readonly onAsked: OnAsked;
}

export class JetstreamReadModels implements ReadModels {
  readonly #nc: NatsConnection;
  readonly #inboxPrefix: string;
  readonly #turns: FairTurns;
  readonly #onAsked: OnAsked;

  constructor({ nc, inboxPrefix, limits, onAsked }: ReadModelsParts) {
    this.#nc = nc;
    this.#inboxPrefix = inboxPrefix;
    this.#onAsked = onAsked;
    this.#turns = new FairTurns({
      max: limits.maxQuestions,
      maxOfUser: limits.maxQuestionsOfUser,
      maxWaiting: MAX_WAITING_QUESTIONS,
      maxWaitingOfUser: limits.maxWaitingQuestionsOfUser,
      maxWaitMs: limits.maxQuestionWaitMs,
      retryAfterMs: OVERLOADED_RETRY_AFTER_MS,
    });
  }

  async ask<Question extends ReadQuestion>(
    lane: number,
    question: Question,
    reached?: number,
  ): Promise<ReadAnswer<Question['type']>> {
    const askedAt = performance.now();
    const over = (code?: ErrorCode): void => this.#onAsked(question.type, performance.now() - askedAt, code);
    try {
      const answer = await this.#ask(lane, question, reached);
      over();
      return answer;
    } catch (thrown) {
      over(asRookeryError(thrown).code);
      throw thrown;
    }
  }

  async #ask<Question extends ReadQuestion>(
    lane: number,
    question: Question,
    reached?: number,
  ): Promise<ReadAnswer<Question['type']>> {
    const encode = (until: number): Uint8Array =>
      packr.pack({ question, until, ...(reached && { reached }) } satisfies Request);
    const endTurn = await this.#turns.take(question.user);
    let asked: FirstAnswer<ReadAnswer | null>;
    try {
      asked = new FirstAnswer(this.#nc, this.#inboxPrefix, { subject: querySubject(lane), encode, decode });
    } catch (cause) {
      endTurn();
      throw unavailable(lane, cause);
    }
    // The answer is not held up by what else may come.
    void asked.over().then(endTurn);
    const answer = await asked.answer.catch((cause: unknown) => Promise.reject(unavailable(lane, cause)));
    return (answer ?? undefined) as ReadAnswer<Question['type']>;
  }
}

function decode(data: Uint8Array): ReadAnswer | null {
  // Bodies are views of what is unpacked, and that one of a buffer that is not ours: a list waits for other lanes.
  const response = packr.unpack(new Uint8Array(data)) as Response;
  if ('failed' in response) throw new Error('the worker could not answer');
  return response.answer;
}

const unavailable = (lane: number, cause: unknown): RookeryError =>
  new RookeryError('READ_MODEL_UNAVAILABLE', `no answer about lane ${lane}: ${String(cause)}`, {
    cause,
    retryAfterMs: RETRY_AFTER_MS,
  });

interface Served {
  readonly queries: ServedQueries;
  readonly early: EarlyQuestions;
  answer(question: ReadQuestion): Uint8Array;
}

export class JetstreamReadModelServer implements ReadModelServer {
  readonly #nc: NatsConnection;
  readonly #log: Log;
  /** Of all lanes: they share the connection. */
  readonly #line: AnswerLine;

  constructor(nc: NatsConnection, log: Log) {
    this.#nc = nc;
    this.#log = log;
    this.#line = new AnswerLine(nc, log);
  }

  serve(lane: number, queries: ServedQueries): { stop(): void } {
    const early = new EarlyQuestions(queries);
    let isServing = true;
    const answer = (question: ReadQuestion): Uint8Array => this.#answer(question, isServing ? queries : undefined);
    const subscription = this.#nc.subscribe(querySubject(lane), {
      queue: QUEUE_GROUP,
      callback: (error, message) => {
        if (!error) this.#take(message, { queries, early, answer });
      },
    });
    const stop = (): void => {
      isServing = false;
      subscription.unsubscribe();
      early.stop();
    };
    return { stop };
  }

  /** What a callback throws would end the connection's reader. */
  #take(message: Msg, { queries, early, answer }: Served): void {
    try {
      const { question, until, reached = 0 } = packr.unpack(message.data) as Request;
      // Under load questions pile up that nobody waits for any more: answering them would make it worse.
      const lastMoment = Math.min(until + MAX_CLOCK_SKEW_MS, Date.now() + ANSWER_WITHIN_MS);
      if (lastMoment < Date.now() || !message.reply) return;
      const to = message.reply;
      const lineUp = (): void => this.#line.add(to, { until: lastMoment, answer: () => answer(question) });
      if (reached <= queries.position) lineUp();
      else early.add({ reached, until: lastMoment, answer: lineUp });
    } catch (error) {
      this.#log.error({ what: 'question not read', reason: String(error) });
      message.respond(packr.pack({ failed: true } satisfies Response));
    }
  }

  /** @param queries undefined: those of a lane that is served no more, as its file is closed or begins anew */
  #answer(question: ReadQuestion, queries: ReadQueries | undefined): Uint8Array {
    let response: Response;
    try {
      if (!queries) return packr.pack({ failed: true } satisfies Response);
      response = { answer: answerTo(question, queries) ?? null };
    } catch (error) {
      this.#log.error({ what: 'question not answered', reason: String(error) });
      response = { failed: true };
    }
    return packr.pack(response);
  }
}

function answerTo(question: ReadQuestion, queries: ReadQueries): ReadAnswer {
  switch (question.type) {
    case 'conversations':
      return queries.conversations(question.user, question.archived, question.after, question.limit);
    case 'badge':
      return queries.badge(question.user, question.now);
    case 'changes':
      return queries.changes(question.user, question.since, question.after, question.limit);
    case 'preferences':
      return queries.preferences(question.user, question.about);
    case 'contacts':
      return queries.contacts(question.user, question.after, question.limit);
    case 'history':
      return queries.history(question.user, question.conversation, question.range, question.limit);
    case 'search':
      return queries.search(question.user, question.search, question.before, question.limit);
    case 'edits':
      return queries.edits(question.user, question.conversation, question.n, question.before, question.limit);
    case 'members':
      return queries.members(question.user, question.conversation, question.after, question.limit);
    case 'receipts':
      return queries.receipts(question.user, question.conversation, question.n);
  }
}
