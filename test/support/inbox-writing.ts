/** Writes inbox records and log events to a real server, one acked publish each, in the order of the calls. */
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { ConversationId } from '../../src/domain/ids.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import {
  conversationSubject,
  inboxStreamName,
  inboxSubjectOfToken,
  packSubject,
  termSubject,
  tokenOf,
} from '../../src/protocol/subjects.ts';

export interface InboxWriting {
  /** Each gives the sequence, or the position in the log. */
  inbox(user: string, record: Uint8Array): Promise<number>;
  pack(record: Uint8Array): Promise<number>;
  marker(record: Uint8Array): Promise<number>;
  log(conversation: ConversationId, event: ConversationEvent): Promise<number>;
  /** Makes the stream drop everything below `seq`. */
  dropBelow(seq: number): Promise<void>;
}

export function inboxWriting({ js, jsm }: Nats, lane = 0, stream = 0): InboxWriting {
  const publish = async (subject: string, data: Uint8Array): Promise<number> => (await js.publish(subject, data)).seq;
  return {
    inbox: (user, record) => publish(inboxSubjectOfToken(tokenOf(user)), record),
    pack: (record) => publish(packSubject(lane, stream), record),
    marker: (record) => publish(termSubject(lane, stream), record),
    log: (conversation, event) => {
      const part = event.type === 'messageSent' ? 'm' : event.type === 'conversationRead' ? 'r' : 's';
      return publish(conversationSubject(conversation, part), encodeLogEvent(event));
    },
    dropBelow: async (seq) => {
      await jsm.streams.purge(inboxStreamName(stream), { seq });
    },
  };
}
