/** Whether the code of today can read what stands in a record. */
import { parseConversationId, parseUserId, type UserId } from '../../domain/ids.ts';
import type { StoredRecord } from '../../ports/archive.ts';
import type { LogEvent } from '../../ports/conversation-log.ts';
import { decodeAccountEvent, decodePasswordEvent } from '../../protocol/account-event.ts';
import { opened, unreadable } from '../../protocol/log-envelope.ts';
import { decodeLogEvent } from '../../protocol/log-event.ts';
import { idOfToken, messageIdOf } from '../../protocol/subjects.ts';

const CONVERSATIONS = 'conv';

export const isOfConversation = ({ subject }: Pick<StoredRecord, 'subject'>): boolean =>
  subject.startsWith(`${CONVERSATIONS}.`);

/** As events of conversations do. */
export function namesConversation(subject: string): boolean {
  if (!isOfConversation({ subject })) return false;
  try {
    return parseConversationId(idIn({ subject })) !== undefined;
  } catch {
    return false;
  }
}

/** @throws RookeryError EVENT_UNREADABLE */
export function eventIn(record: StoredRecord): LogEvent {
  const conversation = parseConversationId(idIn(record));
  if (!conversation) throw unreadable('the subject names no conversation');
  return { pos: record.seq, at: record.at, conversation, event: decodeLogEvent(record.data) };
}

/** @throws RookeryError EVENT_UNREADABLE with the reason */
export function checkReadable(record: StoredRecord): void {
  if (isOfConversation(record)) {
    eventIn(record);
    return;
  }
  const kind = record.subject.split('.')[3];
  const user = parseUserId(idIn(record));
  if (!user) throw unreadable('the subject names no user');
  if (kind === 'account') decodeAccountEvent(user as UserId, record.data);
  else if (kind === 'password') decodePasswordEvent(record.data);
  else opened(record.data);
}

/**
 * By what an event is known again, in whatever log it stands: its `Nats-Msg-Id`. One that was appended a second time by hand
 * (`rookery dead retry`) carries another there, and is known by what it says itself.
 */
export function identityOf(record: StoredRecord): string {
  const { messageId } = record;
  if (messageId !== '' && !messageId.startsWith('retry:')) return messageId;
  try {
    const { conversation, event } = eventIn(record);
    return messageIdOf(conversation, event.by, event.id);
  } catch {
    return messageId;
  }
}

/** Of subjects that came before: a log has them again and again. */
const ids = new Map<string, string>();
const MAX_IDS = 20_000;

function idIn({ subject }: Pick<StoredRecord, 'subject'>): string {
  const known = ids.get(subject);
  if (known !== undefined) return known;
  try {
    const id = idOfToken(subject.split('.')[2] ?? '');
    if (ids.size >= MAX_IDS) ids.clear();
    ids.set(subject, id);
    return id;
  } catch (cause) {
    throw unreadable('the subject carries no id', cause);
  }
}
