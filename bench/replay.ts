/**
 * What a replay through the folds reads, beside what a bare ordered consumer reads of the same log in the same run; and its memory at
 * the end of each quarter, which must not grow with the log.
 *
 *   node bench/replay.ts [events, default 1000000]
 */
import { DeliverPolicy } from '@nats-io/jetstream';
import { type ConversationEvent, partOf } from '../src/domain/conversation.ts';
import type { ConversationId, UserId } from '../src/domain/ids.ts';
import { countLog } from '../src/processes/log-counts.ts';
import { encodeLogEvent } from '../src/protocol/log-event.ts';
import { conversationSubject, messageIdOf } from '../src/protocol/subjects.ts';
import { uuidv7 } from '../src/sdk/uuidv7.ts';
import { bytes, conversation, msgId, users } from '../test/support/given.ts';
import { startNats } from '../test/support/nats.ts';
import { append, type Message } from './churned-log.ts';

const EVENTS = Number(process.argv[2] ?? 1_000_000);
const CONVERSATIONS = 1_000;
/** UUIDv7 of the events begin here; fifty have the same millisecond. */
const START = Date.now();

const people = users(...Array.from({ length: 10 }, (_, i) => `member-${i}`));
const rooms = Array.from({ length: CONVERSATIONS }, (_, i) => conversation(`room-${i}`));

const message = (room: ConversationId, event: ConversationEvent): Message => ({
  subject: conversationSubject(room, partOf(event)),
  id: messageIdOf(room, event.by, event.id),
  data: encodeLogEvent(event),
});

function* talk(): Generator<Message> {
  const by = people[0] as UserId;
  for (const room of rooms) {
    yield message(room, { type: 'groupCreated', by, id: msgId(uuidv7(START)), name: room, members: people });
  }
  const body = bytes('the quick brown fox jumps over the lazy dog, and the rook looks on: ninety-six bytes in all');
  for (let i = 0; i < EVENTS; i++) {
    const room = rooms[(i * 7919) % rooms.length] as ConversationId;
    const speaker = people[i % people.length] as UserId;
    const id = msgId(uuidv7(START + Math.floor(i / 50)));
    yield message(
      room,
      i % 10 === 9
        ? { type: 'conversationRead', by: speaker, id, upTo: 1 + Math.floor(i / CONVERSATIONS / 2) }
        : { type: 'messageSent', by: speaker, id, contentType: 'text/plain', body },
    );
  }
}

const nats = await startNats();
try {
  const operator = await nats.connect('operator');
  const { js } = operator;
  const last = await append(operator.nc, operator.inboxPrefix, talk());

  const bare = async (): Promise<number> => {
    const consumer = await js.consumers.get('CONV_0', { deliver_policy: DeliverPolicy.All });
    const messages = await consumer.consume({ max_messages: 8_192 });
    const before = performance.now();
    let bytesRead = 0;
    for await (const { seq, data } of messages) {
      bytesRead += data.length;
      if (seq >= last) break;
    }
    const rate = last / ((performance.now() - before) / 1_000);
    await consumer.delete();
    console.log(`bare ordered consumer  ${Math.round(rate)} events/s  (${(bytesRead / last).toFixed(0)} bytes each)`);
    return rate;
  };

  const replay = async (): Promise<number> => {
    const rss: string[] = [];
    const before = performance.now();
    const counts = await countLog(
      {
        ...{ nats: operator, topology: nats.topology, stop: new AbortController().signal },
        onProgress: (pos) => {
          const quarter = Math.floor((pos * 4) / last);
          if (quarter > rss.length) rss.push(`${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
        },
      },
      () => last,
    );
    const rate = last / ((performance.now() - before) / 1_000);
    console.log(
      `replay through folds   ${Math.round(rate)} events/s  accepted ${counts.accepted}, ${counts.entries} inbox entries`,
    );
    console.log(`memory by quarter      ${rss.join(', ')}`);
    return rate;
  };

  const limits = [await bare()];
  const rate = await replay();
  limits.push(await bare());
  console.log(
    `ratio                  ${(rate / Math.max(...limits)).toFixed(2)} of the better bare read; ${last} events`,
  );
} finally {
  await nats.stop();
}
