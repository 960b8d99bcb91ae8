/**
 * The events of one conversation out of a CONV stream. The server leaves the others out, so what comes over the wire is little; in
 * a large stream it still takes its time to find them.
 */
import type { ConversationId } from '../../../domain/ids.ts';
import type { LogReader, LogRecord } from '../../../ports/conversation-log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { conversationWildcard, convStreamName } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { type PulledSpanParts, readSpan } from '../messages/pulled-span.ts';
import { recordOf } from './log-reader.ts';

export interface ConversationReaderParts extends PulledSpanParts {
  readonly convStream: number;
  readonly conversation: ConversationId;
}

export class JetstreamConversationReader implements Pick<LogReader, 'lastPos' | 'read'> {
  readonly #parts: ConversationReaderParts;
  readonly #stream: string;
  readonly #subject: string;

  constructor(parts: ConversationReaderParts) {
    this.#parts = parts;
    this.#stream = convStreamName(parts.convStream);
    this.#subject = conversationWildcard(parts.conversation);
  }

  /** Position of the conversation's newest event; 0 for none. @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
  async lastPos(): Promise<number> {
    const query = { last_by_subj: this.#subject };
    const newest = await answered(this.#stream, this.#parts.jsm.streams.getMessage(this.#stream, query));
    return newest?.seq ?? 0;
  }

  async *read(from: number, to: number): AsyncIterable<LogRecord> {
    const newest = await this.lastPos();
    const end = Math.min(to, newest);
    let reached = from - 1;
    const span = { stream: this.#stream, from, to: end, subjects: [this.#subject] };
    for await (const record of readSpan(this.#parts, span, recordOf)) {
      reached = record.pos;
      yield record;
    }
    if (reached < end && end === newest)
      throw new RookeryError('LOG_UNAVAILABLE', `${this.#stream} was read to ${reached}, and reaches to ${end}`);
  }
}
