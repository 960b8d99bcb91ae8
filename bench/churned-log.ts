/** A log with everything that happens to one: groups made and renamed, members coming and going, messages edited, recalled, retried, refused. */
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { type AccountEvent, evolveAccount, initialAccount } from '../src/domain/account.ts';
import { type ConversationEvent, partOf } from '../src/domain/conversation.ts';
import { type ConversationId, directConversationId, type UserId } from '../src/domain/ids.ts';
import { encodeAccountEvent } from '../src/protocol/account-event.ts';
import { encodeLogEvent } from '../src/protocol/log-event.ts';
import { conversationSubject, messageIdOf, userMessageIdOf, userSubject } from '../src/protocol/subjects.ts';
import { uuidv7 } from '../src/sdk/uuidv7.ts';
import { bytes, conversation, msgId, users } from '../test/support/given.ts';

const GROUPS = 500;
const PEOPLE = 2_000;
const MEMBERS = 20;
const MAX_IN_FLIGHT = 2_048;

const people = users(...Array.from({ length: PEOPLE }, (_, i) => `user-${i}`));
const groups = Array.from({ length: GROUPS }, (_, i) => conversation(`group-${i}`));
const personAt = (i: number): UserId => people[i % PEOPLE] as UserId;
const groupAt = (i: number): ConversationId => groups[i % GROUPS] as ConversationId;
/** The first of a group is its owner. */
const memberOf = (group: number, i: number): UserId => personAt(group * 7 + (i % MEMBERS));

export interface Message {
  readonly subject: string;
  readonly id: string;
  readonly data: Uint8Array;
}

const about = (to: ConversationId, event: ConversationEvent): Message => ({
  subject: conversationSubject(to, partOf(event)),
  id: messageIdOf(to, event.by, event.id),
  data: encodeLogEvent(event),
});

/** As many as are asked for, always the same but for the ids. */
export function* churnedLog(events: number): Generator<Message> {
  let made = 0;
  // Of a short log a part, so that every kind is in it.
  const [accounts, founded] = [Math.ceil(events / 10), Math.ceil(events / 40)];
  for (const user of people.slice(0, accounts)) {
    const event: AccountEvent = {
      type: 'accountCreated',
      by: 'backend',
      id: newId(),
      kind: 'person',
      profile: { name: user },
    };
    yield account(user, event);
    if (++made === events) return;
  }
  for (const [g, group] of groups.slice(0, founded).entries()) {
    const members = Array.from({ length: MEMBERS - 1 }, (_, i) => memberOf(g, i + 1));
    yield about(group, { type: 'groupCreated', by: memberOf(g, 0), id: newId(), name: `Group ${g}`, members });
    if (++made === events) return;
  }
  for (let i = 0; made < events; i++, made++) yield happening(i, Math.min(GROUPS, founded));
}

/** Ids of the newest messages, which are edited, recalled and retried. */
const recent: { group: number; by: UserId; id: ReturnType<typeof newId> }[] = [];

function happening(i: number, founded: number): Message {
  const g = (i * 31) % founded;
  const group = groupAt(g);
  const owner = memberOf(g, 0);
  const earlier = recent[(i - 1) % 1_000];
  const id = newId();
  const text = { contentType: 'text/plain', body: bytes(`message ${i}: the quick brown fox jumps over the lazy dog`) };
  switch (i % 25) {
    case 3:
      return about(group, {
        type: 'conversationRead',
        by: memberOf(g, Math.floor(i / 25)),
        id,
        upTo: Math.floor(i / founded / 2),
      });
    case 5:
      return about(group, { type: 'membersAdded', by: owner, id, members: [personAt(i)] });
    case 6:
      return about(group, { type: 'membersRemoved', by: owner, id, members: [personAt(i - 1)] });
    case 9:
      if (!earlier) break;
      return about(groupAt(earlier.group), { type: 'messageEdited', by: earlier.by, id, target: earlier, ...text });
    case 12:
      if (!earlier) break;
      return about(groupAt(earlier.group), { type: 'messageRecalled', by: earlier.by, id, target: earlier });
    case 14:
      // Of somebody who is no member: the fold refuses it.
      return about(group, { type: 'messageSent', by: 'stranger' as UserId, id, ...text });
    case 16:
      return about(group, { type: 'groupRenamed', by: owner, id, name: `Group ${g} of ${i}` });
    case 18: {
      const [one, other] = [personAt(i), personAt(i + 1)];
      return about(directConversationId(one, other), { type: 'messageSent', by: one, id, ...text });
    }
    case 20:
      return account(personAt(i), { type: 'profileChanged', by: 'user', id, profile: { name: `Name ${i}` } });
    case 22:
      // A retry that comes late: it stands in the log once more, and the fold tells that it is one.
      if (!earlier) break;
      return {
        ...about(groupAt(earlier.group), { type: 'messageSent', by: earlier.by, id: earlier.id, ...text }),
        id: `late-${i}`,
      };
  }
  const by = memberOf(g, i);
  recent[i % 1_000] = { group: g, by, id };
  return about(group, { type: 'messageSent', by, id, ...text });
}

const newId = () => msgId(uuidv7(Date.now()));

function account(user: UserId, event: AccountEvent): Message {
  const data = encodeAccountEvent(event, evolveAccount(initialAccount(user), event));
  return { subject: userSubject(user, 'account'), id: userMessageIdOf(user, 'account', event.by, event.id), data };
}

/** As a gateway appends: with an id, many on their way at a time. Each is answered, or this throws. */
export async function append(nc: NatsConnection, inboxPrefix: string, messages: Iterable<Message>): Promise<number> {
  let [sent, stored] = [0, 0];
  let refusal: string | undefined;
  let wake: (() => void) | undefined;
  const inbox = `${inboxPrefix}.churned`;
  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      const { seq, error: refused } = error ? { error: { description: String(error) } } : message.json<Answer>();
      if (!seq) refusal ??= refused?.description ?? 'not stored';
      stored += 1;
      wake?.();
    },
  });
  const below = (bound: number): Promise<void> =>
    new Promise((resolve) => {
      wake = () => {
        if (sent - stored <= bound || refusal) resolve();
      };
      wake();
    });
  for (const { subject, id, data } of messages) {
    const about = headers();
    about.set('Nats-Msg-Id', id);
    nc.publish(subject, data, { reply: inbox, headers: about });
    sent += 1;
    if (sent - stored >= MAX_IN_FLIGHT) await below(MAX_IN_FLIGHT / 2);
  }
  await below(0);
  subscription.unsubscribe();
  if (refusal) throw new Error(`JetStream refused: ${refusal}`);
  return stored;
}

interface Answer {
  readonly seq?: number;
  readonly error?: { readonly description: string };
}
