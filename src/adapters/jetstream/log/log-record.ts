/** A message of a CONV stream as a record of the log. */
import { parseConversationId } from '../../../domain/ids.ts';
import type { LogRecord } from '../../../ports/conversation-log.ts';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { decodeLogEvent } from '../../../protocol/log-event.ts';
import { idOfToken } from '../../../protocol/subjects.ts';

/**
 * @param at when it happened, by original-time.ts
 * @param data may be a view into a shared buffer: what is kept of it is copied
 */
export function logRecordOf(subject: string, pos: number, at: number, data: Uint8Array): LogRecord {
  const owned = new Uint8Array(data);
  try {
    const token = subject.split('.')[2] ?? '';
    const conversation = parseConversationId(idOfToken(token));
    if (!conversation) throw new RookeryError('EVENT_UNREADABLE', 'the subject names no conversation');
    return { pos, at, conversation, event: decodeLogEvent(owned) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { pos, at, subject, reason, data: owned };
  }
}
