/** Dead letters on stream DEAD: one subject a letter, so that the same one is never stored twice, however late. */
import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import type { UnreadableEvent } from '../../../ports/conversation-log.ts';
import type { DeadLetters } from '../../../ports/dead-letters.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { deadSubject } from '../../../protocol/subjects.ts';
import { isWrongLastSequence } from '../answered.ts';

export const DEAD_REASON = 'Rookery-Reason';
export const DEAD_SUBJECT = 'Rookery-Subject';

/** A header value is one line; a longer reason is cut. */
const MAX_REASON_CHARS = 512;

export class JetstreamDeadLetters implements DeadLetters {
  readonly #js: JetStreamClient;

  constructor(js: JetStreamClient) {
    this.#js = js;
  }

  async put(worker: string, stream: string, { pos, subject, reason, data }: UnreadableEvent): Promise<void> {
    const about = headers();
    about.set(DEAD_REASON, reason.replace(/[\r\n]+/g, ' ').slice(0, MAX_REASON_CHARS));
    about.set(DEAD_SUBJECT, subject);
    try {
      await this.#js.publish(deadSubject(worker, stream, pos), data, {
        headers: about,
        expect: { lastSubjectSequence: 0 },
      });
    } catch (cause) {
      if (cause instanceof JetStreamApiError && isWrongLastSequence(cause.code)) return;
      throw new RookeryError('LOG_UNAVAILABLE', 'cannot store a dead letter', { cause });
    }
  }
}
