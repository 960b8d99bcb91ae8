/**
 * Questions to read models over core NATS: workers that have a lane share them as a queue group. What one of them does not answer, as it
 * was killed, another is asked.
 */
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import type { Log } from '../../ports/log.ts';
import type {
  ReadAnswer,
  ReadModelServer,
  ReadModels,
  ReadQueries,
  ReadQuestion,
  ServedQueries,
} from '../../ports/read-queries.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import { packr } from '../../protocol/messagepack.ts';
import { querySubject } from '../../protocol/subjects.ts';
import { EarlyQuestions } from './early-questions.ts';
import { FirstAnswer } from './first-answer.ts';

const QUEUE_GROUP = 'read-model';
const RETRY_AFTER_MS = 500;
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

export class JetstreamReadModels implements ReadModels {
  readonly #firstAnswer: FirstAnswer;

  constructor(nc: NatsConnection) {
    this.#firstAnswer = new FirstAnswer(nc);
  }

  async ask<Question extends ReadQuestion>(
    lane: number,
    question: Question,
    reached?: number,
  ): Promise<ReadAnswer<Question['type']>> {
    const encode = (until: number): Uint8Array =>
      packr.pack({ question, until, ...(reached && { reached }) } satisfies Request);
    try {
      const answer = await this.#firstAnswer.to({ subject: querySubject(lane), encode, decode });
      return (answer ?? undefined) as ReadAnswer<Question['type']>;
    } catch (cause) {
      throw unavailable(lane, cause);
    }
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

export class JetstreamReadModelServer implements ReadModelServer {
  readonly #nc: NatsConnection;
  readonly #log: Log;

  constructor(nc: NatsConnection, log: Log) {
    this.#nc = nc;
    this.#log = log;
  }

  serve(lane: number, queries: ServedQueries): { stop(): void } {
    const early = new EarlyQuestions(queries);
    const subscription = this.#nc.subscribe(querySubject(lane), {
      queue: QUEUE_GROUP,
      callback: (error, message) => {
        if (!error) this.#take(message, queries, early);
      },
    });
    const stop = (): void => {
      subscription.unsubscribe();
      early.stop();
    };
    return { stop };
  }

  /** What a callback throws would end the connection's reader. */
  #take(message: Msg, queries: ServedQueries, early: EarlyQuestions): void {
    try {
      const { question, until, reached = 0 } = packr.unpack(message.data) as Request;
      // Under load questions pile up that nobody waits for any more: answering them would make it worse.
      if (until < Date.now() - MAX_CLOCK_SKEW_MS) return;
      const { reply } = message;
      const answer = (): void => this.#answer(reply, question, queries);
      if (reached <= queries.position) answer();
      else early.add({ reached, until: until + MAX_CLOCK_SKEW_MS, answer });
    } catch (error) {
      this.#log.error({ what: 'question not read', reason: String(error) });
      message.respond(packr.pack({ failed: true } satisfies Response));
    }
  }

  #answer(to: string | undefined, question: ReadQuestion, queries: ReadQueries): void {
    let response: Response;
    try {
      response = { answer: answerTo(question, queries) ?? null };
    } catch (error) {
      this.#log.error({ what: 'question not answered', reason: String(error) });
      response = { failed: true };
    }
    if (to) this.#nc.publish(to, packr.pack(response));
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
