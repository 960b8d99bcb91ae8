/**
 * Questions that need more of the log than a worker has read: they wait until it has. A worker is behind by milliseconds, so
 * that this is rare and short; one that waits in vain is forgotten when nobody waits for its answer any more.
 */

/** Beyond it a question is not kept, and who asked asks again. */
const MAX_WAITING = 1_000;
const LOOK_EVERY_MS = 2;

export interface EarlyQuestion {
  readonly reached: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  answer(): void;
}

export class EarlyQuestions {
  readonly #served: { readonly position: number };
  #waiting: EarlyQuestion[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(served: { readonly position: number }) {
    this.#served = served;
  }

  add(question: EarlyQuestion): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(question);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    this.#waiting = [];
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const { position } = this.#served;
    const now = Date.now();
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ reached, until }) => reached > position && until > now);
    if (this.#waiting.length === 0) this.stop();
    for (const question of waiting) if (question.reached <= position) question.answer();
  }
}
