/** A long past, straight into the log: what others wrote to a user while no device of theirs was there. */
import { type NatsConnection, nuid } from '@nats-io/nats-core';
import { type ConversationId, directConversationId, type UserId } from '../../src/domain/ids.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { uuidv7 } from '../../src/sdk/uuidv7.ts';
import { bytes, msgId, user } from './given.ts';

/** On their way at a time: the log's server has to keep up. */
const IN_FLIGHT = 2_000;
/** A whole past has been there for so long without an ack: it is lost. */
const SILENT_MS = 30_000;

export interface Past {
  readonly to: UserId;
  /** Direct ones, each with another friend: `<friends>0`, `<friends>1` … */
  readonly conversations: number;
  readonly friends: string;
  readonly messages: number;
}

export const friend = ({ friends }: Pick<Past, 'friends'>, i: number): UserId => user(`${friends}${i}`);
export const directWith = (past: Past, i: number): ConversationId => directConversationId(past.to, friend(past, i));

/** Appends to all conversations in turn. @param nc with the rights of an operator */
export async function writePast(nc: NatsConnection, past: Past): Promise<void> {
  const inbox = `_INBOX.past.${nuid.next()}`;
  let acked = 0;
  let wake: (() => void) | undefined;
  const acks = nc.subscribe(`${inbox}.*`, {
    callback: (error, { data }) => {
      if (error || !new TextDecoder().decode(data).includes('"seq"')) throw new Error('an append was refused');
      acked += 1;
      wake?.();
    },
  });
  const until = async (count: number): Promise<void> => {
    while (acked < count) {
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${acked} of ${count} were acked`)), SILENT_MS);
        wake = () => {
          clearTimeout(late);
          resolve();
        };
      });
    }
  };
  const now = Date.now();
  for (let i = 0; i < past.messages; i++) {
    const room = i % past.conversations;
    const event = {
      type: 'messageSent',
      by: friend(past, room),
      id: msgId(uuidv7(now)),
      contentType: 'text/plain',
      body: bytes(`message ${i} of a long past`),
    } as const;
    nc.publish(conversationSubject(directWith(past, room), 'm'), encodeLogEvent(event), { reply: `${inbox}.${i}` });
    if (i >= IN_FLIGHT) await until(i - IN_FLIGHT);
  }
  await until(past.messages);
  acks.unsubscribe();
}
